package eventstest

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"vibesdk-gcp/events"
)

// world is what one case works in: a broker of its own.
type world struct {
	*testing.T
	f    Features
	open Opener
}

// quietLog keeps the failures that cases provoke out of the test log.
var quietLog = slog.New(slog.DiscardHandler)

// topic names a new topic.
func (w *world) topic(ordered bool) events.Topic {
	return events.Topic{Name: "topic-" + uuid.NewString(), Type: "test.case.v1", Ordered: ordered}
}

// sub names a new subscription with short backoff, changed by edits.
func (w *world) sub(topic events.Topic, edits ...func(*events.Subscription)) events.Subscription {
	s := events.Subscription{
		Name: "sub-" + uuid.NewString(), Topic: topic,
		MinBackoff: 2 * time.Millisecond, MaxBackoff: 10 * time.Millisecond,
	}
	for _, edit := range edits {
		edit(&s)
	}
	return s
}

// process opens the broker with a bus on it. Ending the case closes it.
func (w *world) process(subs ...events.Subscription) *process {
	w.Helper()
	p := &process{w: w, Bus: events.New(w.open(w, subs...), events.Options{
		Source: "eventstest", Logger: quietLog, DrainTimeout: w.f.Patience,
	})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	w.Cleanup(p.stop)
	return p
}

// process is one run of a program: a bus and its consumers.
type process struct {
	*events.Bus
	w       *world
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	once    sync.Once
}

func (p *process) consume(sub events.Subscription, h events.Handler) {
	p.running.Go(func() {
		if err := p.Consume(p.ctx, sub, h); err != nil {
			p.w.Errorf("Consume: %v", err)
		}
	})
}

func (p *process) consumeBatches(sub events.Subscription, h events.BatchHandler) {
	p.running.Go(func() {
		if err := p.ConsumeBatches(p.ctx, sub, h); err != nil {
			p.w.Errorf("ConsumeBatches: %v", err)
		}
	})
}

// stop drains the consumers and closes the bus.
func (p *process) stop() {
	p.once.Do(func() {
		p.cancel()
		p.running.Wait()
		if err := p.Close(); err != nil {
			p.w.Errorf("Close: %v", err)
		}
	})
}

func (p *process) publish(topic events.Topic, msgs ...events.Message) {
	p.w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), p.w.f.Patience)
	defer cancel()
	if err := p.Publish(ctx, topic, msgs...); err != nil {
		p.w.Fatalf("Publish: %v", err)
	}
}

// numbered makes messages of a key with the ids key/0, key/1, ….
func numbered(key string, from, to int) []events.Message {
	var msgs []events.Message
	for n := from; n < to; n++ {
		msgs = append(msgs, events.Message{ID: fmt.Sprintf("%s/%d", key, n), Key: key, Data: []byte(`{}`)})
	}
	return msgs
}

// unkeyed makes messages without a key with the ids name/0, name/1, ….
func unkeyed(name string, count int) []events.Message {
	msgs := numbered(name, 0, count)
	for i := range msgs {
		msgs[i].Key = ""
	}
	return msgs
}

// journal records deliveries in order. It is safe for concurrent use.
type journal struct {
	mu   sync.Mutex
	all  []events.Message
	news chan struct{}
}

func newJournal() *journal { return &journal{news: make(chan struct{}, 1)} }

func (j *journal) add(msgs ...events.Message) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.all = append(j.all, msgs...)
	select {
	case j.news <- struct{}{}:
	default:
	}
}

// handle records the message and acknowledges it.
func (j *journal) handle(_ context.Context, m events.Message) error {
	j.add(m)
	return nil
}

func (j *journal) entries() []events.Message {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]events.Message(nil), j.all...)
}

// ids lists the distinct ids of a key in the order of their first entry. Key "" lists all.
func (j *journal) ids(key string) []string {
	seen := map[string]bool{}
	var ids []string
	for _, m := range j.entries() {
		if (key == "" || m.Key == key) && !seen[m.ID] {
			seen[m.ID] = true
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// await waits until the journal satisfies ok and returns it.
func (j *journal) await(w *world, what string, ok func([]events.Message) bool) []events.Message {
	w.Helper()
	deadline := time.After(w.f.Patience)
	for {
		if all := j.entries(); ok(all) {
			return all
		}
		select {
		case <-j.news:
		case <-deadline:
			w.Fatalf("%s: not seen in %s; %d deliveries: %v", what, w.f.Patience, len(j.entries()), j.ids(""))
		}
	}
}

// awaitIDs waits until count different ids were recorded.
func (j *journal) awaitIDs(w *world, count int) {
	w.Helper()
	j.await(w, fmt.Sprintf("%d messages", count), func([]events.Message) bool { return len(j.ids("")) >= count })
}

// quiet watches for a while and fails when more than the known entries are recorded.
func (j *journal) quiet(w *world, known int) {
	w.Helper()
	watch := time.After(w.f.Quiet)
	for {
		if all := j.entries(); len(all) > known {
			w.Fatalf("%d deliveries, want %d; the last is %s", len(all), known, all[len(all)-1].ID)
		}
		select {
		case <-j.news:
		case <-watch:
			return
		}
	}
}

// wait waits for a signal.
func (w *world) wait(what string, c <-chan struct{}) {
	w.Helper()
	select {
	case <-c:
	case <-time.After(w.f.Patience):
		w.Fatalf("%s: not seen in %s", what, w.f.Patience)
	}
}

// parked consumes the dead letters.
func (p *process) parked() *journal {
	j := newJournal()
	p.consume(events.Parked, j.handle)
	return j
}
