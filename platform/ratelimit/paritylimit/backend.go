// Package paritylimit wraps two backends of rate limits: the first one answers, and dry decisions are asked of the second as well, beside
// the answer and without delay. Nothing is ever charged to the second.
//
// # What is counted
//
// ratelimit.parity {check}, by result:
//
//	same      the decision and the counts are the same, within a relative 1e-9
//	decision  one admits what the other rejects, or another window rejects
//	counts    the decision is the same, and the counts are not
//	failed    the second did not answer
//	skipped   too many comparisons were under way
//
// The two decide a moment apart, so a difference or two where a bucket leaves its window says nothing.
package paritylimit

import (
	"context"
	"math"
	"time"

	"vibesdk-gcp/internal/shadow"
	"vibesdk-gcp/platform/ratelimit"
)

// Backend is a [ratelimit.Backend] with another beside it.
type Backend struct {
	ratelimit.Backend // answers

	other  ratelimit.Backend
	checks *shadow.Runner
}

var _ ratelimit.Backend = (*Backend)(nil)

// New returns a Backend whose answers are those of first. Both stay the caller's to close, after the Backend. The name of the options is
// set here.
func New(first, second ratelimit.Backend, o shadow.Options) *Backend {
	o.Name = "ratelimit.parity"
	return &Backend{Backend: first, other: second, checks: shadow.New(o)}
}

// Close waits for comparisons under way.
func (b *Backend) Close(ctx context.Context) error { return b.checks.Close(ctx) }

// Take implements [ratelimit.Backend].
func (b *Backend) Take(ctx context.Context, now time.Time, items []ratelimit.Item, dry bool) ([]ratelimit.Answer, error) {
	answers, err := b.Backend.Take(ctx, now, items, dry)
	if dry && err == nil {
		b.checks.Go(ctx, func(ctx context.Context) (shadow.Result, []any) { return b.compare(ctx, now, items, answers) })
	}
	return answers, err
}

func (b *Backend) compare(ctx context.Context, now time.Time, items []ratelimit.Item, answers []ratelimit.Answer) (shadow.Result, []any) {
	others, err := b.other.Take(ctx, now, items, true)
	if err != nil {
		return shadow.Failed, []any{"key", items[0].Key, "error", err}
	}
	result, details := shadow.Same, []any(nil)
	for i, item := range items {
		a, o := answers[i], others[i]
		switch {
		case a.Exceeded != o.Exceeded:
			return "decision", []any{"key", item.Key, "exceeded", string(a.Exceeded), "other_exceeded", string(o.Exceeded)}
		case !same(a.Main, o.Main) || !same(a.Daily, o.Daily):
			result, details = "counts", []any{"key", item.Key, "main", a.Main, "other_main", o.Main, "daily", a.Daily, "other_daily", o.Daily}
		}
	}
	return result, details
}

func same(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Max(1, math.Abs(b)) }
