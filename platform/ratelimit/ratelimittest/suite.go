// Package ratelimittest checks what every [ratelimit.Backend] must do.
package ratelimittest

import (
	"context"
	"errors"
	"testing"
	"time"

	"vibesdk-gcp/platform/ratelimit"
)

// Features tell what a backend can show beside the contract.
type Features struct {
	// Touched counts the cells that all calls so far have read or written. Without it the cost is not checked.
	Touched func(ratelimit.Backend) int64
	// Bytes is what a key takes where it is stored. Without it, that the memory of a key is bounded is not checked.
	Bytes func(b ratelimit.Backend, key string) int64
	// Rows counts what is stored now. Without it, that sweeping frees memory is not checked.
	Rows func(ratelimit.Backend) int
}

// Run drives a backend through the contract. open returns a backend without counts that keeps them for 48 hours at
// least; it is called once for each test, and the tests run in parallel.
func Run(t *testing.T, open func(t testing.TB) ratelimit.Backend, f Features) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(*subject)
	}{
		{"random histories agree with the oracle", randomHistories},
		{"take/all keys or none", allOrNothing},
		{"take/a dry run charges nothing", dryRun},
		{"take/questions leave nothing behind", func(s *subject) { questionsLeaveNothing(s, f) }},
		{"take/one time for all keys of a call", ownClock},
		{"take/the most keys and the longest", largest},
		{"take/decisions depend on the order of addition", orderOfAddition},
		{"take/too many bucket sizes", bucketSizes},
		{"take/a bucket size comes back", bucketSizeReturns},
		{"retry/sums of fractions", retryFractions},
		{"retry/negative charges", retryNegative},
		{"concurrent/one key admits exactly its limit", concurrentKey},
		{"concurrent/fractions admit exactly the limit", concurrentFractions},
		{"concurrent/many keys", concurrentKeys},
		{"concurrent/calls over the same keys in any order", concurrentCalls},
		{"concurrent/adjustments and charges lose nothing", concurrentAdjustments},
		{"adjust/in the bucket of the charge", adjustInBucket},
		{"adjust/once for each id", adjustOnce},
		{"adjust/never below zero", adjustFloor},
		{"adjust/far before the last charge", adjustFarBack},
		{"adjust/not beyond the horizon", adjustOld},
		{"reset/exactly this key", resetExact},
		{"sweep/changes no answer", sweepSafe},
		{"sweep/frees idle keys and old cells", func(s *subject) { sweepFrees(s, f) }},
		{"cost/does not grow with the window", func(s *subject) { cost(s, f) }},
		{"move/nobody can tell from the answers", movedHistories},
		{"move/nothing is known of a key that was never charged", dumpOfNothing},
		{"move/counts replace those that were here", restoreReplaces},
		{"move/a later charge stays", laterChargeStays},
		{"move/the clock of a key comes along", clockMoves},
		{"move/adjustments stay known", adjustmentsMove},
		{"move/all keys are listed", listKeys},
		{"context/an ended one is an error", endedContext},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(&subject{T: t, Backend: open(t)})
		})
	}
}

// subject is the backend under one test.
type subject struct {
	*testing.T
	ratelimit.Backend
}

// noon is a bucket's start for every size that divides a minute.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return noon.Add(d) }

func rule(t testing.TB, c ratelimit.Config) ratelimit.Rule {
	t.Helper()
	r, err := c.Rule()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func per(t testing.TB, limit, period float64) ratelimit.Rule {
	t.Helper()
	return rule(t, ratelimit.Config{Limit: limit, Period: period})
}

func pointer(f float64) *float64 { return &f }

// take charges, or asks with dry, and fails the test on an error.
func (s *subject) take(now time.Time, dry bool, items ...ratelimit.Item) []ratelimit.Answer {
	s.Helper()
	answers, err := s.Take(context.Background(), now, items, dry)
	if err != nil {
		s.Fatalf("Take: %v", err)
	}
	if len(answers) != len(items) {
		s.Fatalf("Take gave %d answers for %d items", len(answers), len(items))
	}
	return answers
}

// charge charges one key and reports whether it was admitted.
func (s *subject) charge(now time.Time, key string, r ratelimit.Rule, n float64) bool {
	s.Helper()
	return s.take(now, false, ratelimit.Item{Key: key, Rule: r, N: n})[0].Exceeded == ""
}

// wantCount compares the main count.
func (s *subject) wantCount(now time.Time, key string, r ratelimit.Rule, want float64, why string) {
	s.Helper()
	if got := s.take(now, true, ratelimit.Item{Key: key, Rule: r})[0].Main; !closeTo(got, want) {
		s.Errorf("count of %s is %v, want %v: %s", key, got, want, why)
	}
}

func endedContext(s *subject) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := per(s, 10, 60)
	_, take := s.Take(ctx, noon, []ratelimit.Item{{Key: "k", Rule: r, N: 1}}, false)
	_, sweep := s.Sweep(ctx, noon)
	for name, err := range map[string]error{
		"Take": take, "Sweep": sweep, "Reset": s.Reset(ctx, "k"),
		"Dump": second(s.Dump(ctx, "k")), "Restore": second(s.Restore(ctx, ratelimit.Counts{Key: "k"})),
		"Adjust": s.Adjust(ctx, noon, ratelimit.Adjustment{ID: "a", Key: "k", Rule: r, Bucket: r.Bucket(noon.UnixMilli()), Delta: 1}),
	} {
		if !errors.Is(err, context.Canceled) && name != "Sweep" {
			s.Errorf("%s gave %v", name, err)
		}
	}
	s.wantCount(noon, "k", r, 0, "no call may have charged")
}

func second[T any](_ T, err error) error { return err }
