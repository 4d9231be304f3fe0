package ratelimittest

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"pgregory.net/rapid"

	"vibesdk-gcp/platform/ratelimit"
)

// randomHistories runs random calls on the backend and on the oracle. Each history has keys of its own, so that
// one backend serves all.
func randomHistories(s *subject) {
	var histories atomic.Int64
	rapid.Check(s.T, func(t *rapid.T) {
		h := history{
			t: t, b: s.Backend, oracle: oracle{}, id: histories.Add(1),
			configs: rapid.SliceOfN(configs, 1, 3).Draw(t, "configs"),
			now:     noon.UnixMilli() + rapid.Int64Range(0, 86_400_000).Draw(t, "start"),
			costs:   rapid.SampledFrom(costs).Draw(t, "costs"),
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			h.step()
		}
	})
}

// costs keep to one kind for a history: whole numbers and fractions are decided in different ways.
var costs = [][]float64{
	{1, 1, 1, 2, 5, 0},
	{0.36, 0.4, 0.8, 1.2, 0.1, 1},
	{1, 0.4, -3, -0.4, 12},
}

var configs = rapid.Custom(func(t *rapid.T) ratelimit.Config {
	optional := func(name string, values ...float64) *float64 {
		if i := rapid.IntRange(0, len(values)).Draw(t, name); i > 0 {
			return &values[i-1]
		}
		return nil
	}
	return ratelimit.Config{
		Limit:         rapid.SampledFrom([]float64{0, 1, 2.5, 3, 4, 10, 50}).Draw(t, "limit"),
		Period:        rapid.SampledFrom([]float64{0.5, 1, 10, 15, 61, 400, 3600, 86400}).Draw(t, "period"),
		Burst:         rapid.SampledFrom([]float64{0, 0, 1, 2, 3, 5}).Draw(t, "burst"),
		BurstWindow:   optional("burstWindow", 0, 1, 10, 17, 30),
		BucketSize:    rapid.SampledFrom([]float64{0, 0, 1, 5, 7, 10, 60, 600}).Draw(t, "bucketSize"),
		DailyLimit:    optional("dailyLimit", 0, 1, 3, 20),
		CalendarDaily: rapid.IntRange(0, 4).Draw(t, "calendar") == 0,
	}
})

type history struct {
	t       *rapid.T
	b       ratelimit.Backend
	oracle  oracle
	id      int64
	configs []ratelimit.Config
	now     int64
	costs   []float64
}

func (h *history) step() {
	t := h.t
	h.now += rapid.SampledFrom([]int64{0, 1, 400, 999, 5000, 10_000, 33_000, 61_000, 400_000, 3_600_000, 40_000_000}).Draw(t, "pass")
	now := time.UnixMilli(h.now)
	switch op := rapid.IntRange(0, 19).Draw(t, "op"); op {
	case 0:
		key := h.key()
		if err := h.b.Reset(context.Background(), key); err != nil {
			t.Fatal(err)
		}
		delete(h.oracle, key)
	case 1:
		if _, err := h.b.Sweep(context.Background(), now); err != nil {
			t.Fatal(err)
		}
	case 2, 3, 4:
		key, c := h.key(), h.config()
		got, err := remaining(context.Background(), h.b, now, key, h.rule(c))
		if want := h.oracle.remaining(key, h.now, c); err != nil || !closeTo(got, want) {
			t.Fatalf("remaining of %s at %d: %v, %v, want %v", key, h.now, got, err, want)
		}
	default:
		h.take(now, op < 7)
	}
}

func (h *history) key() string {
	return fmt.Sprintf("%s/%d", rapid.SampledFrom([]string{"a", "b"}).Draw(h.t, "key"), h.id)
}

func (h *history) config() ratelimit.Config { return rapid.SampledFrom(h.configs).Draw(h.t, "config") }

func (h *history) rule(c ratelimit.Config) ratelimit.Rule {
	r, err := c.Rule()
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// take charges one or two keys and compares every answer.
func (h *history) take(now time.Time, dry bool) {
	keys := []string{h.key()}
	if rapid.IntRange(0, 3).Draw(h.t, "more") == 0 {
		keys = []string{fmt.Sprintf("b/%d", h.id), fmt.Sprintf("a/%d", h.id)}
	}
	items := make([]ratelimit.Item, len(keys))
	rejected := false
	for i, key := range keys {
		items[i] = ratelimit.Item{Key: key, Rule: h.rule(h.config()), N: rapid.SampledFrom(h.costs).Draw(h.t, "n")}
		rejected = rejected || h.oracle.rejects(key, h.now, items[i].Rule.Config) != ""
	}
	answers, err := h.b.Take(context.Background(), now, items, dry)
	if err != nil {
		h.t.Fatal(err)
	}
	for i, item := range items {
		h.compare(item, answers[i])
	}
	if dry || rejected {
		return
	}
	for i, item := range items {
		want := h.oracle.increment(item.Key, h.now, item.Rule.Config, item.N)
		if got := item.Rule.Result(item.N, answers[i]); got.Success != want.Success || !closeTo(got.RemainingLimit, want.RemainingLimit) {
			h.t.Fatalf("charge %+v at %d: got %+v, want %+v", item, h.now, got, want)
		}
	}
}

func (h *history) compare(item ratelimit.Item, got ratelimit.Answer) {
	c := item.Rule.Config
	_, main, _, daily := h.oracle.windows(item.Key, h.now, c)
	want := ratelimit.Answer{Exceeded: h.oracle.rejects(item.Key, h.now, c), Now: h.now}
	if got.Exceeded != want.Exceeded || got.Now != want.Now || !closeTo(got.Main, main) || !closeTo(got.Daily, daily) {
		h.t.Fatalf("answer for %+v at %d: got %+v, want %+v with counts %v and %v", item, h.now, got, want, main, daily)
	}
	if want.Exceeded != "" {
		if at := h.oracle.retryAt(item.Key, h.now, item.Rule); got.RetryAt != at {
			h.t.Fatalf("retry of %+v rejected at %d: got %d, want %d (buckets %v)", item, h.now, got.RetryAt, at, h.oracle[item.Key])
		}
	}
}
