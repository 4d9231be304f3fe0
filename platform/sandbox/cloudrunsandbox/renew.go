package cloudrunsandbox

import (
	"context"
	"log/slog"

	"vibesdk-gcp/platform/sandbox"
)

// renew gives a static preview fresh addresses when those that it has are at half of their life, so that one that sleeps for
// long can wake. It is tried whenever somebody looks, as the janitor does; a failure is told and tried the next time.
//
// A development server is left alone: other addresses are another revision, and with it another instance, without the
// files that were changed in this one.
func (d *Driver) renew(ctx context.Context, ref sandbox.Ref, present preview) {
	if err := d.tryRenew(ctx, ref, present); err != nil && ctx.Err() == nil {
		d.o.Logger.WarnContext(ctx, "addresses of a preview were not renewed", slog.String("sandbox_id", ref.ID), slog.Int64("fence", ref.Fence), slog.Any("error", err))
	}
}

func (d *Driver) tryRenew(ctx context.Context, ref sandbox.Ref, present preview) error {
	var last served
	if err := d.readIf(ctx, key(ref, serveRun), &last); err != nil {
		return err
	}
	now := d.o.Now()
	if now.Sub(last.SignedAt) < d.o.URLLifetime/2 {
		return nil
	}
	var task sandbox.GuestTask
	if err := d.read(ctx, key(ref, serveTask), &task); err != nil {
		return err
	}
	if task.Spec.Dev != "" {
		return nil
	}
	fresh, err := d.serveTask(ctx, task.Task, sandbox.GuestStatus{SnapshotDigest: task.SnapshotDigest})
	if err != nil {
		return err
	}
	if err := d.write(ctx, key(ref, serveTask), fresh); err != nil {
		return err
	}
	var address string
	if err := d.sign(ctx, d.o.URLLifetime, get(&address, key(ref, serveTask))); err != nil {
		return err
	}
	done, err := d.previews.update(ctx, present, d.previewSpec(ref, task.Spec, address))
	if err != nil || !done {
		return err
	}
	return d.write(ctx, key(ref, serveRun), served{now})
}
