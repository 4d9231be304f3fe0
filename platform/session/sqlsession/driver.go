package sqlsession

import (
	"context"
	"database/sql"
	"errors"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/session"
)

// Driver is a [session.Driver]. It is safe for concurrent use, in any number of processes. It needs no closing: its
// goroutines end with the work that they were started for.
type Driver struct {
	db       *sqldb.DB
	q        queries
	turns    turns
	notices  notices
	watchers watchers
}

var _ session.Driver = (*Driver)(nil)

// New returns the driver on a migrated database. Closing the database stays with the caller.
func New(db *sqldb.DB) *Driver {
	d := &Driver{db: db, q: newQueries(db.Dialect)}
	d.turns.db, d.turns.q = db, d.q
	d.notices.db = db
	d.watchers.d, d.watchers.every = d, compareEvery
	return d
}

// Load implements [session.Driver].
func (d *Driver) Load(ctx context.Context, id string, known *session.Record) (*session.Record, error) {
	k := newKnowledge(known)
	tags, err := sqldb.Values(d.db.Dialect, k.partTags)
	if err != nil {
		return nil, wrap("load", id, err)
	}
	rows, err := d.db.R.QueryContext(ctx, d.q.load, id, k.tag, tags)
	if err != nil {
		return nil, wrap("load", id, err)
	}
	defer rows.Close()
	r, err := k.read(id, rows)
	return r, wrap("load", id, err)
}

// Commit implements [session.Driver].
func (d *Driver) Commit(ctx context.Context, next *session.Record) (*session.Record, error) {
	w, err := newWrite(next)
	if err != nil {
		return nil, wrap("commit", next.ID, err)
	}
	if d.db.Dialect == sqldb.Postgres {
		err = d.commitAtOnce(ctx, w)
	} else {
		err = d.turns.commit(ctx, w)
	}
	if err != nil {
		return nil, wrap("commit", next.ID, err)
	}
	d.watchers.hand(w.stored)
	d.notices.add(next.ID)
	return w.stored, nil
}

// commitAtOnce stores a record on Postgres.
func (d *Driver) commitAtOnce(ctx context.Context, w *write) error {
	query := d.q.replace
	switch {
	case w.before == 0:
		query = d.q.create
	case w.drop:
		query = d.q.replaceAndDrop
	}
	var written int
	if err := d.db.W.QueryRowContext(ctx, query, w.args()...).Scan(&written); err != nil {
		return err
	}
	if written == 0 {
		return session.ErrConflict
	}
	return nil
}

// List implements [session.Driver].
func (d *Driver) List(ctx context.Context, q session.Query) ([]session.Head, error) {
	query, args := d.q.list(q)
	rows, err := d.db.R.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, wrap("list", "", err)
	}
	defer rows.Close()
	var heads []session.Head
	for rows.Next() {
		var h headRow
		if err := rows.Scan(append([]any{&h.ID}, h.fields()...)...); err != nil {
			return nil, wrap("list", "", err)
		}
		heads = append(heads, h.head())
	}
	return heads, wrap("list", "", rows.Err())
}

// Remove implements [session.Driver].
func (d *Driver) Remove(ctx context.Context, id string, commit int64) error {
	removed := false
	err := d.db.Tx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, d.q.removeHead, id, commit)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, d.absent(ctx, tx, id))
		}
		removed = true
		_, err = tx.ExecContext(ctx, d.q.removeParts, id)
		return err
	})
	if err == nil && removed {
		d.notices.add(id)
	}
	return wrap("remove", id, err)
}

// absent returns nil when there is no such record, and ErrConflict when there is one.
func (d *Driver) absent(ctx context.Context, tx *sql.Tx, id string) error {
	var one int
	switch err := tx.QueryRowContext(ctx, d.q.exists, id).Scan(&one); {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	default:
		return session.ErrConflict
	}
}
