package sandbox

import "time"

// DueReason is why a sandbox has to end.
type DueReason string

// The reasons.
const (
	DueExpired DueReason = "expired" // its time to live is over
	DueIdle    DueReason = "idle"    // a ready preview had no traffic for Idle
	DueStuck   DueReason = "stuck"   // an unfinished state lasts beyond its deadline
)

// DueAt returns the earliest instant at which the record is due, and why. The zero time means never: the
// record has ended. An Idle or TTL of zero is no limit.
func (r Record) DueAt() (time.Time, DueReason) {
	if r.State.Terminal() {
		return time.Time{}, ""
	}
	at, why := r.ExpiresAt, DueExpired
	if r.State == Ready {
		if r.Idle > 0 {
			at, why = earlier(at, why, r.ActiveAt.Add(r.Idle), DueIdle)
		}
		return at, why
	}
	if r.State == Stopping {
		why = DueStuck // it is ending already; what it may be is late
	}
	if !r.PhaseDeadline.IsZero() {
		at, why = earlier(at, why, r.PhaseDeadline, DueStuck)
	}
	return at, why
}

// Due reports whether the record is due at now, and why.
func (r Record) Due(now time.Time) (DueReason, bool) {
	at, why := r.DueAt()
	if at.IsZero() || now.Before(at) {
		return "", false
	}
	return why, true
}

func earlier(a time.Time, whyA DueReason, b time.Time, whyB DueReason) (time.Time, DueReason) {
	if a.IsZero() || b.Before(a) {
		return b, whyB
	}
	return a, whyA
}
