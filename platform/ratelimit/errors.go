package ratelimit

import "errors"

// Errors that backends wrap and callers match with errors.Is.
var (
	// ErrInvalid is a value that breaks a rule; the message names the field and the limit. Nothing was changed.
	ErrInvalid = errors.New("rate limit is not valid")
	// ErrUnknownLimit is a name that no limit has.
	ErrUnknownLimit = errors.New("no such rate limit")
	// ErrUnavailable is a backend that did not answer. Whether it charged is unknown.
	ErrUnavailable = errors.New("rate limits are unavailable")
	// ErrApart is a call whose keys cannot be charged together because they live on different shards.
	ErrApart = errors.New("keys of one call live on different shards")
)

// FieldError is an ErrInvalid about one field of a [Config].
type FieldError struct {
	// Field is the field's name in JSON, Message the rule that it breaks.
	Field, Message string
}

// Error implements error.
func (e *FieldError) Error() string { return ErrInvalid.Error() + ": " + e.Field + " " + e.Message }

// Is makes a FieldError match ErrInvalid.
func (e *FieldError) Is(target error) bool { return target == ErrInvalid }
