package paritylimit_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/internal/shadow"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/ratelimit/paritylimit"
	"vibesdk-gcp/platform/ratelimit/ratelimittest"
)

func newMemory() *ratelimit.Memory {
	return ratelimit.NewMemory(ratelimit.MemoryOptions{Keys: 1 << 20, Keep: 48 * time.Hour})
}

// silent is a second backend that never answers.
type silent struct{ ratelimit.Backend }

func (silent) Take(ctx context.Context, _ time.Time, _ []ratelimit.Item, dry bool) ([]ratelimit.Answer, error) {
	if !dry {
		panic("it was charged")
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestSuite: with a second backend that does not even answer, everything is as with the first alone.
func TestSuite(t *testing.T) {
	t.Parallel()
	ratelimittest.Run(t, func(t testing.TB) ratelimit.Backend {
		b := paritylimit.New(newMemory(), silent{}, shadow.Options{Ratio: 1, Most: 4, Timeout: 1, Logger: slog.New(slog.DiscardHandler)})
		t.Cleanup(func() { _ = b.Close(context.Background()) })
		return b
	}, ratelimittest.Features{})
}

func TestResults(t *testing.T) {
	t.Parallel()
	r, err := ratelimit.Config{Limit: 10, Period: 60}.Rule()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	item := func(key string, n float64) []ratelimit.Item { return []ratelimit.Item{{Key: key, Rule: r, N: n}} }
	first, second := newMemory(), newMemory()
	for key, counts := range map[string][2]float64{"same": {3, 3}, "counts": {3, 4}, "decision": {3, 10}} {
		for i, b := range []ratelimit.Backend{first, second} {
			if _, err := b.Take(t.Context(), now, item(key, counts[i]), false); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, key := range []string{"same", "counts", "decision"} {
		var log bytes.Buffer
		b := paritylimit.New(first, second, shadow.Options{Ratio: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		answers, err := b.Take(t.Context(), now, item(key, 0), true)
		if err != nil || answers[0].Main != 3 || answers[0].Exceeded != "" {
			t.Errorf("%s: %+v, %v; want what the first has", key, answers, err)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if said := strings.Contains(log.String(), "result="+key+" "); said != (key != "same") {
			t.Errorf("%s: the log says %q", key, log.String())
		}
	}
	b := paritylimit.New(first, second, shadow.Options{Ratio: 1})
	if _, err := b.Take(t.Context(), now, item("new", 5), false); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c, err := second.Dump(t.Context(), "new"); err != nil || len(c.Buckets) > 0 {
		t.Errorf("the second backend was charged: %+v, %v", c, err)
	}
}
