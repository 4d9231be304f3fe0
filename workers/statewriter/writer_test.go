package statewriter_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/schemas"
	"vibesdk-gcp/schemas/gen"
	"vibesdk-gcp/workers/statewriter"
	"vibesdk-gcp/workers/workertest"
)

// TestEveryKindReachesTheSession publishes one mutation of each kind and waits for what becomes of the last.
func TestEveryKindReachesTheSession(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, address string) {
		w := newWorldOn(t, workertest.NewSessions(t, address, nil, session.Options{}))
		w.consume(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		one := int64(1)
		for i, m := range []*gen.StateMutation{
			{Kind: gen.StateMutation_INITIALIZE, Payload: `{"n":1.50,"list":[]}`},
			{Kind: gen.StateMutation_MERGE, Payload: `{"m":2}`, ExpectedVersion: &one},
			{Kind: gen.StateMutation_PATCH, Payload: `[{"op":"add","path":"/p","value":3}]`},
			{Kind: gen.StateMutation_APPEND, Path: "/list", Payload: `"x"`},
			{Kind: gen.StateMutation_PUT, Part: "mcp_servers", Payload: `{"a":{}}`},
			{Kind: gen.StateMutation_APPEND, Part: "full_conversations", Payload: `{"role":"user"}`},
			{Kind: gen.StateMutation_SCHEDULE, Payload: `{"id":"j1","callback":"c","delaySeconds":1000}`},
			{Kind: gen.StateMutation_SCHEDULE, Payload: `{"id":"j2","callback":"c","delaySeconds":1000}`},
			{Kind: gen.StateMutation_CANCEL_SCHEDULE, Payload: `{"id":"j1"}`},
			{Kind: gen.StateMutation_ENQUEUE, Payload: `{"id":"q1","callback":"c"}`},
			{Kind: gen.StateMutation_ENQUEUE, Payload: `{"id":"q2","callback":"c"}`},
			{Kind: gen.StateMutation_DEQUEUE, Payload: `{"id":"q1"}`},
		} {
			m.SessionId, m.MutationId = "s", fmt.Sprint("m", i)
			if err := w.Bus.Publish(ctx, events.StateMutations, message(m)); err != nil {
				t.Fatal(err)
			}
		}
		w.wait(ctx, t, "s", "m11")
		want := workertest.SessionState{
			Version: 12, Present: true, Initialized: true,
			Parts: map[session.PartName]string{
				"state": `{"n":1.50,"list":["x"],"m":2,"p":3}`, "mcp_servers": `{"a":{}}`, "full_conversations": `[{"role":"user"}]`,
			},
			Jobs: []session.Job{
				{ID: "q2", Type: session.JobQueue, Callback: "c", Run: 1},
				{ID: "j2", Type: session.JobDelayed, Callback: "c", DelaySeconds: 1000, Run: 1},
			},
		}
		if diff := cmp.Diff(want, w.state(t, "s")); diff != "" {
			t.Error(diff)
		}

		for _, m := range []*gen.StateMutation{
			{SessionId: "copy", MutationId: "c1", Kind: gen.StateMutation_CLONE, CloneOf: "s"},
			{SessionId: "other", MutationId: "i1", Kind: gen.StateMutation_IMPORT, Payload: `{"initialized":true,"parts":{"state":[1]}}`},
			{SessionId: "s", MutationId: "d1", Kind: gen.StateMutation_DESTROY},
		} {
			if err := w.Bus.Publish(ctx, events.StateMutations, message(m)); err != nil {
				t.Fatal(err)
			}
			w.wait(ctx, t, m.GetSessionId(), m.GetMutationId())
		}
		got, err := w.State(ctx, "s", "copy", "other")
		if err != nil {
			t.Fatal(err)
		}
		if got["s"].Present || got["s"].Version != 13 || !strings.Contains(got["copy"].Parts["state"], `"n":1.50`) || got["other"].Parts["state"] != "[1]" {
			t.Errorf("after clone, import and destroy: %+v", got)
		}
	})
}

// consume lets the writer consume until the test ends.
func (w *world) consume(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.Bus.ConsumeBatches(ctx, events.StateWriter, w.Handle); err != nil {
			tb.Error(err)
		}
	})
	tb.Cleanup(func() { cancel(); wg.Wait() })
}

func (w *world) wait(ctx context.Context, t *testing.T, id, mutationID string) {
	t.Helper()
	o, err := w.Store.Wait(ctx, id, mutationID)
	if err != nil || o.Err != nil {
		t.Fatalf("mutation %s: %v, %v", mutationID, o.Err, err)
	}
}

// TestPoisonBlocksNoOther handles one run in which every second message is bad in a way of its own.
func TestPoisonBlocksNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	foreign := put("m-foreign", "1")
	foreign.Key = "s"
	foreign.Data = message(&gen.StateMutation{MutationId: "m-foreign", SessionId: "other", Kind: gen.StateMutation_PUT, Payload: "1"}).Data
	notThere := message(&gen.StateMutation{MutationId: "ref", SessionId: "s", Kind: gen.StateMutation_PUT, PayloadUri: "gs://b/o"})
	noPath := message(&gen.StateMutation{MutationId: "p", SessionId: "s", Kind: gen.StateMutation_PATCH, Payload: `[{"op":"remove","path":"/none"}]`})
	badJob := message(&gen.StateMutation{MutationId: "j", SessionId: "s", Kind: gen.StateMutation_SCHEDULE, Payload: `{"callback":"c"}`})
	reused := add("m1")
	reused.Data = put("m1", "2").Data
	run := []events.Message{
		put("m0", `{"list":[]}`), {Key: "s", Data: []byte("{")},
		add("m1"), foreign,
		add("m2"), notThere,
		add("m3"), noPath,
		add("m4"), badJob,
		add("m5"), reused,
		add("m6"),
	}
	wantErrors(t, w.handle(t.Context(), run...),
		"", "parked: line 1", "", "parked: must be the session's id", "", "parked: mutation ref: payload address refused",
		"", "parked: mutation p: ", "", "parked: mutation j: ", "", "parked: mutation m1: mutation id reused", "")
	if got := w.state(t, "s"); got.Parts["state"] != `{"list":["m1","m2","m3","m4","m5","m6"]}` || got.Version != 7 {
		t.Errorf("the rest of the run left %+v", got)
	}
}

// TestAnswersAreNotFaults: what a caller asked to be told is told in the ring, not on dead-letters.
func TestAnswersAreNotFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seven := int64(7)
	mutation := func(id string, m *gen.StateMutation) events.Message {
		m.MutationId, m.SessionId = id, "s"
		return message(m)
	}
	run := []events.Message{
		mutation("m0", &gen.StateMutation{Kind: gen.StateMutation_INITIALIZE, Payload: "1"}),
		mutation("m1", &gen.StateMutation{Kind: gen.StateMutation_INITIALIZE, Payload: "2"}),
		mutation("m2", &gen.StateMutation{Kind: gen.StateMutation_PUT, Payload: "3", ExpectedVersion: &seven}),
		mutation("m3", &gen.StateMutation{Kind: gen.StateMutation_CLONE, CloneOf: "other"}),
		mutation("m4", &gen.StateMutation{Kind: gen.StateMutation_CANCEL_SCHEDULE, Payload: `{"id":"none"}`}),
		mutation("m5", &gen.StateMutation{Kind: gen.StateMutation_IMPORT, Payload: `{"initialized":true,"parts":{}}`}),
	}
	for range 2 {
		wantErrors(t, w.handle(t.Context(), run...), "", "", "", "", "", "")
	}
	if got := w.state(t, "s"); got.Version != 1 || got.Parts["state"] != "1" {
		t.Errorf("rejected mutations left %+v", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i, want := range []error{nil, session.ErrInitialized, session.ErrConflict, session.ErrConflict, session.ErrNotFound, session.ErrConflict} {
		if o, err := w.Store.Wait(ctx, "s", fmt.Sprint("m", i)); err != nil || !errors.Is(o.Err, want) {
			t.Errorf("m%d: %v, %v, want %v", i, o.Err, err, want)
		}
	}
}

// TestAwaitedRejectionsAreAnswers: who waits for an outcome is told by it; who does not finds a dead letter.
func TestAwaitedRejectionsAreAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	awaited := func(m events.Message) events.Message {
		m.Attributes = map[string]string{schemas.AwaitedAttribute: "1"}
		return m
	}
	for range 2 {
		wantErrors(t, w.handle(t.Context(), awaited(add("early")), add("also early")), "", "parked: mutation also early: ")
	}
	if o, err := w.Store.Wait(t.Context(), "s", "early"); err != nil || !errors.Is(o.Err, session.ErrNotFound) {
		t.Errorf("%v, %v", o.Err, err)
	}
	reused := put("early", "1")
	wantErrors(t, w.handle(t.Context(), awaited(reused)), "parked: mutation early: ")
}

// TestAReplayIsLookedAtAgain: a mutation that was rejected stays so however often it is delivered, until a person sends it again.
func TestAReplayIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	early := add("early")
	for range 3 {
		wantErrors(t, w.handle(t.Context(), early), "parked: mutation early: ")
	}
	wantErrors(t, w.handle(t.Context(), put("m1", `{"list":[]}`)), "")
	wantErrors(t, w.handle(t.Context(), early), "parked: mutation early: ")
	again := early.Clone()
	again.Attributes = map[string]string{"replay": "1"}
	for range 3 {
		wantErrors(t, w.handle(t.Context(), again), "")
	}
	wantErrors(t, w.handle(t.Context(), early), "")
	if got := w.state(t, "s").Parts["state"]; got != `{"list":["early"]}` {
		t.Errorf("state is %s", got)
	}
}

// TestReplayFromDeadLetters goes the whole way: parked by the bus, sent again, applied.
func TestReplayFromDeadLetters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.consume(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := w.Bus.Publish(ctx, events.StateMutations, add("early"), put("m1", `{"list":[]}`)); err != nil {
		t.Fatal(err)
	}
	w.wait(ctx, t, "s", "m1")
	reading, stop := context.WithCancel(ctx)
	err := w.Bus.Consume(reading, events.Parked, func(ctx context.Context, m events.Message) error {
		letter, err := events.ParseDeadLetter(m)
		if err != nil {
			return err
		}
		if letter.Subscription != "statewriter" || !letter.Permanent {
			t.Errorf("dead letter is %+v", letter)
		}
		defer stop()
		return w.Bus.Publish(ctx, events.StateMutations, letter.Replay())
	})
	if err != nil {
		t.Fatal(err)
	}
	for rec, err := range w.Store.Watch(ctx, "s", 0) {
		if err != nil {
			t.Fatal(err)
		}
		if rec.Version == 2 {
			break
		}
	}
	if got := w.state(t, "s").Parts["state"]; got != `{"list":["early"]}` {
		t.Errorf("state is %s", got)
	}
}

func TestJobsWakeTheRunner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	enqueue := message(&gen.StateMutation{MutationId: "q", SessionId: "s", Kind: gen.StateMutation_ENQUEUE, Payload: `{"callback":"c"}`})
	for i, tt := range []struct {
		run  []events.Message
		want int
	}{
		{[]events.Message{put("m1", "1"), put("m2", "2")}, 0},
		{[]events.Message{put("m3", "3"), enqueue, put("m4", "4")}, 1},
		{[]events.Message{enqueue}, 2}, // the delivery before may have died before it woke anybody
		{[]events.Message{message(&gen.StateMutation{MutationId: "x", SessionId: "s", Kind: gen.StateMutation_DEQUEUE, Payload: `{"all":true}`})}, 3},
		{[]events.Message{message(&gen.StateMutation{MutationId: "y", SessionId: "s", Kind: gen.StateMutation_CANCEL_SCHEDULE, Payload: `{"id":"none"}`})}, 3},
	} {
		if err := w.Handle(t.Context(), "s", tt.run); err != nil {
			t.Fatal(err)
		}
		if got := w.woken.count(); got != tt.want {
			t.Errorf("after run %d woken %d times, want %d", i, got, tt.want)
		}
	}
	w.woken.fails = errors.New("bus is away")
	if err := w.Handle(t.Context(), "s", []events.Message{enqueue}); err != nil || w.woken.count() != 4 {
		t.Errorf("a mutation that is applied comes again because nobody could be woken: %v", err)
	}
	if ids := slices.Compact(w.woken.ids); !cmp.Equal(ids, []string{"s"}) {
		t.Errorf("woken: %q", ids)
	}
	quiet := newWorldOn(t, w.Sessions, func(o *statewriter.Options) { o.Wake = nil })
	if err := quiet.Handle(t.Context(), "s", []events.Message{enqueue}); err != nil {
		t.Error(err)
	}
}

// TestAStoreThatIsAway gives the run back when the attempt ends, and loses and repeats nothing.
func TestAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	s := workertest.NewSessions(t, "", nil, session.Options{})
	w := newWorldOn(t, s)
	wantErrors(t, w.handle(t.Context(), put("m0", `{"list":[]}`)), "")
	if err := s.DB.Close(); err != nil { // closing twice is fine
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	bad := events.Message{Key: "s", Data: []byte("{")}
	wantErrors(t, w.handle(ctx, bad, add("m1"), bad, add("m2")), "parked: ", "again: apply 2 mutations", "again: apply 2", "again: apply 2")
}

func TestIdempotent(t *testing.T) {
	t.Parallel()
	due := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var zero int64
	messages := make([]events.Message, 0, 12)
	for i, m := range []*gen.StateMutation{
		{SessionId: "a", Kind: gen.StateMutation_INITIALIZE, Payload: `{"a":1}`},
		{SessionId: "b", Kind: gen.StateMutation_PUT, Payload: `{"b":1}`, ExpectedVersion: &zero},
		{SessionId: "c", Kind: gen.StateMutation_MERGE, Payload: `{"x":1}`},
		{SessionId: "c", Kind: gen.StateMutation_MERGE, Payload: `{"x":1}`},
		{SessionId: "d", Kind: gen.StateMutation_APPEND, Part: "full_conversations", Payload: `1`},
		{SessionId: "d", Kind: gen.StateMutation_APPEND, Part: "full_conversations", Payload: `1`},
		{SessionId: "e", Kind: gen.StateMutation_ENQUEUE, Payload: `{"callback":"c"}`},
		{SessionId: "f", Kind: gen.StateMutation_PATCH, Payload: `[{"op":"remove","path":"/none"}]`},
		{SessionId: "g", Kind: gen.StateMutation_DESTROY},
	} {
		m.MutationId = fmt.Sprint("m", i)
		messages = append(messages, message(proto.Clone(m).(*gen.StateMutation)))
	}
	messages = append(messages, events.Message{ID: "bad", Key: "a", Data: []byte("{")})
	workertest.Idempotent(t, workertest.Case{
		Open: func(t *testing.T, fx *workertest.Effects) workertest.World {
			t.Helper()
			w := newWorldOn(t, workertest.NewSessions(t, "", fx, session.Options{Now: func() time.Time { return due }}))
			return workertest.World{Handle: w.one, State: func(ctx context.Context) (any, error) {
				return w.State(ctx, "a", "b", "c", "d", "e", "f", "g")
			}}
		},
		Messages: messages,
	})
}
