package eventstest

import (
	"context"
	"sync"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/events"
)

func runsHoldOneKeyInOrder(w *world) {
	topic := w.topic(true)
	sub := w.sub(topic, func(s *events.Subscription) { s.MaxBatch = 7 })
	p, j := w.process(sub), newJournal()
	publishInterleaved(p, topic, 0, 40, "a", "b", "c")
	p.consumeBatches(sub, func(_ context.Context, key string, run []events.Message) error {
		if len(run) == 0 || len(run) > 7 {
			w.Errorf("run of %d messages, want 1 to 7", len(run))
		}
		for _, m := range run {
			if m.Key != key {
				w.Errorf("message %s of key %s in a run of key %s", m.ID, m.Key, key)
			}
		}
		j.add(run...)
		return nil
	})
	j.awaitIDs(w, 120)
	wantOrder(w, j, 40, "a", "b", "c")
}

func batchOutcomesApplyToEach(w *world) {
	topic := w.topic(true)
	sub := w.sub(topic, func(s *events.Subscription) { s.MaxBatch = 5 })
	p, done, tried := w.process(sub, events.Parked), newJournal(), newJournal()
	dead := p.parked()
	p.publish(topic, numbered("k", 0, 10)...)
	var failed sync.Map
	p.consumeBatches(sub, func(_ context.Context, _ string, run []events.Message) error {
		errs := make([]error, len(run))
		for i, m := range run {
			tried.add(m)
			switch m.ID {
			case "k/1":
				errs[i] = events.Permanent(errTest)
				continue
			case "k/3", "k/7":
				if _, again := failed.LoadOrStore(m.ID, true); !again {
					errs[i] = errTest
				}
			}
			if errs[i] != nil {
				return &events.BatchError{Errs: errs}
			}
			done.add(m)
		}
		return &events.BatchError{Errs: errs}
	})
	done.await(w, "the last message", func([]events.Message) bool {
		ids := done.ids("k")
		return len(ids) > 0 && ids[len(ids)-1] == "k/9"
	})
	want := []string{"k/0", "k/2", "k/3", "k/4", "k/5", "k/6", "k/7", "k/8", "k/9"}
	if diff := cmp.Diff(want, done.ids("k")); diff != "" {
		w.Errorf("handled (-want +got):\n%s", diff)
	}
	dead.awaitIDs(w, 1)
	if diff := cmp.Diff([]string{"k/1"}, dead.ids("")); diff != "" {
		w.Errorf("parked (-want +got):\n%s", diff)
	}
	wantOrder(w, tried, 10, "k")
}
