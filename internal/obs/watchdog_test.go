package obs_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vibesdk-gcp/internal/obs"
)

// syncBuffer is a buffer that a logger and a test may use at once.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func watchdog(t *testing.T, giveUp time.Duration) (*obs.Watchdog, *syncBuffer, *obs.Telemetry) {
	t.Helper()
	telemetry, err := obs.NewTelemetry(t.Context(), obs.TelemetryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var out syncBuffer
	w, err := obs.NewWatchdog(obs.WatchdogOptions{
		Logger: slog.New(slog.NewTextHandler(&out, nil)), MeterProvider: telemetry.Meter, GiveUp: giveUp,
	})
	if err != nil {
		t.Fatal(err)
	}
	return w, &out, telemetry
}

func TestWatchdogReportsAStallOnceAndItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, out, telemetry := watchdog(t, 0)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()

		quick := w.Begin("quick", "", 20*time.Second)
		slow := w.Begin("slow", "message 7", 20*time.Second)
		time.Sleep(19 * time.Second)
		quick.End()
		synctest.Wait()
		if out.String() != "" {
			t.Errorf("reported before any limit passed: %s", out)
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if n := strings.Count(out.String(), "work stands still"); n != 1 {
			t.Errorf("reported %d times, want once:\n%s", n, out)
		}
		for _, want := range []string{"what=slow", `detail="message 7"`, "limit=20s", "stacks=", "TestWatchdogReportsAStallOnceAndItsEnd"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("the report lacks %q", want)
			}
		}
		if strings.Contains(out.String(), "what=quick") {
			t.Error("what ended in time was reported")
		}
		if got := scrape(telemetry); !strings.Contains(got, `watchdog_stalled{what="slow"} 1`) {
			t.Errorf("the gauge does not show the stall:\n%s", got)
		}

		slow.End()
		slow.End()
		if n := strings.Count(out.String(), "has ended"); n != 1 {
			t.Errorf("its end was reported %d times", n)
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if got := scrape(telemetry); !strings.Contains(got, `watchdog_stalled{what="slow"} 0`) {
			t.Errorf("the gauge still shows the stall:\n%s", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestWatchdogGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, out, _ := watchdog(t, time.Minute)
		begun := time.Now()
		w.Begin("stuck", "", 10*time.Second)
		if err := w.Run(t.Context()); !errors.Is(err, obs.ErrStalled) {
			t.Errorf("Run = %v, want ErrStalled", err)
		}
		if took := time.Since(begun); took < 70*time.Second || took > 80*time.Second {
			t.Errorf("gave up after %s, want a minute after the limit", took)
		}
		if !strings.Contains(out.String(), "what=stuck") {
			t.Errorf("gave up without a word: %s", out)
		}
	})
}

func TestNoWatchdogWatchesNothing(t *testing.T) {
	t.Parallel()
	var w *obs.Watchdog
	w.Begin("anything", "", 0).End()
}

func scrape(telemetry *obs.Telemetry) string {
	r := httptest.NewRecorder()
	telemetry.Metrics.ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return r.Body.String()
}
