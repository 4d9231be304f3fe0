package sqlbus

import (
	"database/sql"
	"fmt"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/internal/sqldb"
)

// lease is a lane that a receiver holds, with the messages to hand out.
type lease struct {
	sub      *subscription
	owner    int64
	lane     int64
	key      string
	attempts int64 // failed attempts of the first message
	seqs     []int64
	msgs     []events.Message
	size     int
	since    time.Time // when it was claimed
}

// settlement is what becomes of a lease.
type settlement struct {
	lease *lease
	// done is how many of the first messages are done.
	done int
	// untouched: the lease was never handed out and goes back as it was.
	untouched bool
	// next is the verdict on the first message that is not done.
	next   events.Verdict
	since  time.Time
	finish func(error)
}

// settled makes the settlement of a handled lease.
func settled(l *lease, verdicts []events.Verdict, finish func(error)) *settlement {
	s := &settlement{lease: l, since: time.Now(), finish: finish}
	for i := range l.msgs {
		if i >= len(verdicts) {
			break
		}
		if !verdicts[i].Done {
			s.next = verdicts[i]
			break
		}
		s.done++
	}
	return s
}

// returned makes the settlement of a lease that was not handed out.
func returned(l *lease, finish func(error)) *settlement {
	return &settlement{lease: l, untouched: true, since: time.Now(), finish: finish}
}

// settle stores the settlements of a turn. One whose lease was lost changes nothing.
func (t *turn) settle(list []*settlement) error {
	finished := map[int64][]int64{} // unordered lanes that are done, by owner
	for _, s := range list {
		var err error
		switch {
		case !s.lease.sub.ordered && s.done > 0:
			finished[s.lease.owner] = append(finished[s.lease.owner], s.lease.lane)
		case s.done == len(s.lease.msgs):
			err = t.finishRun(s)
		default:
			err = t.free(s)
		}
		if err != nil {
			return fmt.Errorf("settle: %w", err)
		}
	}
	for owner, lanes := range finished {
		if err := t.finish(owner, lanes); err != nil {
			return fmt.Errorf("settle: %w", err)
		}
	}
	return nil
}

// finish deletes unordered lanes and their messages.
func (t *turn) finish(owner int64, lanes []int64) error {
	arg, err := sqldb.Values(t.d.db.Dialect, lanes)
	if err != nil {
		return err
	}
	held := make([]int64, 0, len(lanes))
	if err := t.query(t.d.q.finishLanes, func(row *sql.Rows) (bool, error) {
		var lane int64
		err := row.Scan(&lane)
		held = append(held, lane)
		return true, err
	}, owner, arg); err != nil {
		return err
	}
	if arg, err = sqldb.Values(t.d.db.Dialect, held); err != nil {
		return err
	}
	_, err = t.exec(t.d.q.finishMessages, arg)
	return err
}

// free gives a lane back whose first messages may be done and whose next one is not.
func (t *turn) free(s *settlement) error {
	l := s.lease
	due, attempts := t.now+max(0, s.next.After.Microseconds()), l.attempts
	if s.untouched {
		due = 0 // as it was: it keeps its place
	}
	if s.done > 0 {
		attempts = 0
	}
	if s.next.Failed {
		attempts++
	}
	held, err := t.exec(t.d.q.free, due, attempts, l.lane, l.owner)
	if err != nil || held == 0 {
		return err
	}
	t.ready(l.sub, due)
	if s.done == 0 {
		return nil
	}
	_, err = t.exec(t.d.q.finishRun, l.lane, l.seqs[s.done-1])
	return err
}

// finishRun removes a run that is done, and its lane when nothing is left in it.
func (t *turn) finishRun(s *settlement) error {
	l := s.lease
	held, err := t.exec(t.d.q.free, 0, 0, l.lane, l.owner)
	if err != nil || held == 0 {
		return err
	}
	if _, err := t.exec(t.d.q.finishRun, l.lane, l.seqs[s.done-1]); err != nil {
		return err
	}
	gone, err := t.retire(l.sub, l.lane, l.key)
	if err == nil && !gone {
		t.ready(l.sub, 0)
	}
	return err
}

// retire deletes an ordered lane if it has no messages, and reports whether it did. On Postgres it needs the
// key's lock, or a publisher that found the lane there could commit a message without one; when the lock is
// taken, a message is on its way.
func (t *turn) retire(s *subscription, lane int64, key string) (bool, error) {
	if t.d.q.tryLockKey != nil {
		var locked bool
		if err := t.query(t.d.q.tryLockKey, func(row *sql.Rows) (bool, error) {
			return false, row.Scan(&locked)
		}, stripeClass, stripe(s.id, key)); err != nil || !locked {
			return false, err
		}
	}
	deleted, err := t.exec(t.d.q.retire, lane)
	return deleted > 0, err
}
