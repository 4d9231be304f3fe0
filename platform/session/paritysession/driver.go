// Package paritysession wraps two drivers of sessions: the first one answers, and what it loaded is compared with what the second one
// has, beside the answer and without delay. Nothing is ever written to the second, and of what differs the log has names and
// versions, not contents.
//
// # What is counted
//
// session.parity {check}, by result:
//
//	same      both have it, or neither, and nobody could tell them apart
//	missing   the second has none
//	extra     only the second has it
//	behind    the second has a smaller version: it was copied before the last mutations
//	ahead     the second has a larger version: it was written to
//	differs   the same version, with something else in it
//	failed    the second did not answer
//	skipped   too many comparisons were under way
package paritysession

import (
	"context"
	"errors"
	"time"

	"vibesdk-gcp/internal/shadow"
	"vibesdk-gcp/platform/session"
)

// Driver is a [session.Driver] with another beside it.
type Driver struct {
	session.Driver // answers

	other  session.Driver
	checks *shadow.Runner
}

var (
	_ session.Driver  = (*Driver)(nil)
	_ session.Cleaner = (*Driver)(nil)
)

// New returns a Driver whose answers are those of first. Both stay the caller's to close, after the Driver. The name of the options is set
// here.
func New(first, second session.Driver, o shadow.Options) *Driver {
	o.Name = "session.parity"
	return &Driver{Driver: first, other: second, checks: shadow.New(o)}
}

// Close waits for comparisons under way.
func (d *Driver) Close(ctx context.Context) error { return d.checks.Close(ctx) }

// Load implements [session.Driver].
func (d *Driver) Load(ctx context.Context, id string, known *session.Record) (*session.Record, error) {
	rec, err := d.Driver.Load(ctx, id, known)
	if err == nil || errors.Is(err, session.ErrNotFound) {
		d.checks.Go(ctx, func(ctx context.Context) (shadow.Result, []any) { return d.compare(ctx, id, rec) })
	}
	return rec, err
}

// Clean implements [session.Cleaner].
func (d *Driver) Clean(ctx context.Context, before time.Time, limit int) (int, error) {
	c, ok := d.Driver.(session.Cleaner)
	if !ok {
		return 0, nil
	}
	return c.Clean(ctx, before, limit)
}

// Unreferenced implements [session.Cleaner].
func (d *Driver) Unreferenced(ctx context.Context, before time.Time, limit int) (int, error) {
	c, ok := d.Driver.(session.Cleaner)
	if !ok {
		return 0, nil
	}
	return c.Unreferenced(ctx, before, limit)
}

// compare loads the session from the second driver. rec is nil when the first has none.
func (d *Driver) compare(ctx context.Context, id string, rec *session.Record) (shadow.Result, []any) {
	other, err := d.other.Load(ctx, id, nil)
	there := err == nil && visible(other)
	switch here := rec != nil && visible(rec); {
	case err != nil && !errors.Is(err, session.ErrNotFound):
		return shadow.Failed, []any{"session_id", id, "error", err}
	case !here && !there:
		return shadow.Same, nil
	case !there:
		return "missing", []any{"session_id", id, "version", rec.Version}
	case !here:
		return "extra", []any{"session_id", id, "other_version", other.Version}
	case other.Version < rec.Version:
		return "behind", []any{"session_id", id, "version", rec.Version, "other_version", other.Version}
	case other.Version > rec.Version:
		return "ahead", []any{"session_id", id, "version", rec.Version, "other_version", other.Version}
	}
	if difference := session.Difference(rec, other); difference != "" {
		return "differs", []any{"session_id", id, "version", rec.Version, "difference", difference}
	}
	return shadow.Same, nil
}

// visible reports whether readers find the session.
func visible(r *session.Record) bool { return r.Present && !r.Expired(time.Now()) }
