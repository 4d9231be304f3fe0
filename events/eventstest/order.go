package eventstest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/events"
)

var errTest = errors.New("test failure")

// wantOrder fails unless the ids of each key came in publish order.
func wantOrder(w *world, j *journal, count int, keys ...string) {
	w.Helper()
	for _, key := range keys {
		var want []string
		for _, m := range numbered(key, 0, count) {
			want = append(want, m.ID)
		}
		if diff := cmp.Diff(want, j.ids(key)); diff != "" {
			w.Errorf("order of key %s (-published +handled):\n%s", key, diff)
		}
	}
}

// publishInterleaved publishes count messages of each key, one key's after the other's.
func publishInterleaved(p *process, topic events.Topic, from, to int, keys ...string) {
	p.w.Helper()
	for n := from; n < to; n++ {
		var msgs []events.Message
		for _, key := range keys {
			msgs = append(msgs, numbered(key, n, n+1)...)
		}
		p.publish(topic, msgs...)
	}
}

func keyIsInOrder(w *world) {
	topic := w.topic(true)
	sub := w.sub(topic)
	p, j := w.process(sub), newJournal()
	p.consume(sub, j.handle)
	keys := []string{"a", "b", "c", "d", "e"}
	var wg sync.WaitGroup
	for _, key := range keys {
		wg.Go(func() { publishInterleaved(p, topic, 0, 30, key) })
	}
	wg.Wait()
	j.awaitIDs(w, 30*len(keys))
	wantOrder(w, j, 30, keys...)
}

func keyIsInOrderAcrossRetries(w *world) {
	topic := w.topic(true)
	for _, batch := range []int{1, 8} {
		sub := w.sub(topic, func(s *events.Subscription) { s.MaxBatch = batch; s.Attempts = 100 })
		p, j := w.process(sub), newJournal()
		p.consume(sub, func(_ context.Context, m events.Message) error {
			h := fnv.New32a()
			_, _ = h.Write([]byte(m.ID)) // never fails
			if m.Attempt <= int(h.Sum32()%3) {
				return errTest
			}
			j.add(m)
			return nil
		})
		publishInterleaved(p, topic, 0, 20, "a", "b", "c")
		j.awaitIDs(w, 60)
		wantOrder(w, j, 20, "a", "b", "c")
		p.stop()
	}
}

func keyIsInOrderAcrossRestarts(w *world) {
	topic := w.topic(true)
	sub := w.sub(topic, func(s *events.Subscription) { s.MaxBatch = 4; s.Attempts = 1000 })
	j := newJournal()
	const rounds, each = 4, 10
	for round := range rounds {
		p := w.process(sub)
		p.consume(sub, func(_ context.Context, m events.Message) error {
			if len(j.ids(m.Key)) >= (round+1)*each-each/2 && round < rounds-1 {
				return errTest // leaves the rest to the next process
			}
			j.add(m)
			return nil
		})
		publishInterleaved(p, topic, round*each, (round+1)*each, "a", "b")
		want := (round+1)*each - each/2
		if round == rounds-1 {
			want = rounds * each
		}
		j.awaitIDs(w, 2*want)
		p.stop()
	}
	wantOrder(w, j, rounds*each, "a", "b")
}

func slowKeyStallsNoOther(w *world) {
	topic := w.topic(true)
	sub := w.sub(topic, func(s *events.Subscription) { s.Concurrency = 4 })
	p, j := w.process(sub), newJournal()
	started, release := make(chan struct{}), make(chan struct{})
	p.consume(sub, func(_ context.Context, m events.Message) error {
		if m.ID == "slow/0" {
			close(started)
			<-release
		}
		j.add(m)
		return nil
	})
	p.publish(topic, numbered("slow", 0, 20)...)
	w.wait("the slow message", started)
	for n := range 10 {
		p.publish(topic, numbered(fmt.Sprint("other", n), 0, 5)...)
	}
	j.awaitIDs(w, 50)
	if ids := j.ids("slow"); len(ids) > 0 {
		w.Errorf("handled %v while slow/0 was being handled", ids)
	}
	close(release)
	j.awaitIDs(w, 70)
	wantOrder(w, j, 20, "slow")
}

func delayedKeyStallsNoOther(w *world) {
	topic := w.topic(true)
	sub := w.sub(topic, func(s *events.Subscription) { s.Concurrency = 2 })
	p, j := w.process(sub), newJournal()
	var others sync.WaitGroup
	others.Add(3 * 10)
	p.consume(sub, func(_ context.Context, m events.Message) error {
		if m.Key != "other" {
			j.add(m)
			return events.RetryAfter(time.Hour, "waits")
		}
		others.Done()
		return nil
	})
	for n := range 8 {
		p.publish(topic, numbered(fmt.Sprint("delayed", n), 0, 3)...)
	}
	j.awaitIDs(w, 8)
	p.publish(topic, numbered("other", 0, 30)...)
	done := make(chan struct{})
	go func() { others.Wait(); close(done) }()
	w.wait("the other key", done)
	if got := len(j.ids("")); got != 8 {
		w.Errorf("%d messages of delayed keys were handed out, want the 8 heads", got)
	}
}
