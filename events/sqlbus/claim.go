package sqlbus

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/internal/sqldb"
)

// emptyLaneRetry is how soon a lane is looked at again that has no messages yet, because its publisher has
// not committed.
const emptyLaneRetry = 10 * time.Millisecond

// claim is what one receiver wants of a turn, and gets.
type claim struct {
	to  *receiver
	sub *subscription
	// lanes, messages and size are the most that the receiver takes; maxBatch bounds one run.
	lanes, messages, size, maxBatch int

	leases []*lease
}

// deliver hands the leases to their receivers.
func deliver(claims []*claim) {
	for _, c := range claims {
		c.to.deliver(c.leases)
	}
}

// claim leases lanes for all claims whose subscription may have some ready.
func (t *turn) claim(list []*claim) error {
	for _, c := range list {
		c.leases = nil // of a turn that failed
		if !c.sub.dirty {
			continue
		}
		claimOne := t.claimSingles
		if c.sub.ordered {
			claimOne = t.claimKeys
		}
		// Fresh lanes have due 0, delayed ones the instant they wait for.
		ranges := [][2]int64{{0, 0}, {1, t.now}}
		if c.sub.delayedFirst {
			ranges[0], ranges[1] = ranges[1], ranges[0]
		}
		c.sub.delayedFirst = !c.sub.delayedFirst
		for _, due := range ranges {
			if err := claimOne(c, due[0], due[1]); err != nil {
				return fmt.Errorf("claim: %w", err)
			}
		}
		if err := t.fetch(c.leases); err != nil {
			return fmt.Errorf("claim: %w", err)
		}
		if _, err := set[int64, int64](t, t.d.q.own, laneIDs(c.leases), t.owner); err != nil {
			return fmt.Errorf("claim: %w", err)
		}
		if !c.full() {
			if err := t.exhausted(c); err != nil {
				return fmt.Errorf("claim: %w", err)
			}
		}
	}
	return nil
}

// full reports whether the claim can take no more.
func (c *claim) full() bool {
	return len(c.leases) >= c.lanes || c.messages <= 0 || c.size <= 0
}

func (c *claim) add(l *lease) {
	c.messages -= len(l.seqs)
	c.size -= l.size
	c.leases = append(c.leases, l)
}

// claimSingles takes unordered lanes, each with its one message.
func (t *turn) claimSingles(c *claim, from, to int64) error {
	if c.full() {
		return nil
	}
	return t.query(t.d.q.claimSingles, func(row *sql.Rows) (bool, error) {
		l := &lease{sub: c.sub, owner: t.owner, since: time.Now()}
		if err := row.Scan(&l.lane, &l.attempts, &l.size); err != nil {
			return false, err
		}
		l.seqs = []int64{l.lane}
		c.add(l)
		return !c.full(), nil
	}, c.sub.id, from, to, min(c.lanes-len(c.leases), c.messages))
}

// claimKeys takes ordered lanes, each with a run of its first messages.
func (t *turn) claimKeys(c *claim, from, to int64) error {
	if c.full() {
		return nil
	}
	// Lanes that are fresh, and lanes that failed: those are tried message by message.
	var fresh, failed []*lease
	if err := t.query(t.d.q.claimKeys, func(row *sql.Rows) (bool, error) {
		l := &lease{sub: c.sub, owner: t.owner, since: time.Now()}
		err := row.Scan(&l.lane, &l.key, &l.attempts)
		if l.attempts > 0 {
			failed = append(failed, l)
		} else {
			fresh = append(fresh, l)
		}
		return true, err
	}, c.sub.id, from, to, c.lanes-len(c.leases)); err != nil {
		return err
	}
	if err := t.claimRuns(c, failed, 1); err != nil {
		return err
	}
	return t.claimRuns(c, fresh, c.maxBatch)
}

// head is a message of a lane, without its content.
type head struct{ seq, size, notBefore int64 }

// claimRuns takes those of some free lanes that have messages due, as far as the claim has room.
func (t *turn) claimRuns(c *claim, lanes []*lease, limit int) error {
	if len(lanes) == 0 || c.full() {
		return nil
	}
	limit = min(limit, c.messages)
	arg, err := sqldb.Values(t.d.db.Dialect, laneIDs(lanes))
	if err != nil {
		return err
	}
	heads := make(map[int64][]head, len(lanes))
	if err := t.query(t.d.q.heads, func(row *sql.Rows) (bool, error) {
		var lane int64
		var h head
		err := row.Scan(&lane, &h.seq, &h.size, &h.notBefore)
		heads[lane] = append(heads[lane], h)
		return true, err
	}, arg, limit); err != nil {
		return err
	}
	var empty []*lease
	for _, l := range lanes {
		if c.full() {
			return nil
		}
		run := heads[l.lane]
		if len(run) == 0 {
			empty = append(empty, l)
			continue
		}
		slices.SortFunc(run, func(a, b head) int { return cmp.Compare(a.seq, b.seq) })
		if run[0].notBefore > t.now {
			if _, err := t.exec(t.d.q.postpone, run[0].notBefore, l.lane); err != nil {
				return err
			}
			continue
		}
		for _, h := range run[:min(len(run), c.messages)] {
			if h.notBefore > t.now || l.size > 0 && l.size+int(h.size) > maxRun {
				break
			}
			l.seqs = append(l.seqs, h.seq)
			l.size += int(h.size)
		}
		c.add(l)
	}
	return t.claimEmpty(empty)
}

// claimEmpty removes lanes that were found without messages, or looks at them again soon when a publisher may
// be about to commit one.
func (t *turn) claimEmpty(lanes []*lease) error {
	if len(lanes) == 0 {
		return nil
	}
	for _, l := range lanes {
		if _, err := t.exec(t.d.q.postpone, t.now+emptyLaneRetry.Microseconds(), l.lane); err != nil {
			return err
		}
	}
	return t.retire(lanes)
}

// fetch reads the messages of leases.
func (t *turn) fetch(leases []*lease) error {
	type place struct {
		lease *lease
		index int
	}
	var seqs []int64
	places := map[int64]place{}
	for _, l := range leases {
		l.msgs = make([]events.Message, len(l.seqs))
		for i, seq := range l.seqs {
			places[seq] = place{l, i}
		}
		seqs = append(seqs, l.seqs...)
	}
	if len(seqs) == 0 {
		return nil
	}
	arg, err := sqldb.Values(t.d.db.Dialect, seqs)
	if err != nil {
		return err
	}
	found := 0
	if err := t.query(t.d.q.fetch, func(row *sql.Rows) (bool, error) {
		var seq, at, notBefore int64
		var attrs string
		m := events.Message{Attempt: 1}
		if err := row.Scan(&seq, &m.ID, &m.Type, &m.Source, &at, &notBefore, &attrs, &m.Data); err != nil {
			return false, err
		}
		m.Time, m.NotBefore = sqldb.Time(at), sqldb.Time(notBefore)
		if attrs != "null" {
			if err := json.Unmarshal([]byte(attrs), &m.Attributes); err != nil {
				return false, fmt.Errorf("stored attributes of %s: %w", m.ID, err)
			}
		}
		where := places[seq]
		m.Key = where.lease.key
		if where.index == 0 {
			m.Attempt = int(where.lease.attempts) + 1
		}
		where.lease.msgs[where.index] = m
		found++
		return true, nil
	}, arg); err != nil {
		return err
	}
	if found != len(seqs) {
		return fmt.Errorf("found %d of %d messages", found, len(seqs))
	}
	return nil
}

// exhausted notes that nothing more is ready, and when something will be.
func (t *turn) exhausted(c *claim) error {
	due := int64(math.MaxInt64)
	if err := t.query(t.d.q.firstDue, func(row *sql.Rows) (bool, error) {
		return false, row.Scan(&due)
	}, c.sub.id); err != nil {
		return err
	}
	c.sub.dirty, c.sub.nextDue = false, 0
	switch {
	case due == math.MaxInt64:
	case due > t.now:
		c.sub.nextDue = due
	default: // another process is at it
		c.sub.nextDue = t.now + emptyLaneRetry.Microseconds()
	}
	return nil
}
