package events

import (
	"errors"
	"fmt"
)

// Errors of the bus, matched with errors.Is.
var (
	// ErrInvalid is a message, topic or subscription that breaks a rule. The text lists every fault, each with
	// its field and limit. Nothing was published.
	ErrInvalid = errors.New("not valid")
	// ErrUnavailable is a publication that the broker did not confirm. Any prefix of the messages or none may have been accepted:
	// publish the same ones again, with the same IDs.
	ErrUnavailable = errors.New("the bus did not confirm")
	// ErrClosed is a bus or driver after Close.
	ErrClosed = errors.New("bus is closed")
	// ErrDraining is the cause (context.Cause) of a handler's context that was cancelled because the drain
	// deadline passed. It says nothing about the message: the attempt is not counted.
	ErrDraining = errors.New("drain deadline passed")
	// ErrAttemptTimeout is the cause of a handler's context that ended at Subscription.AttemptTimeout.
	ErrAttemptTimeout = errors.New("attempt timed out")
	// ErrNotFound is a letter that is not filed.
	ErrNotFound = errors.New("not found")
	// ErrConflict is a letter that was changed meanwhile, or whose state does not allow what was asked. It is as it was.
	ErrConflict = errors.New("changed meanwhile or in no state for this")
	// ErrExit is a handler that ended its goroutine with runtime.Goexit instead of returning.
	ErrExit = errors.New("handler exited without returning")
)

// PanicError is a panic of a handler turned into an error.
type PanicError struct {
	// Value is what was given to panic.
	Value any
	// Stack holds the panicking frames, innermost first, one "function (file:line)" a line.
	Stack string
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap gives the panic's value when it was an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
