package sqllimit

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/ratelimit"
)

var _ ratelimit.Lister = (*Backend)(nil)

// alone runs fn in a transaction that has the key for itself. It ends with ctx, whatever it did is then undone.
func (b *Backend) alone(ctx context.Context, key string, fn func(*sql.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, txTimeout)
	defer cancel()
	return b.db.Tx(ctx, func(tx *sql.Tx) error {
		if b.db.Dialect == sqldb.Postgres { // SQLite began by locking the database
			if _, err := tx.ExecContext(ctx, b.sql.lock, []int64{lockID(key)}, "on"); err != nil {
				return err
			}
		}
		return fn(tx)
	})
}

// Dump implements [ratelimit.Backend].
func (b *Backend) Dump(ctx context.Context, key string) (c ratelimit.Counts, err error) {
	err = b.alone(ctx, key, func(tx *sql.Tx) error {
		state, err := b.whole(ctx, tx, key)
		if err != nil {
			return err
		}
		c = state.Counts(key)
		rows, err := tx.QueryContext(ctx, b.sql.adjusted, key)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var a ratelimit.Adjusted
			if err := rows.Scan(&a.ID, &a.Until); err != nil {
				return err
			}
			c.Adjusted = append(c.Adjusted, a)
		}
		return rows.Err()
	})
	return c, failed("dump", err)
}

// whole is the state of a key with every row.
func (b *Backend) whole(ctx context.Context, tx *sql.Tx, key string) (*ratelimit.State, error) {
	rows, err := tx.QueryContext(ctx, b.sql.whole, key)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	state := ratelimit.NewState(0, nil)
	for rows.Next() {
		var cell string
		var data []byte
		if err := rows.Scan(&cell, &data); err != nil {
			return nil, err
		}
		if err := state.PutRow(cell, data); err != nil {
			return nil, err
		}
	}
	return state, rows.Err()
}

// Restore implements [ratelimit.Backend].
func (b *Backend) Restore(ctx context.Context, c ratelimit.Counts) (restored bool, err error) {
	next := ratelimit.NewState(b.o.Keep, nil)
	if err := next.Restore(c); err != nil {
		return false, failed("restore", err)
	}
	err = b.alone(ctx, c.Key, func(tx *sql.Tx) error {
		for _, a := range c.Adjusted {
			if _, err := tx.ExecContext(ctx, b.sql.remember, c.Key, a.ID, a.Until); err != nil {
				return err
			}
		}
		head := ratelimit.NewState(0, nil)
		var data []byte
		switch err := tx.QueryRowContext(ctx, b.sql.head, c.Key).Scan(&data); {
		case err == nil:
			if err := head.PutRow("", data); err != nil {
				return err
			}
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		if restored = head.Clock(0) <= c.Clock; !restored {
			return nil
		}
		if _, err := tx.ExecContext(ctx, b.sql.reset, c.Key); err != nil || len(c.Sizes) == 0 {
			return err
		}
		t := &transaction{b: b, ctx: ctx, tx: tx, states: map[string]*ratelimit.State{c.Key: next}, kept: map[string]int64{}}
		return t.store()
	})
	return restored && err == nil, failed("restore", err)
}

// Keys implements [ratelimit.Lister]. The cursor is the last key.
func (b *Backend) Keys(ctx context.Context, cursor string, limit int) (keys []string, next string, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	rows, err := b.db.R.QueryContext(ctx, b.sql.list, cursor, limit)
	if err != nil {
		return nil, "", failed("list keys", err)
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			return nil, "", failed("list keys", err)
		}
		keys = append(keys, key)
	}
	if len(keys) == limit {
		next = keys[limit-1]
	}
	return slices.Clip(keys), next, failed("list keys", rows.Err())
}
