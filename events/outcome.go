package events

import (
	"errors"
	"fmt"
	"time"
)

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// Permanent marks err as one that no retry mends: the message is parked at once. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

// IsPermanent reports whether err or anything it wraps was marked by [Permanent].
func IsPermanent(err error) bool {
	var p *permanentError
	return errors.As(err, &p)
}

type retryAfterError struct {
	after time.Duration
	why   string
}

func (e *retryAfterError) Error() string { return fmt.Sprintf("again in %s: %s", e.after, e.why) }

// RetryAfter asks for the same message again after d, because of why. It is not a failure: attempts are
// not counted, so the handler itself must know when to give up. A negative d means 0.
func RetryAfter(d time.Duration, why string) error {
	return &retryAfterError{after: max(d, 0), why: why}
}

// BatchError gives each message of a run its own outcome. Errs has one entry for each message of the run; with
// another number the run counts as failed. It does not unwrap: the kind of one entry must not decide for all.
type BatchError struct{ Errs []error }

func (e *BatchError) Error() string {
	if err := errors.Join(e.Errs...); err != nil {
		return err.Error()
	}
	return "no message of the batch failed"
}
