package session

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// Reader reads sessions and never writes. It is safe for concurrent use.
type Reader struct {
	driver Driver
	o      Options
	cache  *cache
}

// NewReader returns a reader over d.
func NewReader(d Driver, o Options) *Reader {
	o = o.withDefaults()
	return &Reader{driver: d, o: o, cache: newCache(o.CacheBytes)}
}

func (r *Reader) now() time.Time { return r.o.Now().UTC().Truncate(time.Microsecond) }

// recent is the record that the cache has, nil when it has none. An expired one may have been removed and
// begun again under the same commit, so it is not known any more.
func (r *Reader) recent(id string) *Record {
	known := r.cache.get(id)
	if known != nil && known.Expired(r.now()) {
		r.cache.drop(id)
		return nil
	}
	return known
}

// Get returns the record with every commit that returned before the call. ErrNotFound when it is not Present or
// Expired.
func (r *Reader) Get(ctx context.Context, id string) (*Record, error) {
	rec, err := r.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	if !rec.Present || rec.Expired(r.now()) {
		return nil, errNoSession
	}
	return rec, nil
}

// Load returns the record like Get, also when it is not Present or Expired: its ring tells what became of its mutations.
// ErrNotFound when nothing is stored.
func (r *Reader) Load(ctx context.Context, id string) (*Record, error) {
	if err := checkID("session id", id); err != nil {
		return nil, err
	}
	known := r.recent(id)
	rec, err := r.driver.Load(ctx, id, known)
	if errors.Is(err, ErrNotFound) {
		r.cache.drop(id)
		return nil, errNoSession
	}
	if err != nil {
		return nil, err
	}
	r.cache.put(known, rec)
	return rec, nil
}

// Watch yields the record as it is, if it is stored and its commit is not after, and then each newer one, the last one
// always; see [Driver.Watch]. after is 0 for a caller that has seen none. Records that are not Present are yielded as well, so
// that a destroyed session is seen. It outlasts failures of the driver. It ends without a word when ctx ends,
// and with ErrInvalid when id is no id.
func (r *Reader) Watch(ctx context.Context, id string, after int64) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		if err := checkID("session id", id); err != nil {
			yield(nil, err)
			return
		}
		known := r.recent(id)
		if known == nil || known.Commit != after {
			known = nil
			if after > 0 {
				known = &Record{Head: Head{ID: id, Commit: after}}
			}
		}
		pause := jitter(20*time.Millisecond, 2*time.Second)
		for failing := false; ; failing = true {
			err := r.driver.Watch(ctx, id, known, func(rec *Record) error {
				known = rec
				failing = false
				pause.Reset()
				if !yield(rec, nil) {
					return errEnough
				}
				return nil
			})
			switch {
			case errors.Is(err, errEnough), ctx.Err() != nil:
				return
			case errors.Is(err, ErrInvalid):
				yield(nil, err)
				return
			}
			if !failing {
				r.o.Logger.WarnContext(ctx, "session: a watch broke, trying again", "session", id, "error", err)
			}
			if sleep(ctx, pause.NextBackOff()) != nil {
				return
			}
		}
	}
}

// errEnough is a consumer of Watch that breaks its loop.
var errEnough = errors.New("enough seen")

// Wait returns the outcome of a mutation once it is decided; Duplicate is not set. It ends with ctx's error.
func (r *Reader) Wait(ctx context.Context, id, mutationID string) (Outcome, error) {
	if err := checkID("mutation id", mutationID); err != nil {
		return Outcome{}, err
	}
	var after int64
	if known := r.recent(id); known != nil {
		if e, ok := known.Ring.Find(mutationID); ok {
			return e.Outcome(mutationID), nil
		}
		after = known.Commit
	}
	for rec, err := range r.Watch(ctx, id, after) {
		if err != nil {
			return Outcome{}, err
		}
		if e, ok := rec.Ring.Find(mutationID); ok {
			return e.Outcome(mutationID), nil
		}
	}
	return Outcome{}, ctx.Err()
}

// Decided returns the outcome of m without waiting for it, also of a session that is not present: Duplicate is set, and
// Err is ErrIDReused when the id was used for other content. ErrNotFound when the id is not remembered.
func (r *Reader) Decided(ctx context.Context, id string, m Mutation) (Outcome, error) {
	rec, err := r.Load(ctx, id)
	if err != nil {
		return Outcome{}, err
	}
	if e, ok := rec.Ring.Find(m.ID); ok {
		if o, ok := e.repeated(m, m.sum()); ok {
			return o, nil
		}
	}
	return Outcome{}, fmt.Errorf("%w: the mutation is not remembered", ErrNotFound)
}

// List returns heads of the driver, without those that are Expired unless q asks for them. Fewer than q.Limit mean that
// there are no more. ErrInvalid when q.Limit is not 1 to 1000 or both times are set.
func (r *Reader) List(ctx context.Context, q Query) ([]Head, error) {
	if q.Limit < 1 || q.Limit > maxList {
		return nil, fmt.Errorf("%w: limit is %d, it must be 1 to %d", ErrInvalid, q.Limit, maxList)
	}
	if !q.DueBy.IsZero() && !q.ExpiredBy.IsZero() {
		return nil, fmt.Errorf("%w: only one of dueBy and expiredBy may be set", ErrInvalid)
	}
	if !q.ExpiredBy.IsZero() {
		return r.driver.List(ctx, q)
	}
	now := r.now()
	heads := make([]Head, 0, q.Limit)
	for {
		page, err := r.driver.List(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, h := range page {
			if !h.Expired(now) && len(heads) < cap(heads) {
				heads = append(heads, h)
			}
		}
		if len(page) < q.Limit || len(heads) == cap(heads) {
			return heads, nil
		}
		last := page[len(page)-1]
		q.After = last.ID
		if !q.DueBy.IsZero() {
			q.AfterTime = last.AlarmAt
		}
	}
}

const maxList = 1000
