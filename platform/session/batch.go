package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// batch decides mutations of one session, with as many commits as it takes; one, nearly always.
type batch struct {
	*group
	items []*item
	// limit is how many items the next commit may decide.
	limit int

	// base is what the next commit builds on, nil before it is loaded. It is fresh unless it came from the cache.
	base  *Record
	fresh bool
	// known is the newest record that was seen, for the next load.
	known *Record

	conflicts, failures *backoff.ExponentialBackOff
}

func newBatch(g *group, items []*item) *batch {
	b := &batch{
		group: g, items: items, limit: len(items),
		conflicts: jitter(2*time.Millisecond, 200*time.Millisecond),
		failures:  jitter(10*time.Millisecond, 2*time.Second),
	}
	b.base = g.store.recent(g.id)
	b.known = b.base
	return b
}

func jitter(first, most time.Duration) *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(backoff.WithInitialInterval(first), backoff.WithMaxInterval(most),
		backoff.WithRandomizationFactor(1), backoff.WithMaxElapsedTime(0))
}

// settle decides all items. It ends early with ctx, and with an error that no retry mends.
func (b *batch) settle(ctx context.Context) error {
	for len(b.items) > 0 {
		var pause time.Duration
		err := b.step(ctx)
		switch {
		case err == nil:
			continue
		case ctx.Err() != nil:
			return ctx.Err() // nobody is left to hear it
		case errors.Is(err, ErrInvalid), errors.Is(err, ErrTooLarge):
			return fmt.Errorf("apply to session: %w", err)
		case errors.Is(err, errUnknown):
			// The ring may forget: it is asked at once what became of the commit.
			b.note(ctx, err)
		case errors.Is(err, ErrConflict):
			pause = b.conflicts.NextBackOff()
		default:
			b.note(ctx, err)
			pause = b.failures.NextBackOff()
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
	return nil
}

// errUnknown is a commit that may have been stored or not.
var errUnknown = errors.New("outcome of a commit is unknown")

func (b *batch) note(ctx context.Context, err error) {
	if b.failure == nil { // only this goroutine writes it
		b.store.o.Logger.WarnContext(ctx, "session: the driver failed, trying again", "session", b.id, "error", err)
	}
	b.failed(err)
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// step makes one commit, or finds that none is needed.
func (b *batch) step(ctx context.Context) error {
	if b.base == nil {
		if err := b.load(ctx); err != nil {
			return err
		}
	}
	items := b.items[:min(b.limit, len(b.items))]
	remembered := b.remembered(items)
	sources, err := b.sources(ctx, items, remembered)
	if err != nil {
		return err
	}
	d := b.decide(items, remembered, sources)
	if len(d.entries) == 0 {
		if !b.fresh && d.reconsiderable {
			// What the cache remembers as rejected may have been replayed elsewhere.
			b.base = nil
			return nil
		}
		b.finish(ctx, items, d.outcomes)
		return nil
	}
	return b.commit(ctx, items, d)
}

func (b *batch) load(ctx context.Context) error {
	r, err := b.store.driver.Load(ctx, b.id, b.known)
	switch {
	case errors.Is(err, ErrNotFound):
		b.store.cache.drop(b.id)
		r = &Record{Head: Head{ID: b.id}}
		b.known = nil
	case err != nil:
		return err
	default:
		b.store.cache.put(b.known, r)
		b.known = r
	}
	b.base, b.fresh = r, true
	return nil
}

// remembered are the entries that the ring has of the items.
func (b *batch) remembered(items []*item) map[uint64]Entry {
	if b.base.Ring.Len() == 0 {
		return nil
	}
	want := make(map[uint64]struct{}, len(items))
	for _, it := range items {
		want[it.hash] = struct{}{}
	}
	return b.base.Ring.find(want)
}

// sources loads what Clones copy.
func (b *batch) sources(ctx context.Context, items []*item, remembered map[uint64]Entry) (map[string]*Record, error) {
	var sources map[string]*Record
	for _, it := range items {
		id := it.m.CloneOf
		if _, repeated := remembered[it.hash]; it.m.Kind != Clone || repeated && it.m.Replay == 0 || checkID("", id) != nil {
			continue
		}
		if _, loaded := sources[id]; loaded {
			continue
		}
		r, err := b.store.Get(ctx, id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, fmt.Errorf("load the source of a clone: %w", err)
		}
		if sources == nil {
			sources = map[string]*Record{}
		}
		sources[id] = r // nil when it was not found
	}
	return sources, nil
}

// decision is what a commit would bring.
type decision struct {
	outcomes []Outcome // one for each item
	entries  []Entry   // of the items that were not decided before
	next     *Record
	// reconsiderable is set when a rejection comes from the ring.
	reconsiderable bool
}

func (b *batch) decide(items []*item, remembered map[uint64]Entry, sources map[string]*Record) decision {
	now := b.store.now()
	base := b.base
	if base.Present && base.Expired(now) {
		base = forgotten(base)
	}
	d := decision{outcomes: make([]Outcome, len(items))}
	f := fold(base, now)
	mark := ringMark{commit: base.Commit + 1, at: now.UnixMicro()}
	here := make(map[uint64]Entry, len(items))
	for i, it := range items {
		e, ok := here[it.hash]
		own := false
		if !ok {
			if e, ok = remembered[it.hash]; ok {
				// What this very call brought about is no duplicate, even if it has to be read from the ring.
				own = slices.Contains(it.tried, ringMark{commit: e.Commit, at: e.At.UnixMicro()})
			}
		}
		if ok {
			if o, ok := e.repeated(it.m, it.sum); ok {
				o.Duplicate = !own
				d.outcomes[i] = o
				d.reconsiderable = d.reconsiderable || e.Code != Applied
				continue
			}
		}
		e = Entry{Hash: it.hash, Sum: it.sum, Kind: it.m.Kind, Replay: it.m.Replay, Commit: mark.commit, At: now}
		err := it.tooLarge
		if err == nil {
			e.Ref, err = f.apply(it.m, sources[it.m.CloneOf])
		}
		e.Code, e.Version = codeOf(err), f.version()
		if err != nil {
			e.Reason = clip(err.Error(), MaxReason)
		}
		d.entries = append(d.entries, e)
		d.outcomes[i] = e.Outcome(it.m.ID)
		here[it.hash] = e
	}
	if len(d.entries) == 0 {
		return d
	}
	d.next = f.result()
	d.next.Tag = b.base.Tag
	d.next.Commit, d.next.UpdatedAt = mark.commit, now
	d.next.Ring = base.Ring.push(d.entries)
	d.next.ExpiresAt = time.Time{}
	switch {
	case !d.next.Present:
		d.next.ExpiresAt = now.Add(b.store.o.Tombstone)
	case b.store.o.TTL > 0:
		d.next.ExpiresAt = now.Add(b.store.o.TTL)
	}
	d.next.ExpiresAt = d.next.ExpiresAt.Truncate(time.Microsecond)
	return d
}

// forgotten is what an expired session is: not present, but its counters and its ring go on.
func forgotten(r *Record) *Record {
	f := *r
	f.Present, f.Initialized, f.Parts, f.AlarmAt = false, false, nil, time.Time{}
	return &f
}

func (b *batch) commit(ctx context.Context, items []*item, d decision) error {
	mark := ringMark{commit: d.next.Commit, at: d.next.UpdatedAt.UnixMicro()}
	for _, it := range items {
		it.tried = append(it.tried, mark)
	}
	start := time.Now()
	traced, ended := b.store.commitSpan(ctx, items, d)
	stored, err := b.store.driver.Commit(traced, d.next)
	ended(err)
	b.store.metrics.commit(ctx, err, len(d.entries), time.Since(start))
	switch {
	case err == nil:
		b.store.cache.put(b.known, stored)
		b.base, b.known = stored, stored
		b.finish(ctx, items, d.outcomes)
		return nil
	case errors.Is(err, ErrTooLarge):
		if len(items) > 1 {
			b.limit = len(items) / 2
			return nil
		}
		if items[0].tooLarge != nil {
			return err // not even its rejection can be stored
		}
		items[0].tooLarge = err
		return nil
	case errors.Is(err, ErrConflict):
		b.base = nil
		return err
	case errors.Is(err, ErrInvalid):
		return err
	default:
		b.base = nil
		return fmt.Errorf("%w: %w", errUnknown, err)
	}
}

// finish gives the first items their outcomes.
func (b *batch) finish(ctx context.Context, items []*item, outcomes []Outcome) {
	b.items = b.items[len(items):]
	b.decided(ctx, items, outcomes)
	b.limit = min(2*b.limit, MaxBatch) // it is smaller after a refusal
	b.conflicts.Reset()
	b.failures.Reset()
}
