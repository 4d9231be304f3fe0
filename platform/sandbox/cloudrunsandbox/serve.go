package cloudrunsandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"vibesdk-gcp/platform/sandbox"
)

// Serve implements [sandbox.RuntimeDriver]. The preview's name is derived from the generation, so asking for it twice finds
// the first one.
func (d *Driver) Serve(ctx context.Context, t sandbox.Task) error {
	leave, err := d.busy.enter(ctx, t.Ref)
	if err != nil {
		return err
	}
	defer leave()
	if err := d.checkGrave(ctx, t.Ref); err != nil {
		return err
	}
	var built sandbox.GuestStatus
	switch err := d.read(ctx, key(t.Ref, buildStatus), &built); {
	case errors.Is(err, fs.ErrNotExist), err == nil && built.Progress != sandbox.Done:
		return fmt.Errorf("%w: the build of %s is %q, not done", sandbox.ErrTransition, t.Ref, built.Progress)
	case err != nil:
		return err
	}
	var known served
	if err := d.read(ctx, key(t.Ref, serveRun), &known); !errors.Is(err, fs.ErrNotExist) {
		return err // it is there, whatever came of it
	}
	now := d.o.Now()
	task, err := d.serveTask(ctx, t, built)
	if err != nil {
		return err
	}
	if err := d.write(ctx, key(t.Ref, serveTask), task); err != nil {
		return err
	}
	if err := d.createPreview(ctx, t); err != nil {
		return err
	}
	if err := d.write(ctx, key(t.Ref, serveRun), served{now}); err != nil {
		return err
	}
	return d.undoIfBuried(ctx, t.Ref)
}

func (d *Driver) createPreview(ctx context.Context, t sandbox.Task) error {
	var address string
	if err := d.sign(ctx, d.o.URLLifetime, get(&address, key(t.Ref, serveTask))); err != nil {
		return err
	}
	err := d.previews.create(ctx, d.previewSpec(t.Ref, t.Spec, address))
	if !errors.Is(err, errTaken) {
		return err
	}
	present, err := d.previews.get(ctx, previewName(t.Ref))
	switch {
	case errors.Is(err, errAbsent): // it went between the two
		return fmt.Errorf("%w: %w", sandbox.ErrUnavailable, errChanged)
	case err != nil:
		return err
	case present.deleting:
		return fmt.Errorf("%w: a preview of that name is being removed", sandbox.ErrUnavailable)
	default:
		return d.checkOwner(present, t.Ref)
	}
}
