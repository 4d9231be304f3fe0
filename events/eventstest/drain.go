package eventstest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"vibesdk-gcp/events"
)

// drainLosesNoAck stops while handlers run and others wait; what they acknowledged must not come again.
func drainLosesNoAck(w *world) {
	for _, ordered := range []bool{false, true} {
		topic := w.topic(ordered)
		sub := w.sub(topic, func(s *events.Subscription) { s.Concurrency = 4; s.MaxBatch = 3 })
		p, first := w.process(sub), newJournal()
		var started atomic.Int32
		busy, release := make(chan struct{}), make(chan struct{})
		p.consume(sub, func(ctx context.Context, m events.Message) error {
			if started.Add(1) == 4 {
				close(busy)
			}
			<-release
			if ctx.Err() != nil {
				w.Errorf("handler's context ended while draining: %v", context.Cause(ctx))
			}
			first.add(m)
			return nil
		})
		for n := range 10 {
			msgs := numbered(fmt.Sprint("k", n), 0, 4)
			for i := range msgs {
				if !ordered {
					msgs[i].Key = ""
				}
			}
			p.publish(topic, msgs...)
		}
		w.wait("four handlers", busy)
		p.cancel()
		close(release)
		p.stop()
		acked := first.ids("")
		if len(acked) < 4 {
			w.Fatalf("acknowledged %v, want at least the four that ran", acked)
		}

		p, second := w.process(sub), newJournal()
		p.consume(sub, second.handle)
		second.awaitIDs(w, 40-len(acked))
		second.quiet(w, 40-len(acked))
		both := map[string]bool{}
		for _, id := range append(acked, second.ids("")...) {
			if both[id] {
				w.Errorf("ordered=%t: %s was acknowledged and came again", ordered, id)
			}
			both[id] = true
		}
		p.stop()
	}
}

// drainLosesNoMessage stops again and again under load.
func drainLosesNoMessage(w *world) {
	topic := w.topic(true)
	sub := w.sub(topic, func(s *events.Subscription) { s.MaxBatch = 5 })
	j := newJournal()
	const rounds, each = 5, 40
	for round := range rounds {
		p := w.process(sub)
		p.consume(sub, j.handle)
		publishInterleaved(p, topic, round*each, (round+1)*each, "a", "b")
		p.stop()
	}
	p := w.process(sub)
	p.consume(sub, j.handle)
	j.awaitIDs(w, 2*rounds*each)
	wantOrder(w, j, rounds*each, "a", "b")
}

// consumersShareWork needs two processes to handle at the same time: each handler waits for the other.
func consumersShareWork(w *world) {
	topic := w.topic(false)
	sub := w.sub(topic, func(s *events.Subscription) { s.Concurrency = 1; s.MaxOutstanding = 1 })
	a, b := w.process(sub), w.process(sub)
	var both sync.WaitGroup
	both.Add(2)
	var once [2]sync.Once
	j := newJournal()
	for i, p := range []*process{a, b} {
		p.consume(sub, func(_ context.Context, m events.Message) error {
			once[i].Do(both.Done)
			both.Wait()
			j.add(m)
			return nil
		})
	}
	a.publish(topic, unkeyed("m", 10)...)
	j.awaitIDs(w, 10)
}

// consumersNeverShareAKey runs two processes on a few hot keys.
func consumersNeverShareAKey(w *world) {
	topic := w.topic(true)
	sub := w.sub(topic, func(s *events.Subscription) { s.MaxBatch = 3 })
	a, b := w.process(sub), w.process(sub)
	keys := []string{"a", "b", "c"}
	running := map[string]*atomic.Int32{}
	for _, key := range keys {
		running[key] = new(atomic.Int32)
	}
	j := newJournal()
	for _, p := range []*process{a, b} {
		p.consumeBatches(sub, func(_ context.Context, key string, run []events.Message) error {
			if running[key].Add(1) > 1 {
				w.Errorf("key %s is handled twice at once", key)
			}
			j.add(run...)
			running[key].Add(-1)
			return nil
		})
	}
	var wg sync.WaitGroup
	for i, key := range keys {
		wg.Go(func() { publishInterleaved([]*process{a, b}[i%2], topic, 0, 60, key) })
	}
	wg.Wait()
	j.awaitIDs(w, 60*len(keys))
	wantOrder(w, j, 60, keys...)
}
