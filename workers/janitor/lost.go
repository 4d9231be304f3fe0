package janitor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/schemas/gen"
)

// quiet is how long an unfinished record may stay as it is before somebody is asked to look. Whoever works on it
// looks every few seconds, so asking once too often costs little.
const quiet = time.Minute

// resumeLost publishes a RESUME for each living record that is not what the runtime shows, or that nobody seems
// to work on. Records beyond their deadline are the stale sweep's.
func (j *Janitor) resumeLost(ctx context.Context, dry bool) error {
	var failed failures
	alive := []sandbox.State{sandbox.Requested, sandbox.Building, sandbox.Starting, sandbox.Ready, sandbox.Stopping}
	err := j.pages(ctx, sandbox.Query{States: alive}, func(page []sandbox.Record) {
		var mu sync.Mutex
		var msgs []events.Message
		failed.add(each(ctx, page, func(rec sandbox.Record) error {
			st, err := j.o.Runtime.Inspect(ctx, rec.Ref())
			if err != nil {
				return fmt.Errorf("inspect %s: %w", rec.Ref(), err)
			}
			why := lost(rec, st, j.o.Now())
			if why == "" {
				return nil
			}
			j.o.Logger.InfoContext(ctx, "sandbox needs a look", "sandbox_id", rec.ID, "fence", rec.Fence, "state", rec.State, "why", why, "dry_run", dry)
			m, err := request(resumeRequest(rec))
			if err != nil {
				return fmt.Errorf("resume %s: %w", rec.ID, err)
			}
			mu.Lock()
			defer mu.Unlock()
			msgs = append(msgs, m)
			return nil
		}))
		failed.add(j.publish(ctx, msgs, dry))
	})
	failed.add(err)
	return failed.err("")
}

// lost says why a record needs a look; "" means that it does not.
func lost(rec sandbox.Record, st sandbox.Status, now time.Time) string {
	if _, due := rec.Due(now); due {
		return ""
	}
	switch {
	case rec.State == sandbox.Ready && st.Serve == sandbox.Absent,
		rec.State == sandbox.Starting && st.Serve == sandbox.Absent,
		rec.State == sandbox.Building && st.Build == sandbox.Absent:
		return "its resources are gone"
	case rec.State == sandbox.Ready && st.Serve == sandbox.Broken:
		return "its preview ended"
	case rec.State != sandbox.Ready && now.Sub(rec.UpdatedAt) >= quiet:
		return "it does not move"
	default:
		return ""
	}
}

// resumeRequest asks to look at a record. The same version gives the same request id.
func resumeRequest(rec sandbox.Record) *gen.SandboxRequest {
	return &gen.SandboxRequest{
		RequestId: fmt.Sprintf("resume-%s-%d-%d", rec.ID, rec.Fence, rec.Version),
		Action:    gen.SandboxRequest_RESUME,
		SandboxId: rec.ID,
	}
}
