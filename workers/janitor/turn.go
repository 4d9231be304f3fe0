package janitor

import (
	"context"
	"errors"
	"sync"
	"time"

	"vibesdk-gcp/events"
)

// busyAgain is when a tick comes again that found its sweep running.
const busyAgain = 10 * time.Second

// turns lets sweeps of one name run one after the other, and ticks that a sweep has served already go.
type turns struct {
	mu sync.Mutex
	by map[string]*turn
}

type turn struct {
	running bool
	// served is when the last sweep that went well began: it saw all that was so when ticks before it were sent.
	served time.Time
}

// alone runs a sweep that was asked for at a time. Ticks that were sent before the last good sweep began change nothing: a hundred of them
// after an outage are one sweep. While the sweep runs, here or in another process, the tick is put off.
func (j *Janitor) alone(ctx context.Context, name string, asked time.Time, sweep func() error) (err error) {
	began, served, ok := j.turns.begin(name, asked, j.o.Now())
	if served {
		j.o.Logger.DebugContext(ctx, "tick is served already", "sweep", name, "asked", asked)
		return nil
	}
	if !ok {
		return events.RetryAfter(busyAgain, "the sweep is running")
	}
	well := false // also after a panic
	defer func() { j.turns.end(name, began, well) }()
	if j.o.Lock != nil {
		unlock, ok, err := j.o.Lock(ctx, "janitor-"+name)
		if err != nil {
			return err
		}
		if !ok {
			return events.RetryAfter(busyAgain, "the sweep is running in another process")
		}
		defer func() { err = errors.Join(err, unlock()) }()
	}
	err = sweep()
	well = err == nil
	return err
}

func (t *turns) begin(name string, asked, now time.Time) (began time.Time, served, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.by[name]
	if one == nil {
		one = &turn{}
		t.by[name] = one
	}
	// A tick without a time is always worth a sweep.
	if !asked.IsZero() && asked.Before(one.served) {
		return now, true, false
	}
	if one.running {
		return now, false, false
	}
	one.running = true
	return now, false, true
}

func (t *turns) end(name string, began time.Time, well bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.by[name].running = false
	if well {
		t.by[name].served = began
	}
}
