package deployment

import "errors"

// Errors that drivers wrap and callers match with errors.Is.
var (
	ErrNotFound = errors.New("deployment not found")
	// ErrStale is a route of an older generation than the one stored.
	ErrStale = errors.New("a newer generation is published")
	// ErrConflict is a write from another version than the one stored.
	ErrConflict = errors.New("the deployment is at another version")
	// ErrInvalid is a value that breaks a rule; the message names the field and the limit.
	ErrInvalid = errors.New("deployment is not valid")
)
