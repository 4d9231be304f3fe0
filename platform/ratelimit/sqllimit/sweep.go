package sqllimit

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"vibesdk-gcp/internal/sqldb"
)

// sweepBatch bounds the rows of one transaction of a sweep.
const sweepBatch = 500

// Sweep implements [ratelimit.Backend]. It works in small transactions, so that checks pass between them.
func (b *Backend) Sweep(ctx context.Context, now time.Time) (int, error) {
	freed := 0
	for _, step := range []func(context.Context, int64) (int, bool, error){b.sweepIdle, b.sweepRows(b.sql.sweep), b.sweepRows(b.sql.sweepIDs)} {
		for more := true; more; {
			at, err := b.sweepTime(ctx, now)
			if err != nil {
				return freed, failed("sweep", err)
			}
			var n int
			if n, more, err = step(ctx, at); err != nil {
				return freed, failed("sweep", err)
			}
			freed += n
		}
	}
	return freed, nil
}

// sweepTime is the time of the sweep: the database's own without one.
func (b *Backend) sweepTime(ctx context.Context, now time.Time) (int64, error) {
	if !now.IsZero() {
		return now.UnixMilli(), nil
	}
	if b.db.Dialect == sqldb.SQLite {
		return time.Now().UnixMilli(), nil
	}
	var at int64
	err := b.db.R.QueryRowContext(ctx, `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint`).Scan(&at)
	return at, err
}

// sweepIdle deletes keys whose head is past its time. They are locked first: a charge may just be waking one.
func (b *Backend) sweepIdle(ctx context.Context, now int64) (freed int, more bool, err error) {
	keys, err := b.idle(ctx, now)
	if err != nil || len(keys) == 0 {
		return 0, false, err
	}
	err = b.db.Tx(ctx, func(tx *sql.Tx) error {
		if b.db.Dialect == sqldb.Postgres {
			ids := make([]int64, len(keys))
			for i, key := range keys {
				ids[i] = lockID(key)
			}
			slices.Sort(ids)
			if _, err := tx.ExecContext(ctx, b.sql.lock, slices.Compact(ids), "off"); err != nil {
				return err
			}
		}
		list, err := sqldb.Values(b.db.Dialect, keys)
		if err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, b.sql.sweepIdle, now, list)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		freed = int(n)
		return err
	})
	return freed, len(keys) == sweepBatch, err
}

func (b *Backend) idle(ctx context.Context, now int64) ([]string, error) {
	rows, err := b.db.R.QueryContext(ctx, b.sql.idle, now, sweepBatch)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var keys []string
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, rows.Err()
}

// sweepRows deletes rows past their time that nothing writes any more.
func (b *Backend) sweepRows(query string) func(context.Context, int64) (int, bool, error) {
	return func(ctx context.Context, now int64) (int, bool, error) {
		result, err := b.db.W.ExecContext(ctx, query, now, sweepBatch)
		if err != nil {
			return 0, false, err
		}
		n, err := result.RowsAffected()
		return int(n), n == sweepBatch, err
	}
}
