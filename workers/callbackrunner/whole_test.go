package callbackrunner_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/events"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/schemas"
	"vibesdk-gcp/schemas/gen"
	"vibesdk-gcp/workers/callbackrunner"
	"vibesdk-gcp/workers/statewriter"
	"vibesdk-gcp/workers/workertest"
)

// TestFromPublishToCall goes the whole way in real time: a mutation is published, the writer applies it and wakes the publisher,
// the run is delivered when it is due, the host is called, and what is due next follows.
func TestFromPublishToCall(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "test.db") },
		"postgres": func(t *testing.T) string { return testenv.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := workertest.NewSessions(t, address(t), nil, session.Options{})
			h := newHost(t)
			publisher := callbackrunner.NewPublisher(callbackrunner.PublisherOptions{Sessions: s.Store.Reader, Publisher: s.Bus})
			quiet := slog.New(slog.DiscardHandler)
			runner, err := callbackrunner.New(callbackrunner.Options{Sessions: s.Store, Publisher: publisher, Host: h.URL, Logger: quiet})
			if err != nil {
				t.Fatal(err)
			}
			defer runner.Close()
			writer := statewriter.New(statewriter.Options{Store: s.Store, Wake: publisher.Wake, Logger: quiet})

			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			consuming, stop := context.WithCancel(ctx)
			var consumers sync.WaitGroup
			consumers.Go(func() { fail(t, s.Bus.ConsumeBatches(consuming, events.StateWriter, writer.Handle)) })
			consumers.Go(func() { fail(t, s.Bus.Consume(consuming, events.CallbackRunner, runner.Handle)) })
			defer consumers.Wait()
			defer stop()

			early := make(chan string, 100)
			counts := make(chan map[string]int, 100)
			seen := map[string]int{}
			h.does(func(w http.ResponseWriter, _ *http.Request, call callbackrunner.Call) {
				if now := time.Now(); now.Before(call.Job.Due) {
					early <- fmt.Sprintf("%s was called %s early", call.Job.ID, call.Job.Due.Sub(now))
				}
				h.mu.Lock()
				seen[call.Job.ID]++
				n := seen[call.Job.ID]
				counts <- maps.Clone(seen)
				h.mu.Unlock()
				if call.Job.ID == "flaky" && n < 3 {
					w.WriteHeader(http.StatusInternalServerError)
				}
			})
			for i, m := range []*gen.StateMutation{
				{Kind: gen.StateMutation_ENQUEUE, Payload: `{"id":"q1","callback":"c"}`},
				{Kind: gen.StateMutation_ENQUEUE, Payload: `{"id":"flaky","callback":"c"}`},
				{Kind: gen.StateMutation_ENQUEUE, Payload: `{"id":"q2","callback":"c"}`},
				{Kind: gen.StateMutation_SCHEDULE, Payload: `{"id":"once","callback":"c","delaySeconds":0.3}`},
				{Kind: gen.StateMutation_SCHEDULE, Payload: `{"id":"often","callback":"c","intervalSeconds":0.1}`},
				{Kind: gen.StateMutation_SCHEDULE, Payload: `{"id":"later","callback":"c","delaySeconds":1000}`},
			} {
				m.SessionId, m.MutationId = "s", fmt.Sprint("m", i)
				data, err := schemas.EncodeStateMutation(m)
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Bus.Publish(ctx, events.StateMutations, events.Message{Key: "s", Data: data}); err != nil {
					t.Fatal(err)
				}
			}
			for done := false; !done; {
				select {
				case <-ctx.Done():
					t.Fatalf("called: %v", h.calls())
				case text := <-early:
					t.Error(text)
				case n := <-counts:
					done = n["q1"] == 1 && n["flaky"] == 3 && n["q2"] == 1 && n["once"] == 1 && n["often"] >= 3
				}
			}
			var queue []string
			for _, call := range h.calls() {
				if call.Job.Type == session.JobQueue {
					queue = append(queue, call.Job.ID)
				}
			}
			if want := []string{"q1", "flaky", "flaky", "flaky", "q2"}; !cmp.Equal(want, queue) {
				t.Errorf("the queue was called in the order %q", queue)
			}
		})
	}
}

func fail(t *testing.T, err error) {
	if err != nil {
		t.Error(err)
	}
}

// TestIdempotent: whatever happens to deliveries, each run is called under one key, and nothing is left. A claim that was left
// behind ends by the clock, so every delivery is a while after the one before.
func TestIdempotent(t *testing.T) {
	t.Parallel()
	message := func(job string) events.Message {
		data, err := schemas.EncodeAgentCallback(&gen.AgentCallback{SessionId: "s", JobId: job, Run: 1})
		if err != nil {
			t.Fatal(err)
		}
		return events.Message{ID: job, Data: data}
	}
	workertest.Idempotent(t, workertest.Case{
		Open: func(t *testing.T, fx *workertest.Effects) workertest.World {
			t.Helper()
			c := &clock{at: t0}
			w := newWorldOn(t, workertest.NewSessions(t, "", fx, session.Options{Now: c.now}), c,
				func(o *callbackrunner.Options) { o.Timeout = 10 * time.Second }) // attempts are shorter here
			w.apply(t, session.Schedule, `{"id":"date","callback":"c","at":"2026-03-01T12:00:00Z"}`)
			w.apply(t, session.Enqueue, `{"id":"item","callback":"c"}`)
			w.apply(t, session.Schedule, `{"id":"often","callback":"c","cron":"0 12 2 3 *"}`)
			w.advance(24 * time.Hour)
			return workertest.World{
				Handle: func(ctx context.Context, m events.Message) error {
					w.advance(80 * time.Second)
					m.Time = w.now()
					return w.Handle(ctx, m)
				},
				State: func(ctx context.Context) (any, error) {
					state, err := w.State(ctx, "s")
					keys := map[string]bool{}
					for _, call := range w.host.calls() {
						keys[call.Job.ID+" "+call.Key] = true
					}
					return []any{state["s"].Jobs, slices.Sorted(maps.Keys(keys))}, err
				},
			}
		},
		Messages: []events.Message{message("date"), message("item"), message("often")},
	})
}
