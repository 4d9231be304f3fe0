package app

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"vibesdk-gcp/gateway/console"
	"vibesdk-gcp/internal/schedule"
)

// timetable is the schedule file, and what this process fired of it. It implements [console.Schedules] and is safe for concurrent use.
type timetable struct {
	entries []schedule.Entry

	mu     sync.Mutex
	fires  bool // this process has the role ticker
	paused map[string]bool
	last   map[string]firing
}

// firing is how an entry was fired last.
type firing struct {
	at      time.Time
	failure string
}

func newTimetable(entries []schedule.Entry) *timetable {
	return &timetable{entries: entries, paused: map[string]bool{}, last: map[string]firing{}}
}

// run fires what is due, but for what is paused, until ctx ends.
func (t *timetable) run(ctx context.Context, fire func(context.Context, schedule.Entry) error) error {
	t.mu.Lock()
	t.fires = true
	t.mu.Unlock()
	return schedule.Run(ctx, t.entries, func(ctx context.Context, e schedule.Entry) error {
		t.mu.Lock()
		paused := t.paused[e.Name]
		t.mu.Unlock()
		if paused {
			return nil
		}
		err := fire(ctx, e)
		if ctx.Err() != nil {
			return err
		}
		f := firing{at: time.Now()}
		if err != nil {
			f.failure = "it could not be published; the log says why"
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.last[e.Name] = f
		return err
	})
}

// plan is the schedule file, of which nothing is known yet.
func (t *timetable) plan() []console.Schedule {
	list := make([]console.Schedule, len(t.entries))
	for i, e := range t.entries {
		list[i] = console.Schedule{
			Name: e.Name, Description: e.Description, Cron: e.Cron, TimeZone: e.TimeZone, Topic: e.Topic, Payload: e.Payload, Next: e.Next(time.Now()),
		}
	}
	return list
}

// has reports whether the file has a schedule.
func (t *timetable) has(name string) bool {
	return slices.ContainsFunc(t.entries, func(e schedule.Entry) bool { return e.Name == name })
}

// List implements [console.Schedules].
func (t *timetable) List(context.Context) (console.Timetable, error) {
	out := console.Timetable{Schedules: t.plan()}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.fires {
		out.About = "Another process or Cloud Scheduler fires them, from the same schedule file; how they stand is known there. With SCHEDULER_LOCATION " +
			"the jobs of Cloud Scheduler are shown and paused here, and otherwise with vibectl schedules."
		return out, nil
	}
	out.Pausable, out.About = true, "This process fires them, from its schedule file. What is paused runs again after a restart."
	for i := range out.Schedules {
		s := &out.Schedules[i]
		last := t.last[s.Name]
		s.Known, s.Last, s.Failure, s.Paused = true, last.at, last.failure, t.paused[s.Name]
	}
	return out, nil
}

var errNotFired = errors.New("this process does not fire schedules")

// Pause implements [console.Schedules].
func (t *timetable) Pause(_ context.Context, name string) error { return t.turn(name, true) }

// Resume implements [console.Schedules].
func (t *timetable) Resume(_ context.Context, name string) error { return t.turn(name, false) }

func (t *timetable) turn(name string, paused bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.fires {
		return errNotFired
	}
	if !t.has(name) {
		return console.ErrNoSchedule
	}
	t.paused[name] = paused
	return nil
}
