package paritylimit_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"vibesdk-gcp/internal/shadow"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/ratelimit/paritylimit"
)

// BenchmarkCheck compares a dry decision alone with one beside a backend in memory, and one that does not answer.
func BenchmarkCheck(b *testing.B) {
	r, err := ratelimit.Config{Limit: 10, Period: 60}.Rule()
	if err != nil {
		b.Fatal(err)
	}
	first := newMemory()
	beside := func(other ratelimit.Backend) ratelimit.Backend {
		p := paritylimit.New(first, other, shadow.Options{Ratio: 1, Logger: slog.New(slog.DiscardHandler)})
		b.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
			defer cancel()
			_ = p.Close(ctx) // the silent one has its own time
		})
		return p
	}
	for name, backend := range map[string]ratelimit.Backend{"alone": first, "beside": beside(newMemory()), "silent": beside(silent{})} {
		b.Run(name, func(b *testing.B) {
			items := []ratelimit.Item{{Key: "k", Rule: r}}
			for b.Loop() {
				if _, err := backend.Take(b.Context(), time.Time{}, items, true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
