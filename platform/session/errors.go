package session

import (
	"errors"
	"fmt"
)

// What a mutation can be rejected with, and what drivers return. Compare with errors.Is.
var (
	// ErrConflict: the record is not at the version or commit that was asked for. From a driver it means that nothing
	// was written.
	ErrConflict = errors.New("session conflict")
	// ErrInitialized: the session was initialized before.
	ErrInitialized = errors.New("session is initialized already")
	// ErrNotFound: there is no such session, path or job.
	ErrNotFound = errors.New("not found")
	// ErrInvalid: the mutation cannot be applied to what is there.
	ErrInvalid = errors.New("invalid session mutation")
	// ErrTooLarge: the result would be over a limit. From a driver it means that nothing was written.
	ErrTooLarge = errors.New("session too large")
	// ErrUnavailable: the store could not be asked, or did not answer. What a read says may be there all the same; whether a write
	// was done is unknown.
	ErrUnavailable = errors.New("session store does not answer")
	// ErrIDReused: a mutation with this id but other content was decided before.
	ErrIDReused = errors.New("mutation id reused with other content")
)

var errNoSession = fmt.Errorf("session %w", ErrNotFound)
