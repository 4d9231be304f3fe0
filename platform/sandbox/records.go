package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Records is what the rest of the platform holds: a [RecordDriver] with the rules of moving, the retry of
// conflicts and buffered activity. It is safe for concurrent use; set the fields before the first call.
type Records struct {
	// Now is the clock of UpdatedAt, ReadyAt, ActiveAt and EndedAt where the caller left them alone. Defaults to
	// time.Now.
	Now func() time.Time
	// Logger hears of activity that could not be stored yet. Defaults to slog.Default.
	Logger *slog.Logger

	driver  RecordDriver
	touches touches
	metrics *recordMetrics // nil: nothing is measured
}

// NewRecords returns the records that d stores.
func NewRecords(d RecordDriver) *Records {
	return &Records{Now: time.Now, Logger: slog.Default(), driver: d}
}

// Create stores a new record and its spec. The record is Requested; or Failed from the beginning, for a request
// that cannot be carried out but whose owner shall see why, and then the spec is not kept. ErrExists when
// the id is taken, ErrInvalid naming every fault.
func (rs *Records) Create(ctx context.Context, r Record, spec Spec) error {
	if r.UpdatedAt.IsZero() {
		r.UpdatedAt = r.CreatedAt
	}
	rs.stamp(&r)
	r.Version = 1
	if err := r.validate(); err != nil {
		return err
	}
	switch r.State {
	case Requested:
		if err := spec.Validate(); err != nil {
			return err
		}
	case Failed:
		spec = Spec{}
	default:
		return fmt.Errorf("%w: a new sandbox cannot be %s", ErrTransition, r.State)
	}
	if err := rs.driver.Create(ctx, r, spec); err != nil {
		return err
	}
	rs.metrics.moved(ctx, Record{}, r)
	return nil
}

// Load returns a record. ErrNotFound when there is none.
func (rs *Records) Load(ctx context.Context, id string) (Record, error) {
	touched := rs.touches.unstoredOf(id)
	r, err := rs.driver.Load(ctx, id)
	if err != nil {
		return Record{}, err
	}
	r.activeAt(touched)
	return r, nil
}

// Spec returns what the sandbox was asked to be. ErrNotFound when there is no such sandbox or it has ended.
func (rs *Records) Spec(ctx context.Context, id string) (Spec, error) { return rs.driver.Spec(ctx, id) }

// List returns records ordered by id, at most q.Limit of them: fewer mean that there are no more.
func (rs *Records) List(ctx context.Context, q Query) ([]Record, error) {
	if q.Limit <= 0 {
		q.Limit = 100
	}
	q.Limit = min(q.Limit, 1000)
	touched := rs.touches.unstored()
	list, err := rs.driver.List(ctx, q)
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].activeAt(touched[list[i].ID])
	}
	return list, nil
}

// Update loads the record, lets fn change it, checks the move by [CanMove] and saves it if nobody else did
// meanwhile; otherwise it starts again until ctx ends. So fn may run more than once and must not have effects.
// It returns the record as it is stored now.
//
// When fn changes nothing or returns ErrUnchanged nothing is written. Any other error of fn is returned as it
// is. Entering Ready sets ReadyAt and ActiveAt, entering Deleted or Failed sets EndedAt, and all three clear
// PhaseDeadline; all but Requested, Building and Starting clear Waiting. ErrNotFound, ErrTransition and ErrInvalid write nothing.
func (rs *Records) Update(ctx context.Context, id string, fn func(*Record) error) (Record, error) {
	wait := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(time.Millisecond), backoff.WithMaxInterval(100*time.Millisecond),
		backoff.WithRandomizationFactor(1), backoff.WithMaxElapsedTime(0))
	for {
		r, err := rs.tryUpdate(ctx, id, fn)
		if !errors.Is(err, ErrConflict) {
			return r, err
		}
		timer := time.NewTimer(wait.NextBackOff())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return Record{}, fmt.Errorf("%w; gave up: %w", err, ctx.Err())
		}
	}
}

func (rs *Records) tryUpdate(ctx context.Context, id string, fn func(*Record) error) (Record, error) {
	stored, err := rs.Load(ctx, id)
	if err != nil {
		return Record{}, err
	}
	changed := stored
	if err := fn(&changed); err != nil {
		if errors.Is(err, ErrUnchanged) {
			return stored, nil
		}
		return Record{}, err
	}
	changed.Version = stored.Version
	rs.stamp(&changed)
	if sameButUpdatedAt(changed, stored) {
		return stored, nil
	}
	if changed.UpdatedAt.Equal(stored.UpdatedAt) {
		changed.UpdatedAt = rs.now()
	}
	if err := CanMove(stored, changed); err != nil {
		return Record{}, err
	}
	if err := changed.validate(); err != nil {
		return Record{}, err
	}
	if err := rs.driver.Save(ctx, changed); err != nil {
		return Record{}, err
	}
	rs.metrics.moved(ctx, stored, changed)
	changed.Version++
	return changed, nil
}

func sameButUpdatedAt(a, b Record) bool {
	a.UpdatedAt = b.UpdatedAt
	return a == b
}

// stamp completes a record by the rules that every state has, and brings it to the precision that is stored.
func (rs *Records) stamp(r *Record) {
	switch r.State {
	case Ready:
		r.Waiting = ""
		if r.ReadyAt.IsZero() {
			r.ReadyAt = rs.now()
		}
		if r.ActiveAt.Before(r.ReadyAt) {
			r.ActiveAt = r.ReadyAt
		}
		r.PhaseDeadline = time.Time{}
	case Stopping:
		r.Waiting = ""
	case Deleted, Failed:
		r.Waiting = ""
		if r.EndedAt.IsZero() {
			r.EndedAt = rs.now()
		}
		r.PhaseDeadline = time.Time{}
	case Requested:
		r.ReadyAt, r.Endpoint = time.Time{}, "" // of the generation before
	default: // on the way: nothing to add
	}
	for _, t := range []*time.Time{&r.CreatedAt, &r.UpdatedAt, &r.PhaseDeadline, &r.ReadyAt, &r.ActiveAt, &r.ExpiresAt, &r.EndedAt} {
		*t = storable(*t)
	}
	r.TTL, r.Idle = r.TTL.Truncate(time.Microsecond), r.Idle.Truncate(time.Microsecond)
	r.ProjectName, r.LogTail = cleanStart(r.ProjectName, MaxProjectName), cleanTail(r.LogTail)
	r.Reason, r.Waiting = cleanStart(r.Reason, MaxReason), cleanStart(r.Waiting, MaxReason)
}

func (rs *Records) now() time.Time { return storable(rs.Now()) }

// storable is the instant as every driver gives it back: UTC, whole microseconds, no monotonic clock.
func storable(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMicro(t.UnixMicro()).UTC()
}
