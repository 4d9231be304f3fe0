package janitor

import (
	"context"
	"fmt"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/schemas/gen"
)

// sweepStale publishes a STOP for each record that is due before the lookahead ends.
func (j *Janitor) sweepStale(ctx context.Context, dry bool) error {
	horizon := j.o.Now().Add(j.o.Lookahead)
	var failed failures
	err := j.pages(ctx, sandbox.Query{DueBefore: horizon}, func(page []sandbox.Record) {
		msgs := make([]events.Message, 0, len(page))
		for _, rec := range page {
			due, why := rec.DueAt()
			j.o.Logger.InfoContext(ctx, "sandbox is due", "sandbox_id", rec.ID, "state", rec.State, "why", why, "due", due, "dry_run", dry)
			m, err := request(stopRequest(rec, due, why))
			if err != nil {
				failed.add(fmt.Errorf("stop %s: %w", rec.ID, err))
				continue
			}
			m.NotBefore = due
			msgs = append(msgs, m)
		}
		failed.add(j.publish(ctx, msgs, dry))
	})
	failed.add(err)
	return failed.err("sweep of stale sandboxes")
}

// reasons are the reasons to stop, by why a record is due.
var reasons = map[sandbox.DueReason]gen.SandboxRequest_StopReason{
	sandbox.DueExpired: gen.SandboxRequest_EXPIRED,
	sandbox.DueIdle:    gen.SandboxRequest_IDLE,
	sandbox.DueStuck:   gen.SandboxRequest_STUCK,
}

// stopRequest asks for the end that the record is due for. The same due time gives the same request id.
func stopRequest(rec sandbox.Record, due time.Time, why sandbox.DueReason) *gen.SandboxRequest {
	return &gen.SandboxRequest{
		RequestId:  fmt.Sprintf("stop-%s-%d-%s-%d", rec.ID, rec.Fence, why, due.Unix()),
		Action:     gen.SandboxRequest_STOP,
		SandboxId:  rec.ID,
		StopReason: reasons[why],
	}
}
