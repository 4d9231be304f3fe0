package sandbox

import "errors"

// Errors that drivers wrap and callers match with errors.Is.
var (
	ErrNotFound = errors.New("sandbox not found")
	ErrExists   = errors.New("sandbox exists already")
	ErrConflict = errors.New("sandbox record was changed by another writer")
	// ErrTransition is a move that the state picture does not have.
	ErrTransition = errors.New("sandbox state does not allow this")
	// ErrInvalid is a spec or a record that breaks a rule; the message names the field and the limit.
	ErrInvalid = errors.New("sandbox is not valid")
	// ErrGone is a generation that was deleted: nothing of it is started again.
	ErrGone = errors.New("sandbox generation was deleted")
	// ErrUnavailable is a runtime that cannot take work now; trying again later is right.
	ErrUnavailable = errors.New("sandbox runtime is not available")
	// ErrQuota goes with ErrUnavailable: there can be no more sandboxes until others end or somebody raises a quota.
	ErrQuota = errors.New("a quota is used up")
)
