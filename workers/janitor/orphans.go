package janitor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

// keepWithdrawn is how long withdrawn routes are remembered: as long as Pub/Sub can keep a message.
const keepWithdrawn = 31 * 24 * time.Hour

// keepHistory is how long the changes of a deleted app can be read.
const keepHistory = 90 * 24 * time.Hour

// sweepOrphans compares the runtime with the records, both ways.
func (j *Janitor) sweepOrphans(ctx context.Context, dry bool) error {
	var failed failures
	failed.add(j.removeOrphans(ctx, dry))
	failed.add(j.resumeLost(ctx, dry))
	if !dry {
		if _, err := j.o.Routes.PurgeWithdrawn(ctx, j.o.Now().Add(-keepWithdrawn)); err != nil {
			failed.add(fmt.Errorf("purge withdrawn routes: %w", err))
		}
		if _, err := j.o.Routes.PurgeHistory(ctx, j.o.Now().Add(-keepHistory)); err != nil {
			failed.add(fmt.Errorf("purge histories of deleted apps: %w", err))
		}
	}
	return failed.err("sweep of orphaned sandboxes")
}

// removeOrphans removes resources without a living record of their generation.
//
// The list of resources is read first and each record after it. A record is stored before anything is built for it,
// so there is no moment at which a sandbox that just begins looks like an orphan.
func (j *Janitor) removeOrphans(ctx context.Context, dry bool) error {
	refs, err := j.o.Runtime.List(ctx)
	if err != nil {
		return fmt.Errorf("list resources: %w", err)
	}
	return each(ctx, refs, func(ref sandbox.Ref) error {
		rec, err := j.o.Records.Load(ctx, ref.ID)
		known := !errors.Is(err, sandbox.ErrNotFound)
		if err != nil && known {
			return fmt.Errorf("record of %s: %w", ref, err)
		}
		why := orphaned(ref, rec, known)
		if why == "" {
			return nil
		}
		j.o.Logger.InfoContext(ctx, "removing an orphan", "sandbox_id", ref.ID, "fence", ref.Fence, "why", why, "dry_run", dry)
		if dry {
			return nil
		}
		if err := j.o.Routes.WithdrawPreview(ctx, ref.ID, ref.Fence); err != nil {
			return fmt.Errorf("withdraw %s: %w", ref, err)
		}
		if err := j.o.Runtime.Delete(ctx, ref); err != nil {
			return fmt.Errorf("delete %s: %w", ref, err)
		}
		return nil
	})
}

// orphaned says why a resource belongs to nobody; "" means that it does not. known tells whether there is a record.
// A resource newer than its record is left alone: that is a database that was set back, and people must look.
func orphaned(ref sandbox.Ref, rec sandbox.Record, known bool) string {
	switch {
	case !known:
		return "there is no record"
	case ref.Fence < rec.Fence:
		return fmt.Sprintf("the sandbox is at fence %d", rec.Fence)
	case ref.Fence == rec.Fence && rec.State.Terminal():
		return "the sandbox is " + string(rec.State)
	default:
		return ""
	}
}
