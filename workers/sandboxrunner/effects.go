package sandboxrunner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/sandbox"
)

// waitsForQuota is for the owner of the app, who cannot mend it: which one it is, the log and the metrics tell the operator.
const waitsForQuota = "waiting: the platform's quota for sandboxes is used up"

// advance takes one step towards Ready: the effect, then the note of it.
func (r *Runner) advance(ctx context.Context, rec sandbox.Record, s step, st sandbox.Status) (sandbox.Record, error) {
	var err error
	switch s {
	case build:
		err = r.build(ctx, rec)
	case serve:
		err = r.serve(ctx, rec)
	default:
		err = r.publish(ctx, rec, st)
	}
	switch {
	case errors.Is(err, sandbox.ErrGone), errors.Is(err, deployment.ErrStale):
		return r.startOver(ctx, rec)
	case errors.Is(err, sandbox.ErrInvalid), errors.Is(err, deployment.ErrInvalid):
		return r.condemn(ctx, rec, decision{reason: err.Error()})
	case err != nil:
		err = fmt.Errorf("%s %s: %w", s, rec.Ref(), err)
		if errors.Is(err, sandbox.ErrQuota) && rec.Waiting == "" {
			r.o.Logger.WarnContext(ctx, "sandbox waits for a quota", "sandbox_id", rec.ID, "fence", rec.Fence, "error", err)
			_, noted := r.save(ctx, rec, func(rec *sandbox.Record) { rec.Waiting = waitsForQuota })
			err = errors.Join(err, noted)
		}
		return rec, err
	}
	now := r.o.Now()
	return r.save(ctx, rec, func(rec *sandbox.Record) {
		rec.Waiting = ""
		switch s {
		case build:
			rec.State, rec.PhaseDeadline = sandbox.Building, now.Add(r.o.Defaults.BuildTimeout+buildGrace)
		case serve:
			rec.State, rec.PhaseDeadline = sandbox.Starting, now.Add(r.o.Defaults.StartTimeout)
		default:
			rec.State, rec.Endpoint, rec.ReadyAt, rec.ActiveAt = sandbox.Ready, st.Endpoint, now, now
		}
	})
}

func (r *Runner) build(ctx context.Context, rec sandbox.Record) error {
	if rec.Fence > 1 { // what the generation before left goes first: there are never two
		if err := r.remove(ctx, sandbox.Ref{ID: rec.ID, Fence: rec.Fence - 1}); err != nil {
			return err
		}
	}
	task, err := r.task(ctx, rec)
	if err != nil {
		return err
	}
	beforeBuild.Hit()
	err = r.o.Runtime.Build(ctx, task)
	afterBuild.Hit()
	return err
}

func (r *Runner) serve(ctx context.Context, rec sandbox.Record) error {
	task, err := r.task(ctx, rec)
	if err != nil {
		return err
	}
	beforeServe.Hit()
	err = r.o.Runtime.Serve(ctx, task)
	afterServe.Hit()
	return err
}

func (r *Runner) task(ctx context.Context, rec sandbox.Record) (sandbox.Task, error) {
	spec, err := r.o.Records.Spec(ctx, rec.ID)
	if err != nil {
		return sandbox.Task{}, fmt.Errorf("spec: %w", err)
	}
	deadline := r.o.Now().Add(r.o.Defaults.BuildTimeout)
	return sandbox.Task{Ref: rec.Ref(), Spec: spec, ControlToken: rec.ControlToken, Deadline: deadline}, nil
}

func (r *Runner) publish(ctx context.Context, rec sandbox.Record, st sandbox.Status) error {
	beforePublish.Hit()
	err := r.o.Routes.PutPreview(ctx, deployment.Preview{
		SandboxID: rec.ID, Token: rec.Token, Fence: rec.Fence, Endpoint: st.Endpoint, PublishedAt: r.o.Now(),
	})
	afterPublish.Hit()
	return err
}

// startOver is for a generation that turns out to be deleted. Most likely the record has moved on; if it has not,
// the generation is lost.
func (r *Runner) startOver(ctx context.Context, seen sandbox.Record) (sandbox.Record, error) {
	rec, err := r.o.Records.Load(ctx, seen.ID)
	if err != nil || rec.Version != seen.Version {
		return rec, err
	}
	if d := lost(rec, r.o.Now(), "sandbox"); d.step == condemn {
		return r.condemn(ctx, rec, d)
	}
	return r.restart(ctx, rec)
}

// restart begins a new generation, under new tokens.
func (r *Runner) restart(ctx context.Context, rec sandbox.Record) (sandbox.Record, error) {
	return r.save(ctx, rec, func(rec *sandbox.Record) {
		rec.Fence++
		rec.Restarts++
		rec.Token, rec.ControlToken = sandbox.NewToken(), sandbox.NewControlToken()
		rec.State, rec.PhaseDeadline, rec.Waiting = sandbox.Requested, r.o.Now().Add(r.o.Defaults.BuildTimeout), ""
	})
}

// condemn writes down why the sandbox fails, while what tells is still there.
func (r *Runner) condemn(ctx context.Context, rec sandbox.Record, d decision) (sandbox.Record, error) {
	tail := d.logTail
	if tail == "" && d.phase != "" {
		tail = r.logTail(ctx, rec.Ref(), d.phase)
	}
	return r.save(ctx, rec, func(rec *sandbox.Record) { rec.Reason, rec.LogTail = d.reason, tail })
}

// logTail is the end of what a phase printed so far, as much of it as can be read.
func (r *Runner) logTail(ctx context.Context, ref sandbox.Ref, phase sandbox.Phase) string {
	logs, err := r.o.Runtime.Logs(ctx, ref, phase, 0)
	if err != nil {
		return ""
	}
	defer logs.Close()
	var end tail
	_, _ = io.Copy(&end, logs) // an unreadable rest is missing from the tail, nothing more
	return end.String()
}

// markStopping writes down that a user asked for the end. It applies to whatever the record has become meanwhile.
func (r *Runner) markStopping(ctx context.Context, seen sandbox.Record) (sandbox.Record, error) {
	return r.update(ctx, seen, func(rec *sandbox.Record) error {
		if rec.State.Terminal() || rec.State == sandbox.Stopping {
			return sandbox.ErrUnchanged
		}
		r.setStopping(rec, "stopped on request")
		return nil
	})
}

// markEnding writes down that the life is over, unless traffic came meanwhile: activity does not change the
// record's version.
func (r *Runner) markEnding(ctx context.Context, seen sandbox.Record, why string) (sandbox.Record, error) {
	return r.update(ctx, seen, func(rec *sandbox.Record) error {
		if _, due := ending(*rec, r.o.Now()); !due || rec.Version != seen.Version {
			return sandbox.ErrUnchanged
		}
		r.setStopping(rec, why)
		return nil
	})
}

func (r *Runner) setStopping(rec *sandbox.Record, why string) {
	rec.State, rec.Reason, rec.PhaseDeadline = sandbox.Stopping, why, r.o.Now().Add(stopTimeout)
}

// finish removes everything of a sandbox that shall end and closes its record.
func (r *Runner) finish(ctx context.Context, rec sandbox.Record) (sandbox.Record, error) {
	if rec.AppName != "" { // first, so that nobody is led to what is being removed
		if _, _, err := r.reroute(ctx, rec.AppName, rec.ID); err != nil {
			return rec, err
		}
	}
	if err := r.remove(ctx, rec.Ref()); err != nil {
		return rec, err
	}
	return r.save(ctx, rec, func(rec *sandbox.Record) {
		if rec.State == sandbox.Stopping {
			rec.State = sandbox.Deleted
		} else {
			rec.State = sandbox.Failed
		}
	})
}

// remove takes away the route, so that nobody comes any more, and then everything of the generation and those
// before it.
func (r *Runner) remove(ctx context.Context, ref sandbox.Ref) error {
	beforeWithdraw.Hit()
	if err := r.o.Routes.WithdrawPreview(ctx, ref.ID, ref.Fence); err != nil {
		return fmt.Errorf("withdraw %s: %w", ref, err)
	}
	beforeDelete.Hit()
	if err := r.o.Runtime.Delete(ctx, ref); err != nil {
		return fmt.Errorf("delete %s: %w", ref, err)
	}
	afterDelete.Hit()
	return nil
}

// save changes the record if it is still the one that was seen, and returns what is stored then.
func (r *Runner) save(ctx context.Context, seen sandbox.Record, change func(*sandbox.Record)) (sandbox.Record, error) {
	return r.update(ctx, seen, func(rec *sandbox.Record) error {
		if rec.Version != seen.Version {
			return sandbox.ErrUnchanged
		}
		change(rec)
		return nil
	})
}

func (r *Runner) update(ctx context.Context, seen sandbox.Record, change func(*sandbox.Record) error) (sandbox.Record, error) {
	beforeSave.Hit()
	rec, err := r.o.Records.Update(ctx, seen.ID, change)
	afterSave.Hit()
	if err == nil && (rec.State != seen.State || rec.Fence != seen.Fence) {
		r.o.Logger.InfoContext(ctx, "sandbox moved", "sandbox_id", rec.ID, "state", rec.State, "fence", rec.Fence,
			"age", rec.UpdatedAt.Sub(rec.CreatedAt).Round(time.Millisecond), "reason", rec.Reason)
	}
	return rec, err
}
