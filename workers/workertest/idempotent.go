package workertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/events"
)

// World is a fresh copy of everything that a handler works on.
type World struct {
	Handle events.Handler
	// State returns what is so in the end, in a form that cmp compares: without what may differ from run to run,
	// such as times and tokens. It is asked when all messages are done.
	State func(ctx context.Context) (any, error)
}

// Case is a set of messages that a handler must be idempotent for.
type Case struct {
	// Open makes a world of its own for each subtest, which ends with t. Its drivers tell fx of every effect; those
	// before Open returns do not count.
	Open func(t *testing.T, fx *Effects) World
	// Messages are all that is published. Their order must not matter to the end state.
	Messages []events.Message
	// Timeout bounds one subtest. Defaults to three minutes.
	Timeout time.Duration
	// AtOnce is how many times each message is delivered concurrently. Defaults to 20.
	AtOnce int
}

// end is what is compared.
type end struct {
	State  any
	Parked []string // ids of messages that were parked
}

// Idempotent delivers the messages once and remembers the end state; then twice, in reverse, all of them many times
// at once, with a crash after each effect, and with the answer to each effect lost. Each must lead to the same end.
func Idempotent(t *testing.T, c Case) {
	t.Helper()
	if c.Timeout == 0 {
		c.Timeout = 3 * time.Minute
	}
	if c.AtOnce == 0 {
		c.AtOnce = 20
	}
	for i := range c.Messages {
		if c.Messages[i].ID == "" {
			c.Messages[i].ID = fmt.Sprintf("message-%d", i+1)
		}
	}
	var want end
	var effects []string
	if !t.Run("once", func(t *testing.T) {
		var fx Effects
		want = c.run(t, &fx, 0, nil, c.Messages)
		effects = fx.seen()
		t.Logf("%d effects: %v; end: %+v", len(effects), effects, want)
		if len(effects) == 0 {
			t.Error("no effects: nothing that a crash could follow")
		}
	}) {
		return
	}
	same := func(name string, run func(t *testing.T) end) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(want, run(t)); diff != "" {
				t.Errorf("another end (-once +%s):\n%s", name, diff)
			}
		})
	}
	backwards := slices.Clone(c.Messages)
	slices.Reverse(backwards)
	same("twice", func(t *testing.T) end {
		t.Helper()
		return c.run(t, new(Effects), 0, nil, slices.Concat(c.Messages, c.Messages))
	})
	same("backwards", func(t *testing.T) end {
		t.Helper()
		return c.run(t, new(Effects), 0, nil, backwards)
	})
	same("at once", c.runAtOnce)
	for _, how := range []struct {
		name  string
		crash func(string) error
	}{{"crash", panics}, {"lost answer", answerLost}} {
		for n := 1; n <= len(effects); n++ {
			same(fmt.Sprintf("%s after effect %d %s", how.name, n, effects[n-1]), func(t *testing.T) end {
				t.Helper()
				return c.run(t, new(Effects), n, how.crash, c.Messages)
			})
		}
	}
}

// run delivers one message after the other, with a crash after the n-th effect unless n is 0.
func (c Case) run(t *testing.T, fx *Effects, n int, crash func(string) error, msgs []events.Message) end {
	t.Helper()
	w, ctx := c.open(t, fx)
	fx.reset(n, crash)
	parked := map[string]bool{}
	for _, m := range msgs {
		isParked, err := Deliver(ctx, w.Handle, m)
		if err != nil {
			t.Fatal(err)
		}
		parked[m.ID] = parked[m.ID] || isParked != nil
	}
	return w.end(ctx, t, parked)
}

// runAtOnce delivers every message many times, all at the same time.
func (c Case) runAtOnce(t *testing.T) end {
	t.Helper()
	w, ctx := c.open(t, new(Effects))
	var mu sync.Mutex
	parked := map[string]bool{}
	var wg sync.WaitGroup
	start := make(chan struct{})
	for _, m := range c.Messages {
		for range c.AtOnce {
			wg.Go(func() {
				<-start
				isParked, err := Deliver(ctx, w.Handle, m)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				parked[m.ID] = parked[m.ID] || isParked != nil
			})
		}
	}
	close(start)
	wg.Wait()
	return w.end(ctx, t, parked)
}

func (c Case) open(t *testing.T, fx *Effects) (World, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), c.Timeout)
	t.Cleanup(cancel)
	return c.Open(t, fx), ctx
}

func (w World) end(ctx context.Context, t *testing.T, parked map[string]bool) end {
	t.Helper()
	state, err := w.State(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for id, is := range parked {
		if is {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return end{state, ids}
}
