package pubsubbus_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/pubsubbus"
	"vibesdk-gcp/internal/testenv"
)

var (
	unordered = events.Topic{Name: "unordered", Type: "test.v1"}
	keyed     = events.Topic{Name: "keyed", Type: "test.v1", Ordered: true}
	errTest   = errors.New("test failure")
)

const patience = time.Minute

// tally records which messages were handled. It is safe for concurrent use.
type tally struct {
	mu   sync.Mutex
	seen map[string][]int // attempts by id
	news chan struct{}
}

func newTally() *tally { return &tally{seen: map[string][]int{}, news: make(chan struct{}, 1)} }

func (c *tally) add(m events.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[m.ID] = append(c.seen[m.ID], m.Attempt)
	select {
	case c.news <- struct{}{}:
	default:
	}
}

func (c *tally) attempts(id string) []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]int(nil), c.seen[id]...)
}

func (c *tally) await(t *testing.T, what string, ok func(seen map[string][]int) bool) {
	t.Helper()
	for deadline := time.After(patience); ; {
		c.mu.Lock()
		satisfied, count := ok(c.seen), len(c.seen)
		c.mu.Unlock()
		if satisfied {
			return
		}
		select {
		case <-c.news:
		case <-deadline:
			t.Fatalf("%s: not seen in %s, %d messages were", what, patience, count)
		}
	}
}

func count(n int) func(map[string][]int) bool {
	return func(seen map[string][]int) bool { return len(seen) >= n }
}

// start opens a bus and consumes. The returned function drains and closes it.
func start(t *testing.T, o pubsubbus.Options, subs map[*events.Subscription]events.Handler) (bus *events.Bus, stop func()) {
	t.Helper()
	var all []events.Subscription
	for sub := range subs {
		all = append(all, *sub)
	}
	o.Logger = slog.New(slog.DiscardHandler)
	bus = events.New(openEmulator(t, o, all...), events.Options{Source: "test", Logger: o.Logger})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for sub, handler := range subs {
		if handler == nil {
			continue
		}
		running.Go(func() {
			if err := bus.Consume(ctx, *sub, handler); err != nil {
				t.Errorf("Consume: %v", err)
			}
		})
	}
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if err := bus.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	t.Cleanup(stop)
	return bus, stop
}

func publish(t *testing.T, bus *events.Bus, topic events.Topic, msgs ...events.Message) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := bus.Publish(ctx, topic, msgs...); err != nil {
		t.Fatalf("Publish: %v", err)
	}
}

// TestRestartsLoseNothing drains again and again under load, with retries under way.
func TestRestartsLoseNothing(t *testing.T) {
	t.Parallel()
	endpoint, project := testenv.PubSub(t)
	o := pubsubbus.Options{Endpoint: endpoint, Project: project}
	plain := events.Subscription{Name: "plain", Topic: unordered, MinBackoff: time.Millisecond, Attempts: 1000}
	ordered := events.Subscription{Name: "ordered", Topic: keyed, MinBackoff: time.Millisecond, Attempts: 1000}
	handled := newTally()
	var n atomic.Int64
	handler := func(_ context.Context, m events.Message) error {
		if n.Add(1)%3 == 0 {
			return errTest
		}
		handled.add(m)
		return nil
	}
	const rounds, each = 5, 40
	for round := range rounds {
		bus, stop := start(t, o, map[*events.Subscription]events.Handler{&plain: handler, &ordered: handler})
		for i := range each {
			publish(t, bus, unordered, events.Message{ID: fmt.Sprintf("plain/%d/%d", round, i)})
			publish(t, bus, keyed, events.Message{ID: fmt.Sprintf("ordered/%d/%d", round, i), Key: fmt.Sprint(i % 3)})
		}
		stop()
	}
	start(t, o, map[*events.Subscription]events.Handler{&plain: handler, &ordered: handler})
	handled.await(t, "all messages", count(2*rounds*each))
}

// TestAttemptsSurviveRestart is the half of the suite's case that the driver promises.
func TestAttemptsSurviveRestart(t *testing.T) {
	t.Parallel()
	endpoint, project := testenv.PubSub(t)
	o := pubsubbus.Options{Endpoint: endpoint, Project: project}
	sub := events.Subscription{Name: "sub", Topic: unordered, MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond}
	tried := newTally()
	for round := range 3 {
		bus, stop := start(t, o, map[*events.Subscription]events.Handler{&sub: func(_ context.Context, m events.Message) error {
			tried.add(m)
			return errTest
		}})
		if round == 0 {
			publish(t, bus, unordered, events.Message{ID: "m"})
		}
		tried.await(t, "another attempt", func(seen map[string][]int) bool { return len(seen["m"]) > round })
		stop()
	}
	for i, attempt := range tried.attempts("m") {
		if attempt != i+1 {
			t.Fatalf("attempts %v, want 1, 2, 3, …", tried.attempts("m"))
		}
	}
}

// TestLongDelay sends a message back to the broker, where only the subscription that asked for it gets the copy.
func TestLongDelay(t *testing.T) {
	t.Parallel()
	endpoint, project := testenv.PubSub(t)
	o := pubsubbus.Options{Endpoint: endpoint, Project: project, HoldLimit: 50 * time.Millisecond}
	late := events.Subscription{Name: "late", Topic: unordered}
	other := events.Subscription{Name: "other", Topic: unordered}
	handled, others := newTally(), newTally()
	const wait = 400 * time.Millisecond
	var due atomic.Pointer[time.Time]
	bus, _ := start(t, o, map[*events.Subscription]events.Handler{
		&late: func(_ context.Context, m events.Message) error {
			handled.add(m)
			if at := due.Load(); at != nil {
				if time.Now().Before(*at) {
					t.Errorf("delivered %s early", time.Until(*at))
				}
				return nil
			}
			at := time.Now().Add(wait)
			due.Store(&at)
			return events.RetryAfter(wait, "later")
		},
		&other: func(_ context.Context, m events.Message) error { others.add(m); return nil },
	})
	publish(t, bus, unordered, events.Message{ID: "m"})
	handled.await(t, "the second delivery", func(seen map[string][]int) bool { return len(seen["m"]) == 2 })
	publish(t, bus, unordered, events.Message{ID: "last"})
	others.await(t, "the last message", func(seen map[string][]int) bool { return len(seen["last"]) == 1 })
	if diff := cmp.Diff([]int{1}, others.attempts("m")); diff != "" {
		t.Errorf("deliveries to the other subscription (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{1, 1}, handled.attempts("m")); diff != "" {
		t.Errorf("attempts (-want +got):\n%s", diff)
	}
}

// TestDelayedMessagesMakeRoom publishes more messages for tomorrow than the consumer holds.
func TestDelayedMessagesMakeRoom(t *testing.T) {
	t.Parallel()
	endpoint, project := testenv.PubSub(t)
	o := pubsubbus.Options{Endpoint: endpoint, Project: project, HoldLimit: 50 * time.Millisecond}
	sub := events.Subscription{Name: "sub", Topic: unordered, MaxOutstanding: 4}
	handled := newTally()
	bus, _ := start(t, o, map[*events.Subscription]events.Handler{
		&sub: func(_ context.Context, m events.Message) error { handled.add(m); return nil },
	})
	for i := range 12 {
		publish(t, bus, unordered, events.Message{ID: fmt.Sprint("tomorrow", i), NotBefore: time.Now().Add(24 * time.Hour)})
	}
	publish(t, bus, unordered, events.Message{ID: "now"})
	handled.await(t, "the message that is due", count(1))
	if got := len(handled.attempts("now")); got != 1 {
		t.Errorf("a message for tomorrow was handled today")
	}
}

func TestEnsureResources(t *testing.T) {
	t.Parallel()
	endpoint, project := testenv.PubSub(t)
	open := func(o pubsubbus.Options) *pubsubbus.Driver {
		t.Helper()
		o.Endpoint, o.Project = endpoint, project
		d, err := pubsubbus.New(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
		return d
	}
	// The whole topic table, from several processes at once.
	sources := fstest.MapFS{}
	for _, topic := range events.Topics() {
		if topic.Schema != "" {
			sources[topic.Schema] = &fstest.MapFile{Data: []byte(`syntax = "proto3"; message M {}`)}
		}
	}
	var all sync.WaitGroup
	for range 3 {
		d := open(pubsubbus.Options{Schemas: sources})
		all.Go(func() {
			if err := d.EnsureResources(t.Context()); err != nil {
				t.Errorf("EnsureResources: %v", err)
			}
		})
	}
	all.Wait()

	moved, unorderedNow := events.StateWriter, events.StateWriter
	moved.Topic = events.SandboxRequests
	unorderedNow.Topic.Ordered = false
	for want, sub := range map[string]events.Subscription{
		"topic is projects/" + project + "/topics/state-mutations": moved,
		"message ordering is true, want false":                     unorderedNow,
	} {
		err := open(pubsubbus.Options{Subscriptions: []events.Subscription{sub}}).EnsureResources(t.Context())
		if err == nil || !strings.Contains(err.Error(), "subscription statewriter: "+want) {
			t.Errorf("EnsureResources: %v, want %q", err, want)
		}
	}
	missing := open(pubsubbus.Options{Schemas: fstest.MapFS{}, Prefix: "another-"})
	if err := missing.EnsureResources(t.Context()); err == nil || !strings.Contains(err.Error(), "schema state_mutation.proto: ") {
		t.Errorf("EnsureResources without schema files: %v", err)
	}
}

// TestMissingSubscription: the bus tries again until Terraform has made it.
func TestMissingSubscription(t *testing.T) {
	t.Parallel()
	endpoint, project := testenv.PubSub(t)
	d, err := pubsubbus.New(t.Context(), pubsubbus.Options{Endpoint: endpoint, Project: project})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	err = d.Receive(t.Context(), events.Janitor, func([]events.Message) []events.Verdict { return nil })
	if err == nil || !strings.Contains(err.Error(), "receive janitor: ") || !strings.Contains(err.Error(), "NotFound") {
		t.Errorf("Receive: %v, want NotFound of janitor", err)
	}
	if err := d.Publish(t.Context(), events.CleanupTicks, []events.Message{{ID: "m"}}); err == nil || !strings.Contains(err.Error(), "NotFound") {
		t.Errorf("Publish: %v, want NotFound", err)
	}
}
