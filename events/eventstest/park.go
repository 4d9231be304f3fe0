package eventstest

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vibesdk-gcp/events"
)

// letter waits for the one dead letter and parses it.
func letter(w *world, dead *journal) events.DeadLetter {
	w.Helper()
	dead.awaitIDs(w, 1)
	d, err := events.ParseDeadLetter(dead.entries()[0])
	if err != nil {
		w.Fatalf("ParseDeadLetter: %v", err)
	}
	return d
}

func permanentErrorParksAtOnce(w *world) {
	topic := w.topic(true)
	sub := w.sub(topic)
	p, j := w.process(sub, events.Parked), newJournal()
	dead := p.parked()
	p.consume(sub, func(_ context.Context, m events.Message) error {
		j.add(m)
		return events.Permanent(fmt.Errorf("cannot be: %w", errTest))
	})
	m := events.Message{
		ID: "the-id", Type: "test.own.v1", Source: "s", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Key: "k", Data: []byte("data"), Attributes: map[string]string{"mine": "kept"},
	}
	p.publish(topic, m)
	got := letter(w, dead)
	want := events.DeadLetter{
		Message: m, Topic: topic.Name, Subscription: sub.Name, Reason: "cannot be: test failure", Attempts: 1, Permanent: true,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(events.DeadLetter{}, "ParkedAt")); diff != "" {
		w.Errorf("dead letter (-want +got):\n%s", diff)
	}
	if time.Since(got.ParkedAt).Abs() > time.Hour {
		w.Errorf("parked at %s", got.ParkedAt)
	}
	j.quiet(w, 1)
}

func poisonParksAfterTwentyAttempts(w *world) {
	topic := w.topic(false)
	sub := w.sub(topic)
	p, j := w.process(sub, events.Parked), newJournal()
	dead := p.parked()
	p.consume(sub, func(_ context.Context, m events.Message) error {
		j.add(m)
		return errTest
	})
	p.publish(topic, events.Message{ID: "poison"})
	got := letter(w, dead)
	if got.Message.ID != "poison" || got.Attempts != 20 || got.Permanent || got.Reason != errTest.Error() {
		w.Errorf("dead letter: got %+v, want 20 attempts of poison", got)
	}
	j.quiet(w, 20)
}

func poisonLetsItsKeyGoOn(w *world) {
	topic := w.topic(true)
	sub := w.sub(topic, func(s *events.Subscription) { s.Attempts = 3; s.MaxBatch = 10 })
	p, j := w.process(sub, events.Parked), newJournal()
	dead := p.parked()
	p.publish(topic, numbered("k", 0, 10)...)
	p.consume(sub, func(_ context.Context, m events.Message) error {
		if m.ID == "k/4" {
			return errTest
		}
		j.add(m)
		return nil
	})
	j.awaitIDs(w, 9)
	if got := letter(w, dead); got.Message.ID != "k/4" {
		w.Errorf("parked %s, want k/4", got.Message.ID)
	}
	want := []string{"k/0", "k/1", "k/2", "k/3", "k/5", "k/6", "k/7", "k/8", "k/9"}
	if diff := cmp.Diff(want, j.ids("k")); diff != "" {
		w.Errorf("handled (-want +got):\n%s", diff)
	}
}

func panicIsAnError(w *world) {
	topic := w.topic(false)
	sub := w.sub(topic, func(s *events.Subscription) { s.Attempts = 2 })
	p, j := w.process(sub, events.Parked), newJournal()
	dead := p.parked()
	p.consume(sub, func(_ context.Context, m events.Message) error {
		if m.ID == "bad" {
			panicHere()
		}
		j.add(m)
		return nil
	})
	p.publish(topic, events.Message{ID: "bad"}, events.Message{ID: "good"})
	j.awaitIDs(w, 1)
	got := letter(w, dead)
	if got.Reason != "panic: on purpose" || !strings.Contains(got.Stack, "panicHere") {
		w.Errorf("dead letter: reason %q, stack %q", got.Reason, got.Stack)
	}
}

func panicHere() { panic("on purpose") }

func exitIsAnError(w *world) {
	topic := w.topic(false)
	sub := w.sub(topic, func(s *events.Subscription) { s.Attempts = 2 })
	p := w.process(sub, events.Parked)
	dead := p.parked()
	p.consume(sub, func(context.Context, events.Message) error {
		runtime.Goexit()
		return nil
	})
	p.publish(topic, events.Message{ID: "bad"})
	if got := letter(w, dead); got.Reason != events.ErrExit.Error() {
		w.Errorf("reason: got %q, want %q", got.Reason, events.ErrExit)
	}
}

func deadLettersAreNeverParked(w *world) {
	topic := w.topic(false)
	sub := w.sub(topic)
	parked := events.Parked
	parked.Attempts, parked.MinBackoff, parked.MaxBackoff = 3, time.Millisecond, 2*time.Millisecond
	p, j := w.process(sub, parked), newJournal()
	p.consume(sub, func(context.Context, events.Message) error { return events.Permanent(errTest) })
	p.consume(parked, func(_ context.Context, m events.Message) error {
		j.add(m)
		switch n := len(j.entries()); {
		case n < 4:
			return errTest
		case n < 8:
			return events.Permanent(errTest)
		}
		return nil
	})
	p.publish(topic, events.Message{ID: "m"})
	j.await(w, "eight deliveries", func(all []events.Message) bool { return len(all) >= 8 })
	j.quiet(w, 8)
	if ids := j.ids(""); len(ids) != 1 {
		w.Errorf("dead letters %v, want one", ids)
	}
}
