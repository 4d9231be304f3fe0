package sqlsession

import (
	"context"
	"time"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/session"
)

// ListQuery shows the tests what List asks.
func ListQuery(dialect sqldb.Dialect, q session.Query) (string, []any) {
	return newQueries(dialect).list(q)
}

// LoadBodies counts the rings and parts that a Load with this knowledge transfers.
func (d *Driver) LoadBodies(ctx context.Context, id string, known *session.Record) (bodies int, err error) {
	k := newKnowledge(known)
	tags, err := sqldb.Values(d.db.Dialect, k.partTags)
	if err != nil {
		return 0, err
	}
	err = d.db.R.QueryRowContext(ctx, "SELECT count(body) FROM ("+d.q.load+") AS l", id, k.tag, tags).Scan(&bodies)
	return bodies, err
}

// OnlyWhenWoken makes watchers look only when they are told to.
func (d *Driver) OnlyWhenWoken() { d.watchers.every = time.Hour }

// Waiting is how many commits wait for a transaction.
func (d *Driver) Waiting() int {
	d.turns.mu.Lock()
	defer d.turns.mu.Unlock()
	return len(d.turns.queue)
}

// Idle reports that no goroutine of the driver runs.
func (d *Driver) Idle() bool {
	d.turns.mu.Lock()
	defer d.turns.mu.Unlock()
	d.notices.mu.Lock()
	defer d.notices.mu.Unlock()
	d.watchers.mu.Lock()
	defer d.watchers.mu.Unlock()
	return !d.turns.running && !d.notices.running && !d.watchers.running && len(d.watchers.byID) == 0
}
