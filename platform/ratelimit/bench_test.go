package ratelimit_test

import (
	"testing"
	"time"

	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/ratelimit/ratelimittest"
)

func BenchmarkMemory(b *testing.B) {
	ratelimittest.Bench(b, openMemory)
}

// BenchmarkRetry is a rejected charge on a full day of buckets: it also computes when to try again.
func BenchmarkRetry(b *testing.B) {
	m := openMemory(b)
	rule, err := ratelimit.Config{Limit: 8640, Period: 86400}.Rule()
	if err != nil {
		b.Fatal(err)
	}
	items := []ratelimit.Item{{Key: "k", Rule: rule, N: 1}}
	for i := range 8640 {
		if _, err := m.Take(b.Context(), start.Add(time.Duration(i)*10*time.Second), items, false); err != nil {
			b.Fatal(err)
		}
	}
	now := start.Add(8639 * 10 * time.Second)
	for b.Loop() {
		a, err := m.Take(b.Context(), now, items, false)
		if err != nil || a[0].Exceeded == "" {
			b.Fatal(a, err)
		}
	}
}
