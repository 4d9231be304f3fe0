package schedule

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// A firing that failed is tried again after a second, then two, up to half a minute.
const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// Run calls fire for each entry at once and then whenever the entry is due, until ctx ends; then it waits for
// the calls that run and returns nil. Entries do not wait for each other; calls for one entry do not overlap.
//
// Times that pass while fire runs, or while the machine sleeps, collapse into one call as soon as possible, and
// the call at the start stands for all that passed before it. When fire returns an error it is called again
// with growing delays, until it succeeds or the next time comes; fire itself logs what it wants known.
func Run(ctx context.Context, entries []Entry, fire func(context.Context, Entry) error) error {
	var g errgroup.Group
	for _, e := range entries {
		g.Go(func() error {
			for run(ctx, e, fire) {
			}
			return nil
		})
	}
	return g.Wait()
}

// run fires e once, with retries, and waits for its next time. It reports whether to go on.
func run(ctx context.Context, e Entry, fire func(context.Context, Entry) error) bool {
	if ctx.Err() != nil {
		return false
	}
	due := e.Next(time.Now())
	for retry := firstRetry; fire(ctx, e) != nil && time.Now().Add(retry).Before(due); retry = min(2*retry, lastRetry) {
		if !wait(ctx, time.Now().Add(retry)) {
			return false
		}
	}
	return wait(ctx, due)
}

// pause is the longest sleep: a timer counts running time only, so one long sleep would be late by as long as
// the machine slept.
const pause = 30 * time.Second

// wait returns true at the given time of the wall clock, or false when ctx ends.
func wait(ctx context.Context, until time.Time) bool {
	until = until.Round(0) // no monotonic reading: compare wall clocks
	for left := time.Until(until); left > 0; left = time.Until(until) {
		timer := time.NewTimer(min(left, pause))
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
		}
	}
	return ctx.Err() == nil
}
