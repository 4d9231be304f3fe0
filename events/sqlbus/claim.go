package sqlbus

import (
	"database/sql"
	"fmt"
	"math"
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
		if err := t.own(c); err != nil {
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
	c.messages -= len(l.msgs)
	c.size -= l.size
	c.leases = append(c.leases, l)
}

// claimSingles takes unordered lanes with their one message.
func (t *turn) claimSingles(c *claim, from, to int64) error {
	if c.full() {
		return nil
	}
	limit := min(c.lanes-len(c.leases), c.messages)
	return t.query(t.d.q.claimSingles, func(row *sql.Rows) (bool, error) {
		l := &lease{sub: c.sub, owner: t.owner, seqs: make([]int64, 1), since: time.Now()}
		m, err := message(row, "", &l.lane, &l.attempts, &l.seqs[0])
		if err != nil {
			return false, err
		}
		m.Attempt = int(l.attempts) + 1
		l.msgs, l.size = []events.Message{m}, len(m.Data)
		c.add(l)
		return !c.full(), nil
	}, c.sub.id, from, to, limit)
}

// claimKeys takes ordered lanes and reads a run of each.
func (t *turn) claimKeys(c *claim, from, to int64) error {
	if c.full() {
		return nil
	}
	var lanes []*lease
	if err := t.query(t.d.q.claimKeys, func(row *sql.Rows) (bool, error) {
		l := &lease{sub: c.sub, owner: t.owner, since: time.Now()}
		lanes = append(lanes, l)
		return true, row.Scan(&l.lane, &l.key, &l.attempts)
	}, c.sub.id, from, to, c.lanes-len(c.leases)); err != nil {
		return err
	}
	for _, l := range lanes {
		if c.full() {
			return nil
		}
		wait, err := t.readRun(l, min(c.maxBatch, c.messages))
		if err != nil {
			return err
		}
		if len(l.msgs) > 0 {
			c.add(l)
			continue
		}
		if wait == 0 { // no messages
			gone, err := t.retire(c.sub, l.lane, l.key)
			if err != nil {
				return err
			}
			if gone {
				continue
			}
			wait = t.now + emptyLaneRetry.Microseconds()
		}
		if _, err := t.exec(t.d.q.postpone, wait, l.lane); err != nil {
			return err
		}
	}
	return nil
}

// readRun fills a lease with the first messages of its lane that are due. When the very first is not, it
// gives the instant to wait for.
func (t *turn) readRun(l *lease, limit int) (wait int64, err error) {
	if l.attempts > 0 {
		limit = 1 // a batch that failed is tried one by one, to find the message to blame
	}
	err = t.query(t.d.q.run, func(row *sql.Rows) (bool, error) {
		var seq int64
		m, err := message(row, l.key, &seq)
		if err != nil {
			return false, err
		}
		if due := sqldb.Micros(m.NotBefore); due > t.now {
			if len(l.msgs) == 0 {
				wait = due
			}
			return false, nil
		}
		m.Attempt = 1
		if len(l.msgs) == 0 {
			m.Attempt = int(l.attempts) + 1
		}
		l.seqs, l.msgs = append(l.seqs, seq), append(l.msgs, m)
		l.size += len(m.Data)
		return l.size < maxRun, nil
	}, l.lane, limit)
	return wait, err
}

// own marks what a claim took.
func (t *turn) own(c *claim) error {
	if len(c.leases) == 0 {
		return nil
	}
	lanes := make([]int64, len(c.leases))
	for i, l := range c.leases {
		lanes[i] = l.lane
	}
	arg, err := sqldb.Values(t.d.db.Dialect, lanes)
	if err != nil {
		return err
	}
	_, err = t.exec(t.d.q.own, t.owner, arg)
	return err
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
