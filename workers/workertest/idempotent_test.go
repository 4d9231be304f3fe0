package workertest_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/workers/workertest"
)

// ledger is a world with two stores that cannot be changed together: which messages were booked, and a sum.
type ledger struct {
	mu     sync.Mutex
	fx     *workertest.Effects
	booked map[string]bool
	sum    int
}

func (l *ledger) end(context.Context) (any, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return map[string]any{"sum": l.sum, "booked": maps.Clone(l.booked)}, nil
}

// right sets the sum from what is booked, which is the same however often it is done.
func (l *ledger) right(_ context.Context, m events.Message) error {
	if string(m.Data) == "bad" {
		return events.Permanent(errors.New("bad"))
	}
	l.mu.Lock()
	l.booked[m.ID] = true
	l.mu.Unlock()
	if err := l.fx.Did("book"); err != nil {
		return err
	}
	l.mu.Lock()
	l.sum = len(l.booked)
	l.mu.Unlock()
	return l.fx.Did("sum")
}

// adds counts every delivery.
func (l *ledger) adds(context.Context, events.Message) error {
	l.mu.Lock()
	l.sum++
	l.mu.Unlock()
	return l.fx.Did("sum")
}

// forgets books first and adds after: right when delivered again, wrong when it crashed between the two.
func (l *ledger) forgets(_ context.Context, m events.Message) error {
	l.mu.Lock()
	known := l.booked[m.ID]
	l.booked[m.ID] = true
	l.mu.Unlock()
	if known {
		return nil
	}
	if err := l.fx.Did("book"); err != nil {
		return err
	}
	l.mu.Lock()
	l.sum++
	l.mu.Unlock()
	return l.fx.Did("sum")
}

// last keeps the latest message, so its end depends on the order.
func (l *ledger) last(_ context.Context, m events.Message) error {
	l.mu.Lock()
	l.booked = map[string]bool{m.ID: true}
	l.mu.Unlock()
	return l.fx.Did("keep")
}

// races reads and writes without holding its lock between.
func (l *ledger) races(_ context.Context, m events.Message) error {
	l.mu.Lock()
	known, sum := l.booked[m.ID], l.sum
	l.mu.Unlock()
	if known {
		return nil
	}
	time.Sleep(time.Millisecond) // long enough for all that start at once to have read
	l.mu.Lock()
	l.booked[m.ID], l.sum = true, sum+1
	l.mu.Unlock()
	return l.fx.Did("sum")
}

func idempotent(t *testing.T, handler func(*ledger) events.Handler) {
	t.Helper()
	workertest.Idempotent(t, workertest.Case{
		Open: func(_ *testing.T, fx *workertest.Effects) workertest.World {
			l := &ledger{fx: fx, booked: map[string]bool{}}
			return workertest.World{Handle: handler(l), State: l.end}
		},
		Messages: []events.Message{{Data: []byte("a")}, {Data: []byte("b")}, {Data: []byte("bad")}},
	})
}

func TestAnIdempotentHandlerPasses(t *testing.T) {
	t.Parallel()
	idempotent(t, func(l *ledger) events.Handler { return l.right })
}

// TestWrongHandlersAreCaught runs this binary again for each wrong handler and looks for the failure it must have.
func TestWrongHandlersAreCaught(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]string{
		"adds":    "--- FAIL: TestWrongHandler/twice",
		"forgets": "--- FAIL: TestWrongHandler/crash_after_effect_1_book",
		"last":    "--- FAIL: TestWrongHandler/backwards",
		"races":   "--- FAIL: TestWrongHandler/at_once",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWrongHandler$")
			cmd.Env = append(os.Environ(), "WRONG_HANDLER="+name)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), failure) {
				t.Errorf("%v: want %q in\n%s", err, failure, out)
			}
		})
	}
}

func TestWrongHandler(t *testing.T) {
	name := os.Getenv("WRONG_HANDLER")
	if name == "" {
		t.Skip("run by TestWrongHandlersAreCaught")
	}
	idempotent(t, func(l *ledger) events.Handler {
		return map[string]events.Handler{"adds": l.adds, "forgets": l.forgets, "last": l.last, "races": l.races}[name]
	})
}
