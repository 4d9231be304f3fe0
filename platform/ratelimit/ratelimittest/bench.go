package ratelimittest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vibesdk-gcp/platform/ratelimit"
)

// Bench measures a backend: one client on a key without counts and on one with a full day of buckets, and 64
// clients on one key and on 10,000.
func Bench(b *testing.B, open func(testing.TB) ratelimit.Backend) {
	BenchWindow(b, open)
	b.Run("Hot64", func(b *testing.B) { BenchClients(b, Taker(b, open(b), 1)) })
	b.Run("Keys64", func(b *testing.B) { BenchClients(b, Taker(b, open(b), 10_000)) })
}

// BenchWindow measures one client on a key without counts and on one with a full day of buckets.
func BenchWindow(b *testing.B, open func(testing.TB) ratelimit.Backend) {
	var empty float64
	b.Run("Empty", func(b *testing.B) { empty = benchKey(b, open(b), 0) })
	b.Run("Full", func(b *testing.B) {
		full := benchKey(b, open(b), 8640)
		if empty > 0 {
			b.ReportMetric(full/empty, "x-empty")
		}
	})
}

// benchKey charges one key again and again, with so many buckets in its window, and returns the time of one charge.
func benchKey(b *testing.B, backend ratelimit.Backend, buckets int) float64 {
	b.Helper()
	r := rule(b, ratelimit.Config{Limit: ratelimit.MaxCount, Period: 86400, DailyLimit: pointer(ratelimit.MaxCount)})
	items := []ratelimit.Item{{Key: "k", Rule: r, N: 1}}
	take := func(now time.Time) {
		if _, err := backend.Take(context.Background(), now, items, false); err != nil {
			b.Error(err)
		}
	}
	fill(b, backend, "k", r, buckets)
	now := after(8640 * 10 * time.Second)
	take(now)
	b.ResetTimer()
	for range b.N {
		take(now)
	}
	return float64(b.Elapsed().Nanoseconds()) / float64(b.N)
}

// Taker charges keys in turn.
func Taker(b testing.TB, backend ratelimit.Backend, keys int) func(i int) error {
	b.Helper()
	r := rule(b, ratelimit.Config{Limit: ratelimit.MaxCount, Period: 60})
	items := make([][]ratelimit.Item, keys)
	for k := range items {
		items[k] = []ratelimit.Item{{Key: fmt.Sprintf("platform:apiRateLimit:user:%06d", k), Rule: r, N: 1}}
	}
	return func(i int) error {
		_, err := backend.Take(context.Background(), time.Time{}, items[i%keys], false)
		return err
	}
}

// BenchClients calls run from 64 clients, and reports calls per second, the median time of a call and the
// time that 99 of 100 calls stay under.
func BenchClients(b *testing.B, run func(i int) error) {
	var next atomic.Int64
	var mu sync.Mutex
	var all []time.Duration
	b.ResetTimer()
	together(func(int) {
		var mine []time.Duration
		for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
			begin := time.Now()
			if err := run(int(i)); err != nil {
				b.Error(err)
				return
			}
			mine = append(mine, time.Since(begin))
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, mine...)
	})
	b.StopTimer()
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
}
