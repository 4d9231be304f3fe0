package janitor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vibesdk-gcp/platform/session"
)

// Sessions is what the sweeps need of a [session.Store].
type Sessions interface {
	List(ctx context.Context, q session.Query) ([]session.Head, error)
	// Remove removes a record that has exactly this commit: session.ErrConflict otherwise.
	Remove(ctx context.Context, id string, commit int64) error
	// Clean removes at most limit things that no record has referred to since before, and returns how many.
	Clean(ctx context.Context, before time.Time, limit int) (int, error)
	// Unreferenced returns how many things Clean would remove, at most limit.
	Unreferenced(ctx context.Context, before time.Time, limit int) (int, error)
}

// sweepSessions removes the records whose time is over: sessions that lived as long as they may, and what is remembered of
// those that ended. One that was written meanwhile has another commit, and stays.
func (j *Janitor) sweepSessions(ctx context.Context, dry bool) error {
	var failed failures
	failed.add(j.heads(ctx, session.Query{ExpiredBy: j.o.Now()}, func(page []session.Head) {
		failed.add(each(ctx, page, func(h session.Head) error {
			j.o.Logger.InfoContext(ctx, "removing a session whose time is over", "session_id", h.ID, "present", h.Present, "expired_at", h.ExpiresAt, "dry_run", dry)
			if dry {
				return nil
			}
			if err := j.o.Sessions.Remove(ctx, h.ID, h.Commit); err != nil && !errors.Is(err, session.ErrConflict) {
				return fmt.Errorf("remove session %q: %w", h.ID, err)
			}
			return nil
		}))
	}))
	return failed.err("sweep of stale sessions")
}

// sweepJobs publishes the runs that are due before the lookahead ends, and those of half as long again: a tick that comes a
// moment late must not make them late.
func (j *Janitor) sweepJobs(ctx context.Context, dry bool) error {
	var failed failures
	failed.add(j.heads(ctx, session.Query{DueBy: j.o.Now().Add(j.o.Lookahead * 3 / 2)}, func(page []session.Head) {
		failed.add(each(ctx, page, func(h session.Head) error {
			j.o.Logger.DebugContext(ctx, "session has jobs that are due", "session_id", h.ID, "due", h.AlarmAt, "dry_run", dry)
			if dry {
				return nil
			}
			if err := j.o.Wake(ctx, h.ID); err != nil {
				return fmt.Errorf("jobs of session %q: %w", h.ID, err)
			}
			return nil
		}))
	}))
	return failed.err("sweep of due jobs")
}

// sweepChunks removes what no record refers to. A dry run counts it, up to a page.
func (j *Janitor) sweepChunks(ctx context.Context, olderThan time.Duration, dry bool) error {
	before, total := j.o.Now().Add(-olderThan), 0
	if dry {
		n, err := j.o.Sessions.Unreferenced(ctx, before, pageSize)
		if err != nil {
			return fmt.Errorf("dry sweep of orphaned chunks: %w", err)
		}
		j.o.Logger.InfoContext(ctx, "orphaned chunks", "count", n, "or_more", n == pageSize, "dry_run", true)
		return nil
	}
	err := j.repeat(ctx, &total, func() (int, error) { return j.o.Sessions.Clean(ctx, before, pageSize) })
	if total > 0 {
		j.o.Logger.InfoContext(ctx, "orphaned chunks removed", "count", total)
	}
	if err != nil {
		return fmt.Errorf("sweep of orphaned chunks: %w", err)
	}
	return nil
}

// sweepLimits removes counts that no window reaches.
func (j *Janitor) sweepLimits(ctx context.Context, dry bool) error {
	if dry {
		j.o.Logger.InfoContext(ctx, "rate-limit counts are not counted by a dry run")
		return nil
	}
	now, total := j.o.Now(), 0
	err := j.repeat(ctx, &total, func() (int, error) { return j.o.SweepLimits(ctx, now) })
	if total > 0 {
		j.o.Logger.InfoContext(ctx, "rate-limit counts removed", "count", total)
	}
	if err != nil {
		return fmt.Errorf("sweep of rate-limit counts: %w", err)
	}
	return nil
}

// repeat calls remove until it finds nothing, fails or ctx ends. What is left then is the next sweep's.
func (j *Janitor) repeat(ctx context.Context, total *int, remove func() (int, error)) error {
	for ctx.Err() == nil {
		n, err := remove()
		*total += n
		if err != nil || n == 0 {
			return err
		}
	}
	return context.Cause(ctx)
}

// heads calls fn with the heads of a query by time, a page at a time, until there are no more or ctx ends.
func (j *Janitor) heads(ctx context.Context, q session.Query, fn func([]session.Head)) error {
	q.Limit = pageSize
	for {
		page, err := j.o.Sessions.List(ctx, q)
		if err != nil {
			return fmt.Errorf("list sessions after %q: %w", q.After, err)
		}
		fn(page)
		if len(page) < q.Limit {
			return nil
		}
		last := page[len(page)-1]
		q.After, q.AfterTime = last.ID, last.AlarmAt
		if !q.ExpiredBy.IsZero() {
			q.AfterTime = last.ExpiresAt
		}
	}
}
