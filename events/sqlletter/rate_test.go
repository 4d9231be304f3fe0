package sqlletter_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/sqlletter"
)

var topic = events.Topic{Name: "topic", Type: "test.v1", Ordered: true}

// recorder is a publisher that takes a while and notes when it was called.
type recorder struct {
	took  time.Duration
	calls []published
}

type published struct {
	at    time.Time
	count int
}

func (r *recorder) Publish(_ context.Context, _ events.Topic, msgs ...events.Message) error {
	r.calls = append(r.calls, published{time.Now(), len(msgs)})
	time.Sleep(r.took) // virtual
	return nil
}

// fileLetters files count letters of a few keys.
func fileLetters(tb testing.TB, box *events.LetterBox, count int) {
	tb.Helper()
	var dead []events.DeadLetter
	for n := range count {
		dead = append(dead, events.DeadLetter{
			Message: events.Message{ID: fmt.Sprint(n), Type: "test.v1", Source: "test", Time: time.Unix(1, 0), Key: fmt.Sprint(n % 64), Data: make([]byte, 200)},
			Topic:   topic.Name, Subscription: "sub", Reason: "why", Attempts: 20, ParkedAt: time.Unix(2, int64(n)*1000),
		})
	}
	if err := box.File(context.Background(), dead...); err != nil {
		tb.Fatal(err)
	}
}

func newBox(tb testing.TB, d events.LetterDriver, p events.Publisher) *events.LetterBox {
	tb.Helper()
	box, err := events.NewLetterBox(d, p, events.LetterOptions{Topics: []events.Topic{topic}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	return box
}

// TestReplayKeepsToItsRate measures in virtual time: never more than the rate since any moment, and one burst.
func TestReplayKeepsToItsRate(t *testing.T) {
	address := sqlite(t)
	for _, c := range []struct {
		rate  float64
		count int
		took  time.Duration
	}{{100, 300, 0}, {3, 10, 50 * time.Millisecond}, {5000, 3000, 0}, {100, 100, 150 * time.Millisecond}} {
		t.Run(fmt.Sprintf("%g after %s", c.rate, c.took), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := open(t, address)
				r := &recorder{took: c.took}
				box := newBox(t, sqlletter.New(db), r)
				if _, err := box.Purge(t.Context(), events.LetterQuery{States: events.LetterStates()}); err != nil {
					t.Fatal(err)
				}
				fileLetters(t, box, c.count)
				replay := events.LetterReplay{Rate: c.rate}
				totals, err := box.Replay(t.Context(), replay, func(events.LetterResult) error { return nil })
				if err != nil || totals.Replayed != c.count {
					t.Fatalf("replayed %+v, %v", totals, err)
				}
				burst := float64(replay.Burst())
				for i := range r.calls {
					sent := 0
					for _, call := range r.calls[i:] {
						sent += call.count
						if most := burst + c.rate*call.at.Sub(r.calls[i].at).Seconds(); float64(sent) > most+0.001 {
							t.Fatalf("%d messages in %s, the most is %g", sent, call.at.Sub(r.calls[i].at), most)
						}
					}
				}
				// Nor slower, when publishing takes no time.
				if took := r.calls[len(r.calls)-1].at.Sub(r.calls[0].at).Seconds(); c.took == 0 && took > float64(c.count)/c.rate {
					t.Errorf("took %g s for %d at %g a second", took, c.count, c.rate)
				}
			})
		})
	}
}
