package sandboxrunner_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/sqlbus"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/workers/sandboxrunner"
)

// TestOnTheBus runs a request as the platform does, and one that came around the bus's check of payloads, as from a
// publisher that talks to the broker itself: it is parked, and its owner finds a failed sandbox.
func TestOnTheBus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	driver, err := sqlbus.New(t.Context(), w.DB, sqlbus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	bus := events.New(driver, events.Options{Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	parked := make(chan events.Message, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := bus.Consume(ctx, sandboxrunner.Subscription(), w.Handle); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		err := bus.Consume(ctx, events.Parked, func(_ context.Context, m events.Message) error {
			parked <- m
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if err := bus.Close(); err != nil {
			t.Error(err)
		}
	})

	if err := bus.Publish(ctx, events.SandboxRequests, events.Message{Data: app("good", "sleep 1.5").Data}); err != nil {
		t.Fatal(err)
	}
	bad := app("bad", "", map[string]any{"devCommand": "x"})
	bad.Type = events.SandboxRequests.Type
	if err := driver.Publish(ctx, events.SandboxRequests, []events.Message{bad}); err != nil {
		t.Fatal(err)
	}
	rec := w.await(t, "bad", func(sandbox.Record) bool { return true })
	if rec.State != sandbox.Failed || !strings.Contains(rec.Reason, "staticDir") {
		t.Errorf("record: %s because %q", rec.State, rec.Reason)
	}
	select {
	case m := <-parked:
		if m.ID != bad.ID {
			t.Errorf("message %s was parked, want %s", m.ID, bad.ID)
		}
	case <-time.After(patience):
		t.Error("the message is not parked")
	}
	// The build takes longer than a handler looks, so the message comes again at least once.
	w.await(t, "good", func(r sandbox.Record) bool { return r.State == sandbox.Ready })
	if got := w.get(t, "good"); got != "hello from good" {
		t.Errorf("the preview answers %q", got)
	}
}
