package sandbox

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"
)

const (
	// flushEvery is how old activity may be before it is stored.
	flushEvery = time.Second
	// flushTimeout bounds one attempt to store it.
	flushTimeout = 5 * time.Second
)

// touches holds activity that is not stored yet, the latest instant for each id.
type touches struct {
	flush sync.Mutex // held while storing, so that there is one batch in flight

	mu       sync.Mutex
	waiting  map[string]time.Time
	inFlight map[string]time.Time
}

// Touch notes preview traffic. It only remembers, so it may be called for every request; [Records.Run] stores
// it within a second. Until then this process's Load and List already show it.
func (rs *Records) Touch(id string, at time.Time) { rs.touches.add(id, storable(at)) }

// Run stores buffered activity every second until ctx ends, and then once more. It returns nil. What cannot be
// stored is kept for the next second.
func (rs *Records) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			rs.flushLogged(ctx)
		case <-ctx.Done():
			rs.flushLogged(context.WithoutCancel(ctx))
			return nil
		}
	}
}

// Close stores the activity that came after Run. It does not close the driver's database.
func (rs *Records) Close(ctx context.Context) error {
	return errors.Join(rs.metrics.close(), rs.flushTouches(ctx))
}

func (rs *Records) flushLogged(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	if err := rs.flushTouches(ctx); err != nil {
		rs.Logger.WarnContext(ctx, "sandbox activity is not stored yet", slog.Any("error", err))
	}
}

func (rs *Records) flushTouches(ctx context.Context) error {
	t := &rs.touches
	t.flush.Lock()
	defer t.flush.Unlock()
	batch := t.take()
	if len(batch) == 0 {
		return nil
	}
	err := rs.driver.Touch(ctx, batch)
	t.settle(err == nil)
	return err
}

func (t *touches) add(id string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addLocked(id, at)
}

func (t *touches) addLocked(id string, at time.Time) {
	if t.waiting == nil {
		t.waiting = map[string]time.Time{}
	}
	if at.After(t.waiting[id]) {
		t.waiting[id] = at
	}
}

func (t *touches) take() map[string]time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inFlight, t.waiting = t.waiting, nil
	return maps.Clone(t.inFlight)
}

func (t *touches) settle(stored bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !stored {
		for id, at := range t.inFlight {
			t.addLocked(id, at)
		}
	}
	t.inFlight = nil
}

// unstored returns what may not be stored yet. It is asked for before a record is read: activity that is stored while
// the read is under way is then in one of the two.
func (t *touches) unstored() map[string]time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := maps.Clone(t.inFlight)
	for id, at := range t.waiting {
		if at.After(all[id]) {
			if all == nil {
				all = map[string]time.Time{}
			}
			all[id] = at
		}
	}
	return all
}

// unstoredOf is unstored for one id, the zero time when there is nothing.
func (t *touches) unstoredOf(id string) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at := t.inFlight[id]; at.After(t.waiting[id]) {
		return at
	}
	return t.waiting[id]
}

func (r *Record) activeAt(at time.Time) {
	if at.After(r.ActiveAt) {
		r.ActiveAt = at
	}
}
