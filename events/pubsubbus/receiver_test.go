package pubsubbus

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2"

	"vibesdk-gcp/events"
)

// newTestReceiver needs no broker as long as nothing is published.
func newTestReceiver(sub events.Subscription, o Options, handle events.HandleFunc) *receiver {
	o.Project = "project"
	return newReceiver(&Driver{o: o.withDefaults()}, sub, handle)
}

// TestCreditsBoundWhatIsHeld offers more than fits, by count and by bytes.
func TestCreditsBoundWhatIsHeld(t *testing.T) {
	t.Parallel()
	for name, bound := range map[string]struct{ count, bytes, size int }{
		"count":     {count: 3, bytes: 1000, size: 1},
		"bytes":     {count: 100, bytes: 30, size: 10},
		"too large": {count: 100, bytes: 30, size: 31},
	} {
		synctest.Test(t, func(t *testing.T) {
			sub := subscription(true)
			sub.MaxOutstanding = bound.count
			release := make(chan struct{})
			r := newTestReceiver(sub, Options{MaxOutstandingBytes: bound.bytes}, func(run []events.Message) []events.Verdict {
				<-release
				return done(run)
			})
			taken := make(chan int, 10)
			go func() {
				for i := range 5 {
					r.take(context.Background(), &pubsub.Message{ID: fmt.Sprint(i), OrderingKey: "k", Data: make([]byte, bound.size)})
					taken <- i
				}
			}()
			synctest.Wait()
			want := 3
			if name == "too large" {
				want = 1
			}
			if len(taken) != want {
				t.Errorf("%s: took %d, want %d", name, len(taken), want)
			}
			close(release)
			synctest.Wait()
			if len(taken) != 5 || len(r.items) != 0 || len(r.lanes) != 0 {
				t.Errorf("%s: took %d, holds %d in %d lanes; want 5, 0, 0", name, len(taken), len(r.items), len(r.lanes))
			}
		})
	}
}

func TestTakeWithoutCreditsEndsWithTheStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sub := subscription(false)
		sub.MaxOutstanding = 1
		release := make(chan struct{})
		r := newTestReceiver(sub, Options{}, func(run []events.Message) []events.Verdict { <-release; return done(run) })
		ctx, cancel := context.WithCancel(context.Background())
		r.take(ctx, &pubsub.Message{ID: "1"})
		returned := make(chan struct{})
		go func() { r.take(ctx, &pubsub.Message{ID: "2"}); close(returned) }()
		synctest.Wait()
		cancel()
		<-returned
		close(release)
		r.drain()
		if len(r.items) != 0 {
			t.Errorf("holds %d after the drain", len(r.items))
		}
	})
}

// TestRetriesInPlace follows the runs of one key: batches, then the message that failed alone until it succeeds, at the
// times that the verdicts asked for.
func TestRetriesInPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sub := subscription(true)
		sub.MaxBatch = 3
		start := time.Now()
		var got []string
		release := make(chan struct{})
		r := newTestReceiver(sub, Options{HoldLimit: time.Second}, func(run []events.Message) []events.Verdict {
			line := fmt.Sprint(time.Since(start), ":")
			verdicts := done(run)
			for i, m := range run {
				line += fmt.Sprintf(" %s/%d", m.ID, m.Attempt)
				if m.ID == "1" && m.Attempt < 3 {
					verdicts[i] = events.Verdict{Failed: true, After: time.Hour}
				}
			}
			got = append(got, line)
			<-release
			return verdicts
		})
		for i := range 6 {
			r.take(context.Background(), &pubsub.Message{ID: fmt.Sprint(i), OrderingKey: "k"})
		}
		close(release) // all have arrived while the first was handled
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		want := []string{"0s: 0/1", "0s: 1/1 2/1 3/1", "1h0m0s: 1/2", "2h0m0s: 1/3", "2h0m0s: 2/1 3/1 4/1", "2h0m0s: 5/1"}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("runs %q, want %q", got, want)
		}
	})
}

// TestHeldMessagesKeepTheirTime has room, so nothing is sent back although the wait is longer than the hold limit.
func TestHeldMessagesKeepTheirTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at time.Duration
		r := newTestReceiver(subscription(false), Options{}, func(run []events.Message) []events.Verdict {
			at = time.Since(start)
			return done(run)
		})
		m := events.Message{ID: "m", NotBefore: start.Add(10 * time.Minute)}
		r.take(context.Background(), &pubsub.Message{ID: "1", Attributes: events.EncodeAttributes(m)})
		time.Sleep(time.Hour)
		synctest.Wait()
		if at != 10*time.Minute {
			t.Errorf("handled after %s, want 10m", at)
		}
	})
}
