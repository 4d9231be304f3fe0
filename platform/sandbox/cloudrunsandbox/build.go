package cloudrunsandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"vibesdk-gcp/platform/sandbox"
)

// Build implements [sandbox.RuntimeDriver]. The task is the intent; what may have been started for it is noted after.
func (d *Driver) Build(ctx context.Context, t sandbox.Task) error {
	leave, err := d.busy.enter(ctx, t.Ref)
	if err != nil {
		return err
	}
	defer leave()
	if err := d.checkGrave(ctx, t.Ref); err != nil {
		return err
	}
	var known runs
	switch err := d.read(ctx, key(t.Ref, buildRun), &known); {
	case err == nil && len(known.Executions) > 0:
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	task, err := d.buildTask(ctx, t)
	if err != nil {
		return err
	}
	first, err := d.create(ctx, key(t.Ref, buildTask), task)
	if err != nil {
		return err
	}
	if !first {
		// Somebody was here before and may have started an execution.
		found, err := d.again(ctx, t, task)
		if err != nil {
			return err
		}
		if found {
			return d.undoIfBuried(ctx, t.Ref)
		}
	}
	if err := d.execute(ctx, t, first); err != nil {
		return err
	}
	return d.undoIfBuried(ctx, t.Ref)
}

// again looks for what an earlier attempt started. When there is nothing it prepares for another attempt.
func (d *Driver) again(ctx context.Context, t sandbox.Task, task sandbox.GuestTask) (found bool, err error) {
	// First the sign that there may be more executions than are noted. What is noted stays.
	known := runs{Unsure: true}
	marked, err := d.create(ctx, key(t.Ref, buildRun), known)
	if err == nil && !marked {
		err = d.readIf(ctx, key(t.Ref, buildRun), &known)
	}
	if err != nil || len(known.Executions) > 0 {
		return err == nil, err
	}
	names, err := d.findExecutions(ctx, t.Ref)
	if err != nil {
		return false, err
	}
	if len(names) > 0 {
		return true, d.write(ctx, key(t.Ref, buildRun), runs{names, true})
	}
	return false, d.write(ctx, key(t.Ref, buildTask), task) // with addresses that are good
}

// execute starts an execution and notes it. When the answer is lost it looks for it.
func (d *Driver) execute(ctx context.Context, t sandbox.Task, first bool) error {
	var address string
	if err := d.sign(ctx, d.buildLifetime(t), get(&address, key(t.Ref, buildTask))); err != nil {
		return err
	}
	name, err := d.runJob(ctx, t.Ref, address, t.Deadline)
	switch {
	case err == nil:
		return d.noteExecution(ctx, t.Ref, name, first)
	case errors.Is(err, errAbsent):
		return fmt.Errorf("%w: there is no job %s: %w", sandbox.ErrUnavailable, d.o.Job, err)
	case !errors.Is(err, errUnsure) || ctx.Err() != nil:
		return err
	}
	names, lost := d.findExecutions(ctx, t.Ref)
	if lost != nil || len(names) == 0 {
		return err
	}
	return d.write(ctx, key(t.Ref, buildRun), runs{names, true})
}

func (d *Driver) noteExecution(ctx context.Context, ref sandbox.Ref, name string, first bool) error {
	if first {
		noted, err := d.create(ctx, key(ref, buildRun), runs{Executions: []string{name}})
		if noted || err != nil {
			return err
		}
	}
	var others runs
	if err := d.readIf(ctx, key(ref, buildRun), &others); err != nil {
		return err
	}
	if !slices.Contains(others.Executions, name) {
		others.Executions = append(others.Executions, name)
	}
	return d.write(ctx, key(ref, buildRun), runs{others.Executions, true})
}

func (d *Driver) checkGrave(ctx context.Context, ref sandbox.Ref) error {
	switch gone, err := d.buried(ctx, ref); {
	case err != nil:
		return err
	case gone:
		return fmt.Errorf("%w: %s", sandbox.ErrGone, ref)
	default:
		return nil
	}
}

// undoIfBuried removes what was made while the generation was deleted. Whoever deletes puts up the grave first and looks for
// what there is then, so of the two at least one sees the other.
func (d *Driver) undoIfBuried(ctx context.Context, ref sandbox.Ref) error {
	err := d.checkGrave(ctx, ref)
	if errors.Is(err, sandbox.ErrGone) {
		if undone := d.Delete(ctx, ref); undone != nil {
			return undone // the message comes again, and finds the grave
		}
	}
	return err
}
