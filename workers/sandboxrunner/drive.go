package sandboxrunner

import (
	"context"
	"fmt"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/sandbox"
)

const (
	// lookFor is how long one call watches the runtime before it asks for the message again.
	lookFor = time.Second
	// lookPause keeps a runtime that answers Await early from being asked without end.
	lookPause = 5 * time.Millisecond
	// minPause and maxPause bound the delay before a message that waits for the runtime comes again.
	minPause = 20 * time.Millisecond
	maxPause = 2 * time.Second
)

// drive takes steps until there is nothing left to do, then returns nil and, when the sandbox has an end that is near,
// its time. While the runtime is busy it returns a RetryAfter.
func (r *Runner) drive(ctx context.Context, rec sandbox.Record) (until time.Time, err error) {
	looking, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	// touched is the generation on which this call had an effect. Should it turn out to have ended before that,
	// the effect came too late to be seen by whoever ended it.
	var touched sandbox.Ref
	var seen sandbox.Status
	for {
		if touched.Fence > 0 && (rec.State.Terminal() || rec.Fence > touched.Fence) {
			if err := r.remove(ctx, touched); err != nil {
				return time.Time{}, err
			}
			touched = sandbox.Ref{}
		}
		var st sandbox.Status
		if _, over := ending(rec, r.o.Now()); watched(rec) && !over {
			if st, err = r.o.Runtime.Inspect(ctx, rec.Ref()); err != nil {
				return time.Time{}, fmt.Errorf("inspect %s: %w", rec.Ref(), err)
			}
		}
		d := decide(rec, st, r.o.Now())
		switch d.step {
		case nothing:
			return time.Time{}, nil
		case hold:
			return d.until, nil
		case look:
			if looking.Err() != nil {
				return time.Time{}, events.RetryAfter(pause(r.o.Now().Sub(rec.UpdatedAt)), string(rec.State))
			}
			rec, err = r.look(ctx, looking, rec, st, st == seen)
			seen = st
		case build, serve, publish:
			touched = rec.Ref()
			rec, err = r.advance(ctx, rec, d.step, st)
		case restart:
			rec, err = r.restart(ctx, rec)
		case condemn:
			rec, err = r.condemn(ctx, rec, d)
		case stop:
			rec, err = r.markEnding(ctx, rec, d.reason)
		case bury, dismantle:
			rec, err = r.finish(ctx, rec)
			touched = sandbox.Ref{}
		}
		if err != nil {
			return time.Time{}, err
		}
	}
}

// look waits until the runtime's status differs from st, at most until looking ends, and returns the record as it
// is then. again says that st was seen before, so the runtime answers early.
func (r *Runner) look(ctx, looking context.Context, rec sandbox.Record, st sandbox.Status, again bool) (sandbox.Record, error) {
	if again {
		early := time.NewTimer(lookPause)
		defer early.Stop()
		select {
		case <-early.C:
		case <-looking.Done():
		}
	}
	if err := r.o.Runtime.Await(looking, rec.Ref(), st); err != nil && looking.Err() == nil {
		return rec, fmt.Errorf("await %s: %w", rec.Ref(), err)
	}
	return r.o.Records.Load(ctx, rec.ID)
}

// pause grows with the time waited, so that a short wait ends promptly and a long one costs little.
func pause(waited time.Duration) time.Duration {
	return min(max(waited/50, minPause), maxPause)
}
