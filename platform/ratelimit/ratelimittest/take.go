package ratelimittest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"vibesdk-gcp/platform/ratelimit"
)

func allOrNothing(s *subject) {
	wide, narrow := per(s, 100, 60), per(s, 1, 60)
	items := []ratelimit.Item{{Key: "wide", Rule: wide, N: 5}, {Key: "narrow", Rule: narrow, N: 1}, {Key: "other", Rule: wide, N: 2.5}}
	if ratelimit.Rejected(s.take(noon, false, items...)) {
		s.Fatal("the first call was rejected")
	}
	answers := s.take(noon, false, items...)
	for i, want := range []ratelimit.Exceeded{"", ratelimit.ExceededMain, ""} {
		if answers[i].Exceeded != want {
			s.Errorf("answer %d: exceeded %q, want %q", i, answers[i].Exceeded, want)
		}
	}
	s.wantCount(noon, "wide", wide, 5, "a rejected call charges no key")
	s.wantCount(noon, "narrow", narrow, 1, "a rejected call charges no key")
	s.wantCount(noon, "other", wide, 2.5, "a rejected call charges no key")
}

func dryRun(s *subject) {
	r := per(s, 2, 60)
	for range 5 {
		if a := s.take(noon, true, ratelimit.Item{Key: "k", Rule: r, N: 1})[0]; a.Exceeded != "" || a.Main != 0 {
			s.Fatalf("dry run: %+v", a)
		}
	}
	s.charge(noon, "k", r, 2)
	a := s.take(after(time.Second), true, ratelimit.Item{Key: "k", Rule: r, N: 1})[0]
	if a.Exceeded != ratelimit.ExceededMain || a.RetryAt != after(70*time.Second).UnixMilli() {
		s.Errorf("dry run at the limit: %+v, want main and a retry at 12:01:10", a)
	}
}

// questionsLeaveNothing asks under more bucket sizes than a key may have, by dry runs and by charges that are rejected.
func questionsLeaveNothing(s *subject, f Features) {
	sized := func(limit, size float64) ratelimit.Rule {
		return rule(s, ratelimit.Config{Limit: limit, Period: 60, BucketSize: size})
	}
	rows := func() int {
		if f.Rows == nil {
			return 0
		}
		return f.Rows(s.Backend)
	}
	ask := func(key string) {
		s.Helper()
		before := rows()
		for size := 11.0; size < 31; size++ {
			s.take(noon, true, ratelimit.Item{Key: key, Rule: sized(100, size), N: 1})
			if s.charge(noon, key, sized(0, size), 1) {
				s.Errorf("a limit of 0 admitted %s", key)
			}
		}
		if after := rows(); after != before {
			s.Errorf("questions about %s stored %d rows", key, after-before)
		}
	}
	ask("nobody")
	s.charge(noon, "k", sized(100, 10), 1)
	ask("k")
	for size := 1.0; size < 8; size++ {
		s.charge(noon, "k", sized(100, size), 1) // the error of a size too many would end the test
	}
}

// ownClock charges without a time. The clock is the backend's, so it is only compared with itself.
func ownClock(s *subject) {
	r := per(s, 3, 3600)
	var last int64
	for i := range 4 {
		answers := s.take(time.Time{}, false, ratelimit.Item{Key: "a", Rule: r, N: 1}, ratelimit.Item{Key: "b", Rule: r, N: 1})
		if answers[0].Now != answers[1].Now || answers[0].Now < last || answers[0].Now == 0 {
			s.Errorf("times %d and %d after %d: a call has one time, and it does not go back", answers[0].Now, answers[1].Now, last)
		}
		last = answers[0].Now
		if got := ratelimit.Rejected(answers); got != (i == 3) {
			s.Errorf("charge %d: rejected %v", i, got)
		}
	}
	if err := s.Adjust(context.Background(), time.Time{}, ratelimit.Adjustment{ID: "x", Key: "a", Rule: r, Bucket: r.Bucket(last), Delta: -1}); err != nil {
		s.Fatal(err)
	}
	s.wantCount(time.Time{}, "a", r, 2, "one of three was taken back")
}

func largest(s *subject) {
	r := rule(s, ratelimit.Config{Limit: ratelimit.MaxCount, Period: 100, BucketSize: 0.001, Burst: 5, DailyLimit: nil})
	items := make([]ratelimit.Item, ratelimit.MaxItems)
	for i := range items {
		items[i] = ratelimit.Item{Key: fmt.Sprintf("%02d {}%%_'\"\\*? ü", i) + strings.Repeat("x", ratelimit.MaxKey-18), Rule: r, N: ratelimit.MaxCount}
		if len(items[i].Key) > ratelimit.MaxKey {
			s.Fatalf("the test's key has %d bytes", len(items[i].Key))
		}
	}
	if ratelimit.Rejected(s.take(noon, false, items...)) {
		s.Error("a charge on empty keys was rejected")
	}
	for _, item := range items {
		s.wantCount(after(99*time.Second), item.Key, r, ratelimit.MaxCount, "it was charged once")
	}
}

// orderOfAddition reaches limits by fractions: whether 25 times 0.4 are 10 is a matter of the order.
func orderOfAddition(s *subject) {
	for _, n := range []float64{0.1, 0.2, 0.3, 0.4, 0.7, 1.1, 1.2} {
		for i, c := range []ratelimit.Config{{Limit: 3, Period: 3600, BucketSize: 1}, {Limit: 10, Period: 3600, BucketSize: 1}, {Limit: 33, Period: 3600, BucketSize: 1}} {
			o, key, r := oracle{}, fmt.Sprintf("%g/%d", n, i), rule(s, c)
			for step := range int(c.Limit/n) + 3 {
				now := after(time.Duration(step*7) * time.Second)
				want := o.increment(key, now.UnixMilli(), c, n)
				if got := s.charge(now, key, r, n); got != want.Success {
					s.Errorf("charge %d of %g under %g: admitted %v, want %v", step, n, c.Limit, got, want.Success)
				}
			}
		}
	}
}

func bucketSizes(s *subject) {
	sized := func(size float64) ratelimit.Rule {
		return rule(s, ratelimit.Config{Limit: 100, Period: 60, BucketSize: size})
	}
	grid := time.Unix(noon.Unix()/840*840, 0) // on the grid of every size
	for size := 1.0; size <= 8; size++ {
		s.charge(grid, "k", sized(size), 1)
	}
	for size := 1.0; size <= 8; size++ {
		s.wantCount(grid, "k", sized(size), 8, "its bucket is on every grid")
	}
	_, err := s.Take(context.Background(), grid, []ratelimit.Item{{Key: "k", Rule: sized(9), N: 1}}, false)
	if !errors.Is(err, ratelimit.ErrInvalid) {
		s.Errorf("the ninth bucket size gave %v, want ErrInvalid", err)
	}
	s.wantCount(grid, "k", sized(1), 8, "the refused charge changed nothing")
	if !s.charge(after(80*time.Hour), "k", sized(9), 1) {
		s.Error("long after the others a ninth size is welcome")
	}
}

// bucketSizeReturns gives up a size and takes it again, while cells of its first life may still be stored.
func bucketSizeReturns(s *subject) {
	fine := rule(s, ratelimit.Config{Limit: 1e6, Period: 6 * 3600, BucketSize: 5})
	coarse := rule(s, ratelimit.Config{Limit: 1e6, Period: 6 * 3600, BucketSize: 10})
	o, key := oracle{}, "k"
	charge := func(at time.Duration, r ratelimit.Rule) {
		s.charge(after(at), key, r, 1)
		o.increment(key, after(at).UnixMilli(), r.Config, 1)
	}
	charge(0, fine)
	for at := time.Duration(0); at < 60*time.Hour; at += 20 * time.Minute {
		charge(at, coarse)
	}
	// A size that is new makes the key give up those that nobody uses.
	charge(60*time.Hour, rule(s, ratelimit.Config{Limit: 1e6, Period: 3600, BucketSize: 60}))
	for at := 60 * time.Hour; at < 61*time.Hour; at += 10 * time.Minute {
		charge(at, fine)
	}
	now := after(61 * time.Hour)
	_, want, _, _ := o.windows(key, now.UnixMilli(), fine.Config)
	s.wantCount(now, key, fine, want, "the finer size sees the buckets of the coarser one")
}
