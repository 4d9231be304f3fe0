// Package sqlsandbox keeps sandbox records in SQLite or Postgres.
//
// # Semantics
//
// A record is one row of `sandboxes`; Save is one conditional UPDATE on its version. The spec is JSON in
// `sandbox_specs`, apart from the row, so that a change of state does not rewrite megabytes of inline
// files; it goes with the save that ends the sandbox, in one transaction. The tables come from the
// migrations in schemas/sql, which the program applies before it calls [New].
//
// # Errors
//
// A taken id is ErrExists, a missing one ErrNotFound, a changed version ErrConflict. Everything else is the
// database's error, and nothing was changed unless the commit itself was cut off.
package sqlsandbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/sandbox"
)

// Driver is a [sandbox.RecordDriver]. It is safe for concurrent use, in any number of processes.
type Driver struct {
	db *sqldb.DB
	q  queries
}

var _ sandbox.RecordDriver = (*Driver)(nil)

// New returns the driver on a migrated database. Closing the database stays with the caller.
func New(db *sqldb.DB) *Driver { return &Driver{db: db, q: newQueries(db.Dialect)} }

// Create implements [sandbox.RecordDriver].
func (d *Driver) Create(ctx context.Context, r sandbox.Record, spec sandbox.Spec) error {
	r.Version = 1
	body, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	err = d.db.Tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, d.q.insert, append([]any{r.ID}, values(r)...)...); err != nil {
			return err
		}
		if r.State.Terminal() {
			return nil
		}
		_, err := tx.ExecContext(ctx, d.q.insertSpec, r.ID, string(body))
		return err
	})
	if sqldb.IsDuplicate(err) {
		return fmt.Errorf("%w: %s", sandbox.ErrExists, r.ID)
	}
	return wrap("create", err)
}

// Load implements [sandbox.RecordDriver].
func (d *Driver) Load(ctx context.Context, id string) (sandbox.Record, error) {
	r, err := scan(d.db.R.QueryRowContext(ctx, d.q.load, id))
	if errors.Is(err, sql.ErrNoRows) {
		return sandbox.Record{}, fmt.Errorf("%w: %s", sandbox.ErrNotFound, id)
	}
	return r, wrap("load", err)
}

// Spec implements [sandbox.RecordDriver].
func (d *Driver) Spec(ctx context.Context, id string) (sandbox.Spec, error) {
	var body string
	err := d.db.R.QueryRowContext(ctx, d.q.spec, id).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return sandbox.Spec{}, fmt.Errorf("%w: no spec of %s", sandbox.ErrNotFound, id)
	}
	if err != nil {
		return sandbox.Spec{}, wrap("load spec", err)
	}
	var spec sandbox.Spec
	if err := json.Unmarshal([]byte(body), &spec); err != nil {
		return sandbox.Spec{}, fmt.Errorf("stored spec of %s: %w", id, err)
	}
	return spec, nil
}

// Save implements [sandbox.RecordDriver].
func (d *Driver) Save(ctx context.Context, r sandbox.Record) error {
	if !r.State.Terminal() {
		return wrap("save", d.update(ctx, d.db.W, r))
	}
	return wrap("save", d.db.Tx(ctx, func(tx *sql.Tx) error {
		if err := d.update(ctx, tx, r); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, d.q.dropSpec, r.ID)
		return err
	}))
}

// List implements [sandbox.RecordDriver].
func (d *Driver) List(ctx context.Context, q sandbox.Query) ([]sandbox.Record, error) {
	query, args := d.q.list(q)
	rows, err := d.db.R.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, wrap("list", err)
	}
	defer rows.Close()
	var list []sandbox.Record
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, wrap("list", err)
		}
		list = append(list, r)
	}
	return list, wrap("list", rows.Err())
}

// Count implements [sandbox.RecordDriver].
func (d *Driver) Count(ctx context.Context) (map[sandbox.State]int, error) {
	rows, err := d.db.R.QueryContext(ctx, d.q.count)
	if err != nil {
		return nil, wrap("count", err)
	}
	defer rows.Close()
	counts := map[sandbox.State]int{}
	for rows.Next() {
		var state sandbox.State
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			return nil, wrap("count", err)
		}
		counts[state] = n
	}
	return counts, wrap("count", rows.Err())
}

// Touch implements [sandbox.RecordDriver].
func (d *Driver) Touch(ctx context.Context, at map[string]time.Time) error {
	return wrap("touch", d.db.Tx(ctx, func(tx *sql.Tx) error {
		for _, id := range inOrder(at) { // the same order everywhere: two touchers cannot deadlock
			if _, err := tx.ExecContext(ctx, d.q.touch, id, sqldb.Micros(at[id])); err != nil {
				return err
			}
		}
		return nil
	}))
}

type executor interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (d *Driver) update(ctx context.Context, on executor, r sandbox.Record) error {
	expected := r.Version
	r.Version++
	result, err := on.ExecContext(ctx, d.q.update, append([]any{r.ID, expected}, values(r)...)...)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 1 {
		return err
	}
	var stored int64
	switch err := on.QueryRowContext(ctx, d.q.version, r.ID).Scan(&stored); {
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%w: %s", sandbox.ErrNotFound, r.ID)
	case err != nil:
		return err
	default:
		return fmt.Errorf("%w: %s is at version %d, not %d", sandbox.ErrConflict, r.ID, stored, expected)
	}
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s sandbox record: %w", what, err)
}
