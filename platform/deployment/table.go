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
	// Endpoints says where apps may run.
	Endpoints Endpoints
	// Now defaults to time.Now.
	Now func() time.Time
}

// Table is the deployments and preview routes: it validates, stamps times, and answers lookups from a short
// memory. It is safe for concurrent use.
type Table struct {
	driver   Driver
	allowed  Endpoints
	now      func() time.Time
	apps     *cache[App]
	previews *cache[Preview]
	unwatch  func()
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
	t := &Table{driver: d, allowed: o.Endpoints, now: o.Now, apps: newCache(o, d.App), previews: newCache(o, d.Preview)}
	t.unwatch = d.Watch(t.heard)
	return t
}

// heard forgets what a write elsewhere may have changed.
func (t *Table) heard(h Hint) {
	switch {
	case h.App != "":
		t.apps.forget(h.App)
	case h.Preview != "":
		t.previews.forget(h.Preview)
	default:
		t.apps.forgetAll()
		t.previews.forgetAll()
	}
}

// Close ends lookups: those under way and later ones fail. Writes still pass to the driver.
func (t *Table) Close() error {
	t.unwatch()
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

// StoredApp is App past the memory: what a change is based on.
func (t *Table) StoredApp(ctx context.Context, name string) (App, error) {
	if !ValidAppName(name) {
		return App{}, fmt.Errorf("%w: no app can have this name", ErrNotFound)
	}
	return t.driver.App(ctx, name)
}

// PutApp stores an app and returns it with its version and time. ErrInvalid names the faulty field; ErrConflict is a version other than
// w asks for.
func (t *Table) PutApp(ctx context.Context, a App, w Write) (App, error) {
	if a.Visibility == "" {
		a.Visibility = Public
	}
	if err := a.validate(t.allowed); err != nil {
		return App{}, err
	}
	if err := validText("by", w.By); err != nil {
		return App{}, err
	}
	a.UpdatedAt = t.now()
	defer t.apps.forget(a.Name) // also after an error: it may have been stored
	return t.driver.PutApp(ctx, a, w)
}

// AdoptApp stores an app as another table has it, the newest of its changes, which are given the newest first and become its history. Its
// version and time stay. It returns false when it is there already. ErrConflict when it went on here: with a larger version, or the same one
// and something else in it. ErrInvalid names the faulty field.
func (t *Table) AdoptApp(ctx context.Context, name string, changes []Change) (bool, error) {
	if !ValidAppName(name) || len(changes) == 0 || len(changes) > HistoryLength {
		return false, fmt.Errorf("%w: an app is adopted by its name and 1 to %d changes", ErrInvalid, HistoryLength)
	}
	for i, c := range changes {
		if c.Version < 1 || i > 0 && c.Version >= changes[i-1].Version || c.App != nil && (c.App.Name != name || c.App.Version != c.Version) {
			return false, fmt.Errorf("%w: change %d of %s is not one of it, or not in order", ErrInvalid, i, name)
		}
		if err := validText("by", c.By); err != nil {
			return false, err
		}
	}
	if a := changes[0].App; a != nil {
		if err := a.validate(t.allowed); err != nil {
			return false, err
		}
	}
	defer t.apps.forget(name) // also after an error: it may have been stored
	return t.driver.AdoptApp(ctx, name, changes)
}

// DeleteApp removes an app. ErrNotFound when there is none; ErrConflict as with PutApp.
func (t *Table) DeleteApp(ctx context.Context, name string, w Write) error {
	if !ValidAppName(name) {
		return fmt.Errorf("%w: no app can have this name", ErrNotFound)
	}
	if err := validText("by", w.By); err != nil {
		return err
	}
	defer t.apps.forget(name)
	return t.driver.DeleteApp(ctx, name, w, t.now())
}

// AppHistory returns the last changes of an app, the newest first, also after it was deleted. A limit of 0 means all that are kept,
// [HistoryLength]. ErrNotFound when none is known.
func (t *Table) AppHistory(ctx context.Context, name string, limit int) ([]Change, error) {
	if limit < 0 || limit > HistoryLength {
		return nil, fmt.Errorf("%w: limit must be 0 to %d", ErrInvalid, HistoryLength)
	}
	if limit == 0 {
		limit = HistoryLength
	}
	if !ValidAppName(name) {
		return nil, fmt.Errorf("%w: no app can have this name", ErrNotFound)
	}
	changes, err := t.driver.AppHistory(ctx, name, limit)
	if err == nil && len(changes) == 0 {
		err = ErrNotFound
	}
	return changes, err
}

// PurgeHistory forgets the histories of apps that were deleted before an instant, and returns how many changes those were. An app of
// such a name begins with version 1 again.
func (t *Table) PurgeHistory(ctx context.Context, before time.Time) (int, error) {
	return t.driver.PurgeHistory(ctx, before)
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
