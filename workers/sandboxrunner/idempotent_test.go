package sandboxrunner_test

import (
	"context"
	"fmt"
	"testing"

	"vibesdk-gcp/events"
	"vibesdk-gcp/workers/workertest"
)

// end is the state of the platform, and how often it built.
func (w *world) end(t *testing.T) func(context.Context) (any, error) {
	t.Helper()
	return func(ctx context.Context) (any, error) {
		state, err := w.State(ctx)
		return fmt.Sprintf("%+v after %d builds", state, w.Builds(t)), err
	}
}

func TestIdempotentRun(t *testing.T) {
	t.Parallel()
	workertest.Idempotent(t, workertest.Case{
		Open: func(t *testing.T, fx *workertest.Effects) workertest.World {
			t.Helper()
			w := newWorldOn(t, workertest.NewSandboxes(t, fx))
			good, bad := app("good", w.CountBuild()), app("bad", w.CountBuild()+"; exit 1")
			// The messages cannot know the platform's folder, so the handler puts its command in.
			return workertest.World{State: w.end(t), Handle: func(ctx context.Context, m events.Message) error {
				switch m.ID {
				case good.ID:
					m.Data = good.Data
				case bad.ID:
					m.Data = bad.Data
				}
				return w.Handle(ctx, m)
			}}
		},
		Messages: []events.Message{
			app("good", ""), app("bad", ""), app("refused", "", map[string]any{"devCommand": "x"}), stop("unknown", "USER"), resume("unknown"),
		},
	})
}

func TestIdempotentStop(t *testing.T) {
	t.Parallel()
	workertest.Idempotent(t, workertest.Case{
		Open: func(t *testing.T, fx *workertest.Effects) workertest.World {
			t.Helper()
			w := newWorldOn(t, workertest.NewSandboxes(t, fx))
			w.deliver(t, app("r1", "true"))
			return workertest.World{Handle: w.Handle, State: w.end(t)}
		},
		Messages: []events.Message{stop("r1", "USER"), stop("r1", "EXPIRED"), resume("r1"), app("r1", "true")},
	})
}

// TestIdempotentResume begins with a preview that was lost.
func TestIdempotentResume(t *testing.T) {
	t.Parallel()
	workertest.Idempotent(t, workertest.Case{
		Open: func(t *testing.T, fx *workertest.Effects) workertest.World {
			t.Helper()
			w := newWorldOn(t, workertest.NewSandboxes(t, fx))
			w.deliver(t, app("r1", "true"))
			w.Restart(t)
			return workertest.World{Handle: w.Handle, State: w.end(t)}
		},
		Messages: []events.Message{resume("r1"), app("r1", "true")},
	})
}
