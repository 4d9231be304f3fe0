package cloudrunsandbox

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"vibesdk-gcp/platform/sandbox"
)

// Delete implements [sandbox.RuntimeDriver]. The grave comes first: from then on nothing of the generation starts. When resources
// take longer to go than DeleteWait it returns ErrUnavailable, and calling it again goes on.
func (d *Driver) Delete(ctx context.Context, ref sandbox.Ref) error {
	doomed, err := d.generationsUpTo(ctx, ref)
	if err != nil {
		return err
	}
	for _, r := range doomed {
		if _, err := d.create(ctx, graveKey(r), struct{}{}); err != nil {
			return fmt.Errorf("delete %s: %w", r, err)
		}
	}
	var failed []error
	for _, r := range doomed {
		if err := d.dismantle(ctx, r); err != nil {
			failed = append(failed, fmt.Errorf("delete %s: %w", r, err))
		}
	}
	return errors.Join(failed...)
}

// generationsUpTo lists the generation and those before it of which there is something.
func (d *Driver) generationsUpTo(ctx context.Context, ref sandbox.Ref) ([]sandbox.Ref, error) {
	keys, err := d.list(ctx, generations+ref.ID+"/")
	refs := []sandbox.Ref{ref}
	for _, k := range keys {
		if r, ok := refOf(k, generations); ok && r.Fence < ref.Fence && !slices.Contains(refs, r) {
			refs = append(refs, r)
		}
	}
	return refs, err
}

// dismantle removes a generation: what runs, then what is stored.
func (d *Driver) dismantle(ctx context.Context, ref sandbox.Ref) error {
	found, err := d.look(ctx, ref)
	if err != nil {
		return err
	}
	names, err := d.executionsOf(ctx, ref, found)
	if err != nil {
		return err
	}
	served := found[serveTask] || len(found) == 0
	gone, err := d.poll(ctx, d.o.DeleteWait, func(ctx context.Context) (bool, error) {
		rest := names[:0:0]
		for _, name := range names {
			gone, err := d.endExecution(ctx, name)
			if err != nil {
				return false, err
			}
			if !gone {
				rest = append(rest, name)
			}
		}
		names = rest
		if served {
			gone, err := d.endPreview(ctx, ref)
			if err != nil {
				return false, err
			}
			served = !gone
		}
		return len(names) == 0 && !served, nil
	})
	switch {
	case err != nil:
		return err
	case !gone:
		return fmt.Errorf("%w: Cloud Run is still removing it", sandbox.ErrUnavailable)
	}
	return d.removeObjects(ctx, ref)
}

// executionsOf lists the executions of a generation: those that are noted when they are all, else those that can be found.
func (d *Driver) executionsOf(ctx context.Context, ref sandbox.Ref, found objects) ([]string, error) {
	var known runs
	if found[buildRun] {
		if err := d.readIf(ctx, key(ref, buildRun), &known); err != nil {
			return nil, err
		}
		if !known.Unsure {
			return known.Executions, nil
		}
	}
	names, err := d.findExecutions(ctx, ref)
	for _, name := range known.Executions {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, err
}

// endPreview asks for the end of a generation's preview, and reports whether it is gone.
func (d *Driver) endPreview(ctx context.Context, ref sandbox.Ref) (gone bool, err error) {
	present, err := d.previews.get(ctx, previewName(ref))
	switch {
	case errors.Is(err, errAbsent):
		return true, nil
	case err != nil:
		return false, err
	}
	if owner, ok := d.ref(present); !ok || owner != ref {
		return true, nil // not ours: leave it alone
	}
	if present.deleting {
		return false, nil
	}
	err = d.previews.remove(ctx, present)
	if errors.Is(err, errAbsent) {
		return true, nil
	}
	if errors.Is(err, errChanged) { // look again
		return false, nil
	}
	return false, err
}
