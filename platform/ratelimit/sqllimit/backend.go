package sqllimit

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync/atomic"
	"time"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/ratelimit"
)

// Options tune [New]. The zero value is right for a program.
type Options struct {
	// Keep is how long counts are kept at least, for rules with longer windows than those that charged. Defaults to 0.
	Keep time.Duration
	// Durable makes Postgres answer only when the charge is on disk.
	Durable bool
	// Lanes bounds the transactions at one time on Postgres. Defaults to 2. SQLite has one.
	Lanes int
}

// Backend implements [ratelimit.Backend]. It is safe for concurrent use, and has nothing to close.
type Backend struct {
	db      *sqldb.DB
	o       Options
	sql     statements
	lanes   []*lane
	touched atomic.Int64
}

var _ ratelimit.Backend = (*Backend)(nil)

// txTimeout bounds one transaction, whatever the callers' deadlines.
const txTimeout = 10 * time.Second

// New returns a Backend on an open database, which stays the caller's to close when all calls have returned.
func New(db *sqldb.DB, o Options) *Backend {
	if o.Lanes <= 0 {
		o.Lanes = 2
	}
	if db.Dialect == sqldb.SQLite {
		o.Lanes = 1
	}
	b := &Backend{db: db, o: o, sql: statementsFor(db.Dialect)}
	for range o.Lanes {
		b.lanes = append(b.lanes, &lane{run: b.transaction})
	}
	return b
}

// Touched is how many cells all calls so far have read or written.
func (b *Backend) Touched() int64 { return b.touched.Load() }

// Take implements [ratelimit.Backend].
func (b *Backend) Take(ctx context.Context, now time.Time, items []ratelimit.Item, dry bool) ([]ratelimit.Answer, error) {
	c := &call{ctx: ctx, now: now, items: items, dry: dry}
	err := b.lane(items[0].Key).do(c)
	return c.answers, failed("take", err)
}

// Adjust implements [ratelimit.Backend].
func (b *Backend) Adjust(ctx context.Context, now time.Time, a ratelimit.Adjustment) error {
	return failed("adjust", b.lane(a.Key).do(&call{ctx: ctx, now: now, adjust: &a}))
}

// Reset implements [ratelimit.Backend].
func (b *Backend) Reset(ctx context.Context, key string) error {
	return failed("reset", b.lane(key).do(&call{ctx: ctx, reset: key}))
}

// lane is where the calls on a key wait, so that one key's calls share transactions and do not wait for each other's locks.
func (b *Backend) lane(key string) *lane {
	return b.lanes[uint64(lockID(key))%uint64(len(b.lanes))]
}

// lockID is the advisory lock of a key. Two keys that share one only wait for each other.
func lockID(key string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte("ratelimit:" + key)) // never fails
	return int64(h.Sum64())
}

// failed names the operation and turns the database's error into the port's. It is nil for nil.
func failed(operation string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ratelimit.ErrInvalid):
		return fmt.Errorf("%s: %w", operation, err)
	}
	return fmt.Errorf("%s: %w: %w", operation, ratelimit.ErrUnavailable, err)
}
