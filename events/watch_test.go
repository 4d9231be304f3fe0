package events

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	noopmetric "go.opentelemetry.io/otel/metric/noop"

	"vibesdk-gcp/internal/obs"
)

func TestAHandlerThatIgnoresItsDeadlineIsReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		dog, err := obs.NewWatchdog(obs.WatchdogOptions{
			Logger: slog.New(slog.NewTextHandler(&log, nil)), MeterProvider: noopmetric.NewMeterProvider(), GiveUp: time.Minute,
		})
		if err != nil {
			t.Fatal(err)
		}
		gaveUp := make(chan error, 1)
		go func() { gaveUp <- dog.Run(t.Context()) }()
		sub := orderedSub
		sub.AttemptTimeout = 10 * time.Second
		play(t, &script{runs: [][]Message{deliveries("good", "stuck")}}, Options{Watchdog: dog}, func(ctx context.Context, b *Bus) error {
			return b.Consume(ctx, sub, func(_ context.Context, m Message) error {
				if m.ID == "stuck" {
					if err := <-gaveUp; !errors.Is(err, obs.ErrStalled) {
						t.Errorf("the watchdog ended with %v", err)
					}
				}
				return nil
			})
		})
		if text := log.String(); strings.Count(text, "work stands still") != 1 || !strings.Contains(text, `what=sub detail="message stuck"`) {
			t.Errorf("the report is\n%s", text)
		}
	})
}
