package eventstest

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/events"
)

func redeliveryKeepsTheEnvelope(w *world) {
	topic := w.topic(true)
	sub := w.sub(topic)
	p, j := w.process(sub), newJournal()
	p.consume(sub, func(_ context.Context, m events.Message) error {
		j.add(m)
		if len(j.entries()) < 4 {
			return errTest
		}
		return nil
	})
	p.publish(topic, events.Message{Key: "k", Data: []byte("data"), Attributes: map[string]string{"a": "1", "b": "2"}})
	all := j.await(w, "four deliveries", func(all []events.Message) bool { return len(all) >= 4 })
	for i := range all {
		all[i].Attempt = 0
	}
	for _, again := range all[1:] {
		if diff := cmp.Diff(all[0], again); diff != "" {
			w.Errorf("redelivered message differs (-first +again):\n%s", diff)
		}
	}
}

// attempts lists the attempts that a journal saw.
func attempts(j *journal) []int {
	var got []int
	for _, m := range j.entries() {
		got = append(got, m.Attempt)
	}
	return got
}

func attemptsAreCounted(w *world) {
	for _, ordered := range []bool{false, true} {
		topic := w.topic(ordered)
		sub := w.sub(topic)
		p, j := w.process(sub), newJournal()
		p.consume(sub, func(_ context.Context, m events.Message) error {
			j.add(m)
			if m.Attempt < 5 {
				return errTest
			}
			return nil
		})
		m := events.Message{}
		if ordered {
			m.Key = "k"
		}
		p.publish(topic, m)
		j.await(w, "five deliveries", func(all []events.Message) bool { return len(all) >= 5 })
		j.quiet(w, 5)
		if diff := cmp.Diff([]int{1, 2, 3, 4, 5}, attempts(j)); diff != "" {
			w.Errorf("ordered=%t: attempts (-want +got):\n%s", ordered, diff)
		}
	}
}

func retryAfterIsNotCounted(w *world) {
	topic := w.topic(false)
	sub := w.sub(topic, func(s *events.Subscription) { s.Attempts = 2 })
	p, j := w.process(sub, events.Parked), newJournal()
	dead := p.parked()
	p.consume(sub, func(_ context.Context, m events.Message) error {
		j.add(m)
		if len(j.entries()) <= 25 {
			return events.RetryAfter(time.Millisecond, "not yet")
		}
		return nil
	})
	p.publish(topic, events.Message{})
	j.await(w, "26 deliveries", func(all []events.Message) bool { return len(all) >= 26 })
	for i, attempt := range attempts(j) {
		if attempt != 1 {
			w.Fatalf("delivery %d has attempt %d, want 1", i, attempt)
		}
	}
	dead.quiet(w, 0)
}

func retryAfterWaits(w *world) {
	topic := w.topic(false)
	sub := w.sub(topic)
	p, j := w.process(sub), newJournal()
	const wait = 700 * time.Millisecond
	var first atomic.Int64
	p.consume(sub, func(_ context.Context, m events.Message) error {
		j.add(m)
		if first.CompareAndSwap(0, time.Now().UnixNano()) {
			return events.RetryAfter(wait, "later")
		}
		if waited := time.Duration(time.Now().UnixNano() - first.Load()); waited < wait {
			w.Errorf("delivered again after %s, want at least %s", waited, wait)
		}
		return nil
	})
	p.publish(topic, events.Message{})
	j.await(w, "two deliveries", func(all []events.Message) bool { return len(all) >= 2 })
}

func delayedRetrySurvivesRestart(w *world) { restartDuringDelay(w, false) }

func delaySurvivesRestart(w *world) { restartDuringDelay(w, true) }

func restartDuringDelay(w *world, exact bool) {
	topic := w.topic(false)
	sub := w.sub(topic)
	const wait = 1500 * time.Millisecond
	p, j := w.process(sub), newJournal()
	var due atomic.Int64
	p.consume(sub, func(_ context.Context, m events.Message) error {
		due.Store(time.Now().Add(wait).UnixNano())
		j.add(m)
		return events.RetryAfter(wait, "later")
	})
	p.publish(topic, events.Message{ID: "delayed"})
	j.awaitIDs(w, 1)
	p.stop()

	p, j = w.process(sub), newJournal()
	p.consume(sub, func(_ context.Context, m events.Message) error {
		if exact && time.Now().UnixNano() < due.Load() {
			w.Errorf("delivered %s before it was due", time.Duration(due.Load()-time.Now().UnixNano()))
		}
		j.add(m)
		return nil
	})
	j.awaitIDs(w, 1)
	if diff := cmp.Diff([]string{"delayed"}, j.ids("")); diff != "" {
		w.Errorf("delivered (-want +got):\n%s", diff)
	}
}

func attemptsSurviveRestart(w *world) {
	for _, ordered := range []bool{false, true} {
		topic := w.topic(ordered)
		sub := w.sub(topic, func(s *events.Subscription) { s.MaxBackoff = time.Millisecond; s.MinBackoff = time.Millisecond })
		j := newJournal()
		for round := range 3 {
			p := w.process(sub)
			if round == 0 {
				m := events.Message{}
				if ordered {
					m.Key = "k"
				}
				p.publish(topic, m)
			}
			p.consume(sub, func(_ context.Context, m events.Message) error {
				j.add(m)
				return errTest
			})
			j.await(w, "a delivery", func(all []events.Message) bool { return len(all) > round })
			p.stop()
		}
		for i, attempt := range attempts(j) {
			if attempt != i+1 {
				w.Fatalf("ordered=%t: attempts %v, want 1, 2, 3, …", ordered, attempts(j))
			}
		}
	}
}
