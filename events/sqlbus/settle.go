package sqlbus

import (
	"database/sql"
	"fmt"
	"slices"
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
	singles, runs := map[int64][]*lease{}, map[int64][]*lease{} // what is done altogether, by owner
	for _, s := range list {
		var err error
		switch {
		case s.done < len(s.lease.msgs):
			err = t.free(s)
		case s.lease.sub.ordered:
			runs[s.lease.owner] = append(runs[s.lease.owner], s.lease)
		default:
			singles[s.lease.owner] = append(singles[s.lease.owner], s.lease)
		}
		if err != nil {
			return fmt.Errorf("settle: %w", err)
		}
	}
	for owner, leases := range singles {
		if err := t.finish(t.d.q.finishLanes, owner, leases); err != nil {
			return fmt.Errorf("settle: %w", err)
		}
	}
	for owner, leases := range runs {
		if err := t.finish(t.d.q.freeLanes, owner, leases); err != nil {
			return fmt.Errorf("settle: %w", err)
		}
		if err := t.retire(leases); err != nil {
			return fmt.Errorf("settle: %w", err)
		}
	}
	return nil
}

// finish deletes the messages of leases that are done altogether; stmt says what becomes of their lanes.
func (t *turn) finish(stmt *sql.Stmt, owner int64, leases []*lease) error {
	held, err := set[int64, int64](t, stmt, laneIDs(leases), owner)
	if err != nil {
		return err
	}
	slices.Sort(held)
	var done []int64
	for _, l := range leases {
		if _, ok := slices.BinarySearch(held, l.lane); ok {
			done = append(done, l.seqs...)
		}
	}
	return t.remove(done)
}

// remove deletes messages.
func (t *turn) remove(seqs []int64) error {
	if len(seqs) == 0 {
		return nil
	}
	arg, err := sqldb.Values(t.d.db.Dialect, seqs)
	if err != nil {
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
	return t.remove(l.seqs[:s.done])
}

// retire deletes those of some ordered lanes, all free, that have no messages, and makes the others ready. On
// Postgres it needs the key's lock, or a publisher that found the lane there could commit a message without
// one; when the lock is taken, a message is on its way.
func (t *turn) retire(leases []*lease) error {
	mine := leases
	if t.d.q.tryLockKeys != nil {
		var stripes []int32
		for _, l := range leases {
			stripes = append(stripes, stripe(l.sub.id, l.key))
		}
		slices.Sort(stripes)
		locked := map[int32]bool{}
		if err := t.query(t.d.q.tryLockKeys, func(row *sql.Rows) (bool, error) {
			var got int32
			err := row.Scan(&got)
			locked[got] = true
			return true, err
		}, stripeClass, slices.Compact(stripes)); err != nil {
			return err
		}
		mine = nil
		for _, l := range leases {
			if locked[stripe(l.sub.id, l.key)] {
				mine = append(mine, l)
			}
		}
	}
	gone, err := set[int64, int64](t, t.d.q.retire, laneIDs(mine))
	if err != nil {
		return err
	}
	slices.Sort(gone)
	for _, l := range leases {
		if _, ok := slices.BinarySearch(gone, l.lane); !ok {
			t.ready(l.sub, 0)
		}
	}
	return nil
}

func laneIDs(leases []*lease) []int64 {
	ids := make([]int64, len(leases))
	for i, l := range leases {
		ids[i] = l.lane
	}
	return ids
}
