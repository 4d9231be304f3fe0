package janitor

import (
	"context"
	"fmt"
	"time"
)

// sweepFiles removes uploads and payloads that are older.
func (j *Janitor) sweepFiles(ctx context.Context, olderThan time.Duration, dry bool) error {
	n, err := j.o.SweepFiles(ctx, j.o.Now(), olderThan, dry)
	if n > 0 {
		j.o.Logger.InfoContext(ctx, "old files", "count", n, "dry_run", dry)
	}
	if err != nil {
		return fmt.Errorf("sweep of old files: %w", err)
	}
	return nil
}
