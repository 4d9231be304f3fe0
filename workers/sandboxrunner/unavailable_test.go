package sandboxrunner_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/workers/sandboxrunner"
)

// full is a runtime that takes no work of one phase until there is room.
type full struct {
	sandbox.RuntimeDriver
	phase sandbox.Phase
	room  *atomic.Bool
}

func (f full) Build(ctx context.Context, t sandbox.Task) error {
	return f.take(sandbox.PhaseBuild, func() error { return f.RuntimeDriver.Build(ctx, t) })
}

func (f full) Serve(ctx context.Context, t sandbox.Task) error {
	return f.take(sandbox.PhaseServe, func() error { return f.RuntimeDriver.Serve(ctx, t) })
}

func (f full) take(phase sandbox.Phase, call func() error) error {
	if phase == f.phase && !f.room.Load() {
		return fmt.Errorf("%w: %w: 1000 services", sandbox.ErrUnavailable, sandbox.ErrQuota)
	}
	return call()
}

// TestARuntimeThatTakesNoWork is about a quota that is used up, when the build or the preview would begin: the message waits without
// counting as failed, the owner sees why, and it goes on when there is room, or fails when the record's deadline says that it takes too long.
func TestARuntimeThatTakesNoWork(t *testing.T) {
	t.Parallel()
	for phase, state := range map[sandbox.Phase]sandbox.State{sandbox.PhaseBuild: sandbox.Requested, sandbox.PhaseServe: sandbox.Building} {
		t.Run(string(phase), func(t *testing.T) {
			t.Parallel()
			var c clock
			var room atomic.Bool
			w := newWorld(t, at(c.now))
			o := w.options
			o.Runtime = sandbox.NewRuntime(full{w.Runtime, phase, &room}, sandbox.RuntimeOptions{})
			w.Runner = sandboxrunner.New(o)
			waits := func(requestID string) {
				t.Helper()
				m := app(requestID, "true")
				for refusals := 0; refusals < 30; { // more often than a message may fail
					err := w.Handle(t.Context(), m)
					if err == nil || events.IsPermanent(err) || !strings.HasPrefix(err.Error(), "again in ") {
						t.Fatalf("handler returned %v, want to be called again", err)
					}
					if strings.Contains(err.Error(), "1000 services") {
						refusals++
					}
				}
				if rec := w.load(t, requestID); rec.State != state || !strings.Contains(rec.Waiting, "quota") || rec.Reason != "" {
					t.Errorf("record is %s, waiting for %q", rec.State, rec.Waiting)
				}
			}
			waits("r1")
			c.advance(11 * time.Minute)
			w.deliver(t, app("r1", "true"))
			if rec := w.load(t, "r1"); rec.State != sandbox.Failed || !strings.Contains(rec.Reason, "timed out while waiting: ") || rec.Waiting != "" {
				t.Errorf("record is %s because %q", rec.State, rec.Reason)
			}
			waits("r2")
			room.Store(true)
			w.deliver(t, app("r2", "true"))
			if rec := w.load(t, "r2"); rec.State != sandbox.Ready || rec.Waiting != "" || rec.Fence != 1 {
				t.Errorf("with room the record is %s, waiting for %q", rec.State, rec.Waiting)
			}
		})
	}
}
