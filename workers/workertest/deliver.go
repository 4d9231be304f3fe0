package workertest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"vibesdk-gcp/events"
)

const (
	// attemptTimeout is the deadline of one call of the handler, as the bus gives it one.
	attemptTimeout = 30 * time.Second
	// redeliverAfter is the pause before a message comes again, whatever delay was asked for.
	redeliverAfter = 5 * time.Millisecond
)

// Deliver hands the message to the handler until it is acknowledged or parked, as a bus would. Failures and panics are
// redelivered until ctx ends. parked is the permanent error of a message that was parked.
func Deliver(ctx context.Context, handle events.Handler, m events.Message) (parked error, err error) {
	for m.Attempt = 1; ; m.Attempt++ {
		err := attempt(ctx, handle, m)
		switch {
		case err == nil:
			return nil, nil
		case events.IsPermanent(err):
			return err, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("message %s is not done after %d deliveries: %w", m.ID, m.Attempt, err)
		case <-time.After(redeliverAfter):
		}
	}
}

// attempt is one call of the handler. A panic that is not one of ours is told with its stack.
func attempt(ctx context.Context, handle events.Handler, m events.Message) (err error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	defer func() {
		switch p := recover().(type) {
		case nil:
		case crashed:
			err = errors.New(p.String())
		default:
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return handle(ctx, m)
}
