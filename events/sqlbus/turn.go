package sqlbus

import (
	"context"
	"database/sql"

	"vibesdk-gcp/internal/sqldb"
)

// turn is one transaction of the writer.
type turn struct {
	d   *Driver
	ctx context.Context
	tx  *sql.Tx
	now int64 // microseconds

	owner   int64 // the owner under which this turn claims
	touched map[*subscription]bool
	delayed bool // something becomes ready later
}

// run does everything in the order that keeps two processes on Postgres from waiting for each other in a circle:
// own row, then keys' stripes in order, then lanes that this process holds, then free lanes without waiting.
func (t *turn) run(take work) error {
	t.touched = map[*subscription]bool{}
	if len(take.claims) > 0 {
		var err error
		if t.owner, err = t.d.owners.current(t); err != nil {
			return err
		}
	}
	if err := t.publish(take.publishes); err != nil {
		return err
	}
	if err := t.settle(take.settles); err != nil {
		return err
	}
	return t.claim(take.claims)
}

// committed tells everyone.
func (t *turn) committed(take work) {
	claimed := 0
	for _, c := range take.claims {
		claimed += len(c.leases)
	}
	t.d.owners.claimed(t.owner, claimed)
	deliver(take.claims)
	for _, s := range take.settles {
		t.d.owners.release(s.lease.owner, 1)
		s.finish(nil)
	}
	for _, p := range take.publishes {
		p.result <- nil
	}
}

// ready notes that a subscription got something to claim, at once or at due.
func (t *turn) ready(s *subscription, due int64) {
	if due > t.now {
		if s.nextDue == 0 || due < s.nextDue {
			s.nextDue = due
		}
		t.delayed = true
		return
	}
	s.dirty = true
	t.touched[s] = true
}

// left reports whether this turn made something ready, now or later, that its own claims did not take.
func (t *turn) left() bool {
	for s := range t.touched {
		if s.dirty {
			return true
		}
	}
	return t.delayed
}

// exec runs a prepared statement in the transaction.
func (t *turn) exec(stmt *sql.Stmt, args ...any) (int64, error) {
	result, err := t.tx.StmtContext(t.ctx, stmt).ExecContext(t.ctx, args...) //nolint:sqlclosecheck // the end of the transaction closes it
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// query runs a prepared statement and gives each row to scan. It stops early when scan says so.
func (t *turn) query(stmt *sql.Stmt, scan func(row *sql.Rows) (more bool, err error), args ...any) error {
	rows, err := t.tx.StmtContext(t.ctx, stmt).QueryContext(t.ctx, args...) //nolint:sqlclosecheck // the end of the transaction closes it
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if more, err := scan(rows); err != nil || !more {
			return err
		}
	}
	return rows.Err()
}

// set runs a prepared statement whose last argument is a list, and gathers the one column that it returns.
func set[T, R int64 | string](t *turn, stmt *sql.Stmt, list []T, args ...any) ([]R, error) {
	if len(list) == 0 {
		return nil, nil
	}
	arg, err := sqldb.Values(t.d.db.Dialect, list)
	if err != nil {
		return nil, err
	}
	var results []R
	err = t.query(stmt, func(row *sql.Rows) (bool, error) {
		var result R
		err := row.Scan(&result)
		results = append(results, result)
		return true, err
	}, append(args, arg)...)
	return results, err
}
