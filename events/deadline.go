package events

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// deadlined bounds one call of the handler. An error that came of it says so.
func deadlined(timeout time.Duration, next call) call {
	return func(ctx context.Context, run []Message) error {
		ctx, cancel := context.WithTimeoutCause(ctx, timeout, ErrAttemptTimeout)
		defer cancel()
		err := next(ctx, run)
		if errors.Is(err, context.DeadlineExceeded) && errors.Is(context.Cause(ctx), ErrAttemptTimeout) {
			return fmt.Errorf("%w after %s: %w", ErrAttemptTimeout, timeout, err)
		}
		return err
	}
}
