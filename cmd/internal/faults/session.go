package faults

import (
	"context"
	"fmt"

	"vibesdk-gcp/platform/session"
)

// Sessions returns a driver that is next with faults. Of all commits the dice choose some that fail though they were written, and some
// that fail at once.
func Sessions(next session.Driver, d *Dice) session.Driver {
	s := &sessions{next, d}
	if cleaner, ok := next.(session.Cleaner); ok {
		return struct {
			*sessions
			session.Cleaner
		}{s, cleaner}
	}
	return s
}

type sessions struct {
	session.Driver

	dice *Dice
}

// Commit implements [session.Driver].
func (s *sessions) Commit(ctx context.Context, next *session.Record) (*session.Record, error) {
	switch s.dice.roll(2) {
	case 0:
		return nil, fmt.Errorf("%w: nothing was written", errInjected)
	case 1:
		if _, err := s.Driver.Commit(ctx, next); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: it was written", errInjected)
	}
	return s.Driver.Commit(ctx, next)
}
