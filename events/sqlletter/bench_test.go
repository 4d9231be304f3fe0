package sqlletter_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/sqlletter"
	"vibesdk-gcp/internal/testenv"
)

// BenchmarkReplay replays 2,000 letters in one go, letters and messages in one database, and publishes as many messages in batches of the
// same size beside it. x-publish is the rate of the replay as a multiple of the latter.
func BenchmarkReplay(b *testing.B) {
	for name, fresh := range map[string]func(testing.TB) string{
		"sqlite": sqlite, "postgres": testenv.Postgres,
	} {
		b.Run(name, func(b *testing.B) {
			const count = 2000
			db := open(b, fresh(b))
			driver := bus(b, db, events.Subscription{Name: "sub", Topic: topic}, events.Parked)
			eventBus := events.New(driver, events.Options{Logger: slog.New(slog.DiscardHandler)})
			defer func() {
				if err := eventBus.Close(); err != nil {
					b.Error(err)
				}
			}()
			box := newBox(b, sqlletter.New(db), eventBus)
			var replaying, publishing time.Duration
			for b.Loop() {
				b.StopTimer()
				if _, err := box.Purge(context.Background(), events.LetterQuery{States: events.LetterStates()}); err != nil {
					b.Fatal(err)
				}
				fileLetters(b, box, count)
				b.StartTimer()
				start := time.Now()
				totals, err := box.Replay(context.Background(), events.LetterReplay{}, func(events.LetterResult) error { return nil })
				if err != nil || totals.Replayed != count {
					b.Fatalf("replayed %+v, %v", totals, err)
				}
				replaying += time.Since(start)
				b.StopTimer()
				start = time.Now()
				for n := 0; n < count; n += 200 {
					msgs := make([]events.Message, 200)
					for i := range msgs {
						msgs[i] = events.Message{ID: fmt.Sprint(n + i), Key: fmt.Sprint((n + i) % 64), Data: make([]byte, 200)}
					}
					if err := eventBus.Publish(context.Background(), topic, msgs...); err != nil {
						b.Fatal(err)
					}
				}
				publishing += time.Since(start)
				b.StartTimer()
			}
			b.ReportMetric(float64(b.N*count)/replaying.Seconds(), "msg/s")
			b.ReportMetric(publishing.Seconds()/replaying.Seconds(), "x-publish")
		})
	}
}
