package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"gocloud.dev/blob"

	"vibesdk-gcp/gateway"
)

const (
	// sourcesKeep is how old an upload gets: the gateway uses one again for a day, and a sandbox that was asked for
	// then may build again for another. On Cloud Storage a lifecycle rule does this.
	sourcesKeep = 49 * time.Hour
	// sourcesEvery is how often old uploads are looked for.
	sourcesEvery = time.Hour
)

// sweepSources removes old uploads now and from time to time, until ctx ends.
func sweepSources(ctx context.Context, bucket *blob.Bucket, log *slog.Logger) error {
	every := time.NewTicker(sourcesEvery)
	defer every.Stop()
	for {
		if n, err := removeSources(ctx, bucket, time.Now().Add(-sourcesKeep)); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "old uploads were not all removed", "error", err)
		} else if n > 0 {
			log.InfoContext(ctx, "removed old uploads", "count", n)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
	}
}

// removeSources removes the uploads older than before, and returns how many.
func removeSources(ctx context.Context, bucket *blob.Bucket, before time.Time) (removed int, err error) {
	list := bucket.List(&blob.ListOptions{Prefix: gateway.SourcePrefix})
	for {
		object, err := list.Next(ctx)
		if errors.Is(err, io.EOF) {
			return removed, nil
		}
		if err != nil {
			return removed, err
		}
		if object.ModTime.Before(before) {
			if err := bucket.Delete(ctx, object.Key); err != nil {
				return removed, err
			}
			removed++
		}
	}
}
