package sessiontest_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"vibesdk-gcp/platform/session"
)

// memory is the simplest driver that keeps every promise, or all but the one named in broken: the suite must accept the
// one and reject the others.
type memory struct {
	broken string

	mu      sync.Mutex
	records map[string]*session.Record
	changed chan struct{}
	tags    int
	// older is what was stored before each record, and loads counts, for reads that lag.
	older map[string]*session.Record
	loads int
}

func newMemory(broken string) *memory {
	return &memory{broken: broken, records: map[string]*session.Record{}, older: map[string]*session.Record{}, changed: make(chan struct{})}
}

func (m *memory) Load(ctx context.Context, id string, known *session.Record) (*session.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	stored, ok := m.records[m.key(id)]
	if m.loads++; m.broken == "lags" && m.loads%3 == 0 && m.older[id] != nil {
		stored = m.older[id]
	}
	switch {
	case !ok:
		return nil, session.ErrNotFound
	case known != nil && known.Commit == stored.Commit && m.broken != "reads what is known":
		return known, nil
	case known != nil && m.broken == "trusts what is known":
		return known, nil
	}
	r := *stored
	r.Parts = make(map[session.PartName]session.Part, len(stored.Parts))
	for name, p := range stored.Parts {
		if m.broken == "tears reads" {
			// The lock is let go between two parts.
			m.mu.Unlock()
			time.Sleep(time.Microsecond)
			m.mu.Lock()
			if now := m.records[m.key(id)]; now != nil {
				p = now.Parts[name]
			}
		}
		if known != nil && known.Parts[name].Tag == p.Tag {
			p = known.Parts[name]
		} else {
			p.Data = bytes.Clone(p.Data)
		}
		r.Parts[name] = p
	}
	return &r, nil
}

func (m *memory) Commit(ctx context.Context, next *session.Record) (*session.Record, error) {
	if err := ctx.Err(); err != nil {
		if m.broken == "refuses what it was not asked" {
			return nil, session.ErrConflict
		}
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	stored := m.records[m.key(next.ID)]
	if m.commitOf(stored) != next.Commit-1 && (m.broken != "loses a race" || stored == nil || stored.Commit != next.Commit) {
		if m.broken == "leaves parts of a lost commit" && stored != nil {
			stored.Parts = maps.Clone(stored.Parts)
			maps.Copy(stored.Parts, next.Parts)
		}
		return nil, session.ErrConflict
	}
	r := *next
	r.Parts = map[session.PartName]session.Part{}
	if m.broken == "keeps removed parts" && stored != nil {
		maps.Copy(r.Parts, stored.Parts)
	}
	for name, p := range next.Parts {
		switch {
		case p.Tag == "":
			m.tags++
			p.Tag = fmt.Sprint(m.tags)
			p.Data = bytes.Clone(p.Data)
			if m.broken == "parses parts" {
				p.Data = bytes.TrimSpace(p.Data)
			}
		case m.broken == "forgets unchanged parts":
			continue
		}
		r.Parts[name] = p
	}
	if m.broken == "keeps milliseconds" {
		r.AlarmAt = r.AlarmAt.Truncate(time.Millisecond)
	}
	m.older[next.ID] = stored
	m.records[m.key(next.ID)] = &r
	if m.broken != "misses the last commit" || next.Commit%3 > 0 {
		m.wake()
	}
	returned := r
	returned.Parts = maps.Clone(r.Parts)
	return &returned, nil
}

func (m *memory) key(id string) string {
	if m.broken == "folds case" {
		return strings.ToLower(id)
	}
	return id
}

func (m *memory) commitOf(r *session.Record) int64 {
	if r == nil {
		return 0
	}
	return r.Commit
}

func (m *memory) wake() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *memory) Watch(ctx context.Context, id string, known *session.Record, fn func(*session.Record) error) error {
	wake := make(chan struct{}, 1)
	ctx, cancel := context.WithCancelCause(ctx)
	var waiting sync.WaitGroup
	m.mu.Lock()
	changed := m.changed
	m.mu.Unlock()
	waiting.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-changed:
				m.mu.Lock()
				changed = m.changed
				m.mu.Unlock()
				select {
				case wake <- struct{}{}:
				default:
				}
			}
		}
	})
	defer waiting.Wait()
	defer cancel(nil)
	if m.broken == "repeats what is known" {
		known = nil
	}
	return session.Follow(ctx, m, id, known, wake, time.Hour, fn)
}

func (m *memory) List(ctx context.Context, q session.Query) ([]session.Head, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	at := func(session.Head) time.Time { return time.Time{} }
	by := time.Time{}
	switch {
	case !q.DueBy.IsZero():
		at, by = func(h session.Head) time.Time { return h.AlarmAt }, q.DueBy
	case !q.ExpiredBy.IsZero():
		at, by = func(h session.Head) time.Time { return h.ExpiresAt }, q.ExpiredBy
	}
	var heads []session.Head
	for _, r := range m.records {
		t := at(r.Head)
		if by.IsZero() && !r.Present || !by.IsZero() && (t.IsZero() || t.After(by)) {
			continue
		}
		order := cmp.Or(t.Compare(q.AfterTime), cmp.Compare(r.ID, q.After))
		if m.broken == "loses ties" && !by.IsZero() && !q.AfterTime.IsZero() {
			order = t.Compare(q.AfterTime)
		}
		if q.After == "" && q.AfterTime.IsZero() || order > 0 {
			heads = append(heads, r.Head)
		}
	}
	slices.SortFunc(heads, func(a, b session.Head) int { return cmp.Or(at(a).Compare(at(b)), cmp.Compare(a.ID, b.ID)) })
	return heads[:min(len(heads), q.Limit)], nil
}

func (m *memory) Remove(ctx context.Context, id string, commit int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	stored := m.records[m.key(id)]
	switch {
	case stored == nil:
		return nil
	case stored.Commit != commit && m.broken != "removes anything":
		return session.ErrConflict
	}
	delete(m.records, m.key(id))
	m.wake()
	return nil
}
