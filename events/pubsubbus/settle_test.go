package pubsubbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"vibesdk-gcp/events"
)

// TestDrainSettlesEverything stops while two handlers run, one message is ready, and one waits with an attempt behind it.
func TestDrainSettlesEverything(t *testing.T) {
	t.Parallel()
	s := &script{}
	d := startScript(t, s, Options{})
	sub := subscription(false)
	sub.Concurrency = 2
	started, release := make(chan string, 10), make(chan struct{})
	c := consume(d, sub, func(run []events.Message) []events.Verdict {
		started <- run[0].ID
		if run[0].ID == "failed" {
			return []events.Verdict{{Failed: true, After: 20 * time.Second}}
		}
		<-release
		return done(run)
	})
	s.deliver(t, false, received("failed", ""))
	signal(t, "failed", started)
	s.deliver(t, false, received("a", ""), received("b", ""))
	signal(t, "a", started)
	signal(t, "b", started)
	s.deliver(t, false, received("ready", ""))
	awaitHeld(t, d, "ready")
	c.stop()
	s.await(t, "the copy", func() bool { published, _, _ := s.got(); return len(published) == 1 })
	if _, _, nacked := s.got(); len(nacked) > 0 {
		t.Errorf("nacked %v while handlers run: the broker may send it to the stream that closes", nacked)
	}
	close(release)
	if err := c.wait(t); err != nil {
		t.Fatalf("Receive: %v", err)
	}
	published, acked, nacked := s.got()
	if diff := cmp.Diff([]string{"a", "b", "failed"}, acked); diff != "" {
		t.Errorf("acknowledged (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"ready"}, nacked); diff != "" {
		t.Errorf("given back (-want +got):\n%s", diff)
	}
	attrs := published[0].GetAttributes()
	if attrs["ce-id"] != "failed" || attrs[copyConsumer] != "sub" || attrs[copyAttempts] != "1" {
		t.Errorf("copy has attributes %v", attrs)
	}
	if due, err := time.Parse(time.RFC3339Nano, attrs[copyNotBefore]); err != nil || time.Until(due) < 10*time.Second {
		t.Errorf("copy is due at %s (%v), want in about 20 s", due, err)
	}
}

// TestDrainGivesBackTheRestOfAKey stops while the first message of a key is handled and fails.
func TestDrainGivesBackTheRestOfAKey(t *testing.T) {
	t.Parallel()
	s := &script{}
	d := startScript(t, s, Options{})
	started, release := make(chan string, 10), make(chan struct{})
	c := consume(d, subscription(true), func(run []events.Message) []events.Verdict {
		started <- run[0].ID
		if run[0].ID == "1" {
			return done(run)
		}
		<-release
		return []events.Verdict{{Failed: true, After: time.Hour}}
	})
	s.deliver(t, true, received("1", "k"), received("2", "k"), received("3", "k"))
	signal(t, "1", started)
	signal(t, "2", started)
	c.stop()
	close(release)
	if err := c.wait(t); err != nil {
		t.Fatalf("Receive: %v", err)
	}
	published, acked, nacked := s.got()
	if len(published) > 0 {
		t.Errorf("published %v: a copy on an ordered topic loses its place", published)
	}
	if diff := cmp.Diff([][]string{{"1"}, {"2", "3"}}, [][]string{acked, nacked}); diff != "" {
		t.Errorf("acknowledged, given back (-want +got):\n%s", diff)
	}
}

func TestDrainReportsAcksThatCouldNotBeSent(t *testing.T) {
	t.Parallel()
	s := &script{onAck: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
	d := startScript(t, s, Options{})
	handled := make(chan string, 1)
	c := consume(d, subscription(false), func(run []events.Message) []events.Verdict {
		handled <- run[0].ID
		return done(run)
	})
	s.deliver(t, false, received("m", ""))
	signal(t, "m", handled)
	c.stop()
	if err := c.wait(t); !errors.Is(err, errUnsettled) {
		t.Errorf("Receive: %v, want %v", err, errUnsettled)
	}
}

func TestLostStreamEndsReceiveAfterItsHandlers(t *testing.T) {
	t.Parallel()
	s := &script{}
	d := startScript(t, s, Options{})
	started, release := make(chan string, 10), make(chan struct{})
	var running atomic.Bool
	c := consume(d, subscription(false), func(run []events.Message) []events.Verdict {
		running.Store(true)
		started <- run[0].ID
		<-release
		running.Store(false)
		return []events.Verdict{{Failed: true, After: time.Hour}}
	})
	s.deliver(t, false, received("m", ""))
	signal(t, "m", started)
	s.breaks <- status.Error(codes.PermissionDenied, "revoked")
	select {
	case err := <-c.stopped:
		t.Fatalf("Receive returned %v while a handler runs", err)
	case <-time.After(100 * time.Millisecond):
	}
	close(release)
	err := c.wait(t)
	if status.Code(errors.Unwrap(err)) != codes.PermissionDenied || !strings.Contains(err.Error(), "receive sub") {
		t.Errorf("Receive: %v, want PermissionDenied of sub", err)
	}
	if running.Load() {
		t.Error("Receive returned while a handler runs")
	}
	if published, _, _ := s.got(); len(published) > 0 {
		t.Errorf("published %v: the original, which cannot be acknowledged now, comes again as well", published)
	}
}

// TestStreamIsOpenedAgain breaks the stream in a way that services do all the time.
func TestStreamIsOpenedAgain(t *testing.T) {
	t.Parallel()
	s := &script{}
	d := startScript(t, s, Options{})
	c := consume(d, subscription(false), done)
	s.deliver(t, false, received("1", ""))
	s.await(t, "1", func() bool { _, acked, _ := s.got(); return len(acked) == 1 })
	s.breaks <- status.Error(codes.Unavailable, "restarting")
	s.deliver(t, false, received("2", ""))
	s.await(t, "2", func() bool { _, acked, _ := s.got(); return len(acked) == 2 })
	c.stop()
	if err := c.wait(t); err != nil {
		t.Errorf("Receive: %v", err)
	}
}

// TestRedeliveryWhileHeld sends messages again that are being handled or wait: the lease was lost on the way.
func TestRedeliveryWhileHeld(t *testing.T) {
	t.Parallel()
	s := &script{}
	d := startScript(t, s, Options{})
	handled, release := make(chan string, 10), make(chan struct{})
	c := consume(d, subscription(true), func(run []events.Message) []events.Verdict {
		handled <- run[0].ID
		<-release
		return done(run)
	})
	s.deliver(t, true, received("1", "k"), received("2", "k"))
	signal(t, "1", handled)
	again := []*pubsubpb.ReceivedMessage{received("1", "k"), received("2", "k"), received("3", "k")}
	for _, m := range again {
		m.AckId += " again"
	}
	s.deliver(t, true, again...)
	// Its acknowledgement tells that what was delivered before it has been taken in.
	other := received("other", "")
	other.Message.Attributes = map[string]string{copyConsumer: "other"}
	s.deliver(t, true, other)
	s.await(t, "the marker", func() bool { _, acked, _ := s.got(); return len(acked) == 1 })
	close(release)
	s.await(t, "all", func() bool { _, acked, _ := s.got(); return len(acked) == 6 })
	c.stop()
	if err := c.wait(t); err != nil {
		t.Errorf("Receive: %v", err)
	}
	if got := fmt.Sprintf("%s %s %d", <-handled, <-handled, len(handled)); got != "2 3 0" {
		t.Errorf("handled after 1: %s, want 2 and 3 once", got)
	}
	_, acked, nacked := s.got()
	if diff := cmp.Diff([]string{"1", "1 again", "2", "2 again", "3 again", "other"}, acked); diff != "" || len(nacked) > 0 {
		t.Errorf("nacked %v, acknowledged (-want +got):\n%s", nacked, diff)
	}
}

// TestLongDelayIsPublished also lets the publication fail: the message then waits in memory.
func TestLongDelayIsPublished(t *testing.T) {
	t.Parallel()
	for _, fails := range []bool{false, true} {
		s := &script{}
		if fails {
			s.onPublish = func(context.Context, *pubsubpb.PublishRequest) error {
				return status.Error(codes.PermissionDenied, "may not publish")
			}
		}
		d := startScript(t, s, Options{HoldLimit: 10 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
		handled := make(chan int, 10)
		c := consume(d, subscription(false), func(run []events.Message) []events.Verdict {
			handled <- run[0].Attempt
			if run[0].Attempt == 1 {
				return []events.Verdict{{Failed: true, After: 50 * time.Millisecond}}
			}
			return done(run)
		})
		s.deliver(t, false, received("m", ""))
		signal(t, "the first attempt", handled)
		if !fails {
			s.await(t, "copy and ack", func() bool {
				published, acked, _ := s.got()
				return len(published) == 1 && len(acked) == 1
			})
		} else if attempt := signal(t, "the second attempt", handled); attempt != 2 {
			t.Errorf("attempt %d, want 2", attempt)
		}
		c.stop()
		if err := c.wait(t); err != nil {
			t.Errorf("Receive: %v", err)
		}
		if _, acked, nacked := s.got(); len(acked) != 1 || len(nacked) != 0 {
			t.Errorf("fails=%t: acknowledged %v, nacked %v, want one acknowledgement", fails, acked, nacked)
		}
	}
}
