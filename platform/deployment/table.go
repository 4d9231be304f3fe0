package deployment

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Options tune a [Table]. The zero value is right for a program.
type Options struct {
	// Fresh bounds the age of a row that was found: a change made by another process is seen within it.
	// Defaults to 1 s.
	Fresh time.Duration
	// Absent bounds the age of "there is none". Defaults to 250 ms.
	Absent time.Duration
	// Size bounds the apps and the preview routes remembered, each. Defaults to 10,000.
	Size int
	// LoadTimeout bounds one read of the database. Defaults to 5 s.
	LoadTimeout time.Duration
	// Now defaults to time.Now.
	Now func() time.Time
}

// Table is the deployments and preview routes: it validates, stamps times, and answers lookups from a short
// memory. It is safe for concurrent use.
type Table struct {
	driver   Driver
	now      func() time.Time
	apps     *cache[App]
	previews *cache[Preview]
}

var _ Lookup = (*Table)(nil)

// NewTable returns a Table over a driver, which stays the caller's to close.
func NewTable(d Driver, o Options) *Table {
	if o.Fresh == 0 {
		o.Fresh = time.Second
	}
	if o.Absent == 0 {
		o.Absent = 250 * time.Millisecond
	}
	if o.Size <= 0 {
		o.Size = 10_000
	}
	if o.LoadTimeout <= 0 {
		o.LoadTimeout = 5 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Table{driver: d, now: o.Now, apps: newCache(o, d.App), previews: newCache(o, d.Preview)}
}

// Close ends lookups: those under way and later ones fail. Writes still pass to the driver.
func (t *Table) Close() error {
	t.apps.close()
	t.previews.close()
	return nil
}

// App returns the app of that name in any letter case. ErrNotFound when there is none; other errors are the
// database's or the context's, and worth trying again.
func (t *Table) App(ctx context.Context, name string) (App, error) {
	name = strings.ToLower(name)
	if !ValidAppName(name) {
		return App{}, fmt.Errorf("%w: no app can have this name", ErrNotFound)
	}
	return t.apps.get(ctx, name)
}

// Preview returns the published route of a sandbox, whose id may be in any letter case. Errors are as with App.
func (t *Table) Preview(ctx context.Context, sandboxID string) (Preview, error) {
	sandboxID = strings.ToLower(sandboxID)
	if !ValidSandboxID(sandboxID) {
		return Preview{}, fmt.Errorf("%w: no sandbox can have this id", ErrNotFound)
	}
	return t.previews.get(ctx, sandboxID)
}

// Apps lists apps by name, from the one after the given name. A limit of 0 means 100; at most 1,000.
func (t *Table) Apps(ctx context.Context, after string, limit int) ([]App, error) {
	if limit == 0 {
		limit = 100
	}
	if limit < 0 || limit > 1000 {
		return nil, fmt.Errorf("%w: limit must be 0 to 1000", ErrInvalid)
	}
	return t.driver.Apps(ctx, after, limit)
}

// PutApp stores an app and returns it with its version and time. ErrInvalid names the faulty field.
func (t *Table) PutApp(ctx context.Context, a App) (App, error) {
	if err := a.validate(); err != nil {
		return App{}, err
	}
	a.UpdatedAt = t.now()
	defer t.apps.forget(a.Name) // also after an error: it may have been stored
	return t.driver.PutApp(ctx, a)
}

// DeleteApp removes an app. ErrNotFound when there is none.
func (t *Table) DeleteApp(ctx context.Context, name string) error {
	if !ValidAppName(name) {
		return fmt.Errorf("%w: no app can have this name", ErrNotFound)
	}
	defer t.apps.forget(name)
	return t.driver.DeleteApp(ctx, name)
}

// PutPreview publishes the route of a generation; the package comment says when that is ErrStale. A zero
// PublishedAt becomes now. ErrInvalid names the faulty field.
func (t *Table) PutPreview(ctx context.Context, p Preview) error {
	if err := p.validate(); err != nil {
		return err
	}
	if p.PublishedAt.IsZero() {
		p.PublishedAt = t.now()
	}
	defer t.previews.forget(p.SandboxID)
	return t.driver.PutPreview(ctx, p)
}

// WithdrawPreview removes the route of a sandbox up to and including a fence. Absent is nil.
func (t *Table) WithdrawPreview(ctx context.Context, sandboxID string, fence int64) error {
	if !ValidSandboxID(sandboxID) {
		return invalidSandboxID()
	}
	if fence < 1 {
		return fmt.Errorf("%w: fence must be at least 1", ErrInvalid)
	}
	defer t.previews.forget(sandboxID)
	return t.driver.WithdrawPreview(ctx, sandboxID, fence)
}

// PurgeWithdrawn forgets withdrawals older than before and returns how many. From then on nothing stops a very
// late message from publishing such a fence again, so before should lie beyond the retention of messages.
func (t *Table) PurgeWithdrawn(ctx context.Context, before time.Time) (int, error) {
	return t.driver.PurgeWithdrawn(ctx, before)
}
