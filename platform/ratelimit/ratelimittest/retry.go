package ratelimittest

import (
	"fmt"
	"time"

	"vibesdk-gcp/platform/ratelimit"
)

// retryFractions waits for sums of fractions that come down to the limit but for the last bit.
func retryFractions(s *subject) {
	for _, n := range []float64{0.1, 0.2, 0.3, 0.4, 0.7, 1.1} {
		for i, limit := range []float64{3, 10, 33} {
			c := ratelimit.Config{Limit: limit, Period: 3600, BucketSize: 1}
			o, key, r := oracle{}, fmt.Sprintf("%g/%d", n, i), rule(s, c)
			step := 0
			charge := func(n float64) {
				now := after(time.Duration(step*7) * time.Second)
				o.increment(key, now.UnixMilli(), c, n)
				s.charge(now, key, r, n)
				step++
			}
			for range int(limit/n - 0.5) {
				charge(n)
			}
			charge(5 * n)
			for wait := range 6 {
				now := after(time.Duration(step*7+wait) * time.Second)
				s.wantRetry(o, now, key, r)
			}
		}
	}
}

// retryNegative waits for a window that would admit at once, but not any more when the other one does.
func retryNegative(s *subject) {
	c := ratelimit.Config{Limit: 3, Period: 60, Burst: 2, BurstWindow: pointer(10)}
	o, r := oracle{}, rule(s, c)
	for _, charge := range []struct {
		at time.Duration
		n  float64
	}{{-60 * time.Second, -5}, {-40 * time.Second, 5}, {0, 2}} {
		o.increment("k", after(charge.at).UnixMilli(), c, charge.n)
		if !s.charge(after(charge.at), "k", r, charge.n) {
			s.Fatalf("the charge of %v was rejected", charge.n)
		}
	}
	s.wantRetry(o, after(5*time.Second), "k", r)
}

func (s *subject) wantRetry(o oracle, now time.Time, key string, r ratelimit.Rule) {
	s.Helper()
	a := s.take(now, true, ratelimit.Item{Key: key, Rule: r, N: 1})[0]
	if want := o.rejects(key, now.UnixMilli(), r.Config); a.Exceeded != want || want == "" {
		s.Errorf("%s: exceeded %q, want %q, and the test needs a rejection", key, a.Exceeded, want)
		return
	}
	if want := o.retryAt(key, now.UnixMilli(), r); a.RetryAt != want {
		s.Errorf("%s: a retry in %dms, want %dms", key, a.RetryAt-a.Now, want-a.Now)
	}
}
