// Package sqldeployment keeps deployments in SQLite or Postgres. One row holds both a sandbox's route and its
// last withdrawal, so each rule about fences is the condition of one statement.
package sqldeployment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/deployment"
)

// Driver implements [deployment.Driver]. The database needs migrations 0003 and 0007, and stays the caller's to close.
type Driver struct {
	db  *sqldb.DB
	sql statements
	// Now stamps withdrawals. Set it before use; defaults to time.Now.
	Now func() time.Time
}

var _ deployment.Driver = (*Driver)(nil)

// New returns a Driver on an open database.
func New(db *sqldb.DB) *Driver {
	return &Driver{db: db, sql: statementsFor(db.Dialect), Now: time.Now}
}

// PutPreview implements [deployment.Driver].
func (d *Driver) PutPreview(ctx context.Context, p deployment.Preview) error {
	n, err := d.exec(ctx, d.sql.putPreview, p.SandboxID, p.Fence, p.Token, p.Endpoint, sqldb.Micros(p.PublishedAt))
	if err == nil && n == 0 {
		return fmt.Errorf("publish preview of %s at fence %d: %w", p.SandboxID, p.Fence, deployment.ErrStale)
	}
	d.tell(ctx, err, previewKey+p.SandboxID)
	return failed("publish preview", err)
}

// Preview implements [deployment.Driver].
func (d *Driver) Preview(ctx context.Context, sandboxID string) (deployment.Preview, error) {
	p := deployment.Preview{SandboxID: sandboxID}
	var published int64
	err := d.db.R.QueryRowContext(ctx, d.sql.preview, sandboxID).Scan(&p.Token, &p.Fence, &p.Endpoint, &published)
	if err != nil {
		return deployment.Preview{}, failed("read preview", err)
	}
	p.PublishedAt = sqldb.Time(published)
	return p, nil
}

// WithdrawPreview implements [deployment.Driver].
func (d *Driver) WithdrawPreview(ctx context.Context, sandboxID string, fence int64) error {
	_, err := d.exec(ctx, d.sql.withdraw, sandboxID, fence, sqldb.Micros(d.Now()))
	d.tell(ctx, err, previewKey+sandboxID)
	return failed("withdraw preview", err)
}

// PurgeWithdrawn implements [deployment.Driver].
func (d *Driver) PurgeWithdrawn(ctx context.Context, before time.Time) (int, error) {
	n, err := d.exec(ctx, d.sql.purge, sqldb.Micros(before))
	return int(n), failed("purge withdrawn previews", err)
}

func (d *Driver) exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := d.db.W.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// failed names the operation and turns "no row" into the port's error. It is nil for nil.
func failed(operation string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%s: %w", operation, deployment.ErrNotFound)
	}
	return fmt.Errorf("%s: %w", operation, err)
}
