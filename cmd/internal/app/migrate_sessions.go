package app

import (
	"context"
	"errors"
	"strings"
	"time"

	"vibesdk-gcp/platform/session"
)

// migratePage is how many items are between two saves of the state.
const migratePage = 100

// farFuture lies behind every time of expiry.
var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// sessions copies those that are present, by id, and what is remembered of others, by expiry.
func (m *migration) sessions(ctx context.Context, run *partRun) error {
	phases := []phase{
		{"copy", func(ctx context.Context, cursor string) (string, error) {
			return m.presentSessions(ctx, cursor, m.copySession(run), run)
		}},
		{"copy tombstones", func(ctx context.Context, cursor string) (string, error) {
			return m.tombstones(ctx, cursor, m.copySession(run))
		}},
	}
	if m.o.Verify {
		phases = append(phases,
			phase{"compare", func(ctx context.Context, cursor string) (string, error) {
				return m.presentSessions(ctx, cursor, m.compareSession(run), nil)
			}},
			phase{"compare tombstones", func(ctx context.Context, cursor string) (string, error) {
				return m.tombstones(ctx, cursor, m.compareSession(run))
			}},
			phase{"look at the other side", func(ctx context.Context, cursor string) (string, error) { return m.otherSessions(ctx, cursor, run) }},
		)
	}
	return run.run(ctx, phases...)
}

// presentSessions works on a page of those that are present. The cursor is the last id. With a part, what is at the other side already, as its
// head tells, is counted as the same and left out.
func (m *migration) presentSessions(ctx context.Context, cursor string, fn func(context.Context, string) error, skip *partRun) (string, error) {
	heads, err := m.from.sessions.List(ctx, session.Query{After: cursor, Limit: migratePage})
	if err != nil || len(heads) == 0 {
		return "", err
	}
	last := heads[len(heads)-1].ID
	var there map[string]session.Head
	if skip != nil {
		if there, err = headsBetween(ctx, m.to.sessions, cursor, last); err != nil {
			return "", err
		}
	}
	ids := make([]string, 0, len(heads))
	for _, h := range heads {
		if t, ok := there[h.ID]; ok && t.Version == h.Version && t.UpdatedAt.Equal(h.UpdatedAt) {
			skip.count(&skip.Same, "")
			continue
		}
		ids = append(ids, h.ID)
	}
	return last, each(ctx, m, ids, fn)
}

// headsBetween are the heads of sessions that are present, behind one id and up to another.
func headsBetween(ctx context.Context, s *session.Store, after, last string) (map[string]session.Head, error) {
	found := map[string]session.Head{}
	for {
		page, err := s.List(ctx, session.Query{After: after, Limit: migratePage})
		if err != nil {
			return nil, err
		}
		for _, h := range page {
			found[h.ID] = h
		}
		if len(page) < migratePage || page[len(page)-1].ID >= last {
			return found, nil
		}
		after = page[len(page)-1].ID
	}
}

// tombstones works on a page of records that are only remembered, and not yet expired. The cursor is the time of expiry and the id.
func (m *migration) tombstones(ctx context.Context, cursor string, fn func(context.Context, string) error) (string, error) {
	q := session.Query{ExpiredBy: farFuture, Limit: migratePage}
	if at, id, ok := strings.Cut(cursor, " "); ok {
		var err error
		if q.AfterTime, err = time.Parse(time.RFC3339Nano, at); err != nil {
			return "", err
		}
		q.After = id
	}
	heads, err := m.from.sessions.List(ctx, q)
	if err != nil || len(heads) == 0 {
		return "", err
	}
	var ids []string
	now := time.Now()
	for _, h := range heads {
		if !h.Present && !h.Expired(now) {
			ids = append(ids, h.ID)
		}
	}
	last := heads[len(heads)-1]
	return last.ExpiresAt.UTC().Format(time.RFC3339Nano) + " " + last.ID, each(ctx, m, ids, fn)
}

// loadSession is nil for one that is not there, or no longer.
func loadSession(ctx context.Context, s *session.Store, id string) (*session.Record, error) {
	rec, err := s.Load(ctx, id)
	if errors.Is(err, session.ErrNotFound) {
		return nil, nil
	}
	return rec, err
}

func (m *migration) copySession(run *partRun) func(context.Context, string) error {
	return func(ctx context.Context, id string) error {
		rec, err := loadSession(ctx, m.from.sessions, id)
		if err != nil || rec == nil {
			return err
		}
		if m.o.DryRun {
			return m.tryCopy(ctx, run, rec)
		}
		switch _, changed, err := m.to.sessions.Adopt(ctx, rec); {
		case errors.Is(err, session.ErrConflict):
			run.count(&run.Ahead, "session %q: %v", id, err)
		case errors.Is(err, session.ErrInvalid), errors.Is(err, session.ErrTooLarge):
			run.count(&run.Refused, "session %q: %v", id, err)
		case err != nil:
			return err
		case changed:
			run.count(&run.Copied, "")
		default:
			run.count(&run.Same, "")
		}
		return nil
	}
}

// tryCopy counts what a copy would do.
func (m *migration) tryCopy(ctx context.Context, run *partRun, rec *session.Record) error {
	there, err := loadSession(ctx, m.to.sessions, rec.ID)
	switch {
	case err != nil:
		return err
	case there == nil || there.Version < rec.Version:
		run.count(&run.Copied, "")
	case there.Version > rec.Version:
		run.count(&run.Ahead, "session %q: versions %d and %d", rec.ID, rec.Version, there.Version)
	default:
		run.count(&run.Same, "")
	}
	return nil
}

func (m *migration) compareSession(run *partRun) func(context.Context, string) error {
	return func(ctx context.Context, id string) error {
		rec, err := loadSession(ctx, m.from.sessions, id)
		if err != nil || rec == nil {
			return err
		}
		there, err := loadSession(ctx, m.to.sessions, id)
		switch {
		case err != nil:
			return err
		case there == nil:
			run.count(&run.Differing, "session %q: is not there", id)
		default:
			if d := session.Difference(rec, there); d != "" {
				run.count(&run.Differing, "session %q: %s", id, d)
			}
		}
		run.count(&run.Compared, "")
		return nil
	}
}

// otherSessions counts the sessions that only the other side has.
func (m *migration) otherSessions(ctx context.Context, cursor string, run *partRun) (string, error) {
	heads, err := m.to.sessions.List(ctx, session.Query{After: cursor, Limit: migratePage})
	if err != nil || len(heads) == 0 {
		return "", err
	}
	last := heads[len(heads)-1].ID
	here, err := headsBetween(ctx, m.from.sessions, cursor, last)
	if err != nil {
		return "", err
	}
	for _, h := range heads {
		if _, ok := here[h.ID]; !ok {
			run.count(&run.OnlyThere, "")
		}
	}
	return last, nil
}
