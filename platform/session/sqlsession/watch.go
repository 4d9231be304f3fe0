package sqlsession

import (
	"context"
	"time"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/session"
)

const (
	// followEvery is how often a watcher looks although nothing woke it: rarely, because lost notifications are found
	// by watchers.compare.
	followEvery = time.Minute
	// minPause and maxPause bound the wait before a watcher asks a database again that did not answer.
	minPause, maxPause = 50 * time.Millisecond, 2 * time.Second
)

// Watch implements [session.Driver].
func (d *Driver) Watch(ctx context.Context, id string, known *session.Record, fn func(*session.Record) error) error {
	w, wake := d.watchers.join(id)
	defer d.watchers.leave(w, wake)
	pause := minPause
	for {
		ended := false
		err := session.Follow(ctx, shared{d, w}, id, known, wake, followEvery, func(r *session.Record) error {
			known, pause = r, minPause
			err := fn(r)
			ended = err != nil
			return err
		})
		if ended || ctx.Err() != nil || !sqldb.IsUnavailable(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, maxPause)
		}
	}
}

// shared is the driver as the watchers of one session see it: they load together.
type shared struct {
	*Driver
	w *watched
}

// Load returns a record that was read after the last wake of its session.
func (s shared) Load(ctx context.Context, id string, _ *session.Record) (*session.Record, error) {
	w := s.w
	select {
	case w.loading <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-w.loading }()
	wakes := w.wakes.Load()
	if w.loaded == wakes {
		return w.latest, w.missing
	}
	r, err := s.Driver.Load(ctx, id, w.latest)
	if err != nil && !isNotFound(err) {
		return nil, err
	}
	w.loaded, w.latest, w.missing = wakes, r, err
	return r, err
}
