package session

import (
	"context"
	"errors"
	"time"
)

// Follow is a Watch for drivers that only learn that something may have changed: it loads at the beginning, after
// each token of wake, and after every interval. wake may be nil; it must hold at least one token, and be subscribed
// before the call. Load errors end it, other than ErrNotFound.
func Follow(ctx context.Context, d Driver, id string, known *Record, wake <-chan struct{}, every time.Duration, fn func(*Record) error) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	last := known
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := d.Load(ctx, id, last)
		switch {
		case errors.Is(err, ErrNotFound):
			last = nil
		case err != nil:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		default:
			if newer(r, last) {
				if err := fn(r); err != nil {
					return err
				}
			}
			last = r
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
		case <-ticker.C:
		}
	}
}

// newer reports whether r is another commit than last. Loads never go back, so a lower one is that of a record that
// was removed and begun again.
func newer(r, last *Record) bool {
	return last == nil || r.Commit != last.Commit || !last.UpdatedAt.IsZero() && !r.UpdatedAt.Equal(last.UpdatedAt)
}
