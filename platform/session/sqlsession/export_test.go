package sqlsession

import (
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/session"
)

// ListQuery shows the tests what List asks.
func ListQuery(dialect sqldb.Dialect, q session.Query) (string, []any) {
	return newQueries(dialect).list(q)
}

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
