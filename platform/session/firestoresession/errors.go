package firestoresession

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"vibesdk-gcp/platform/session"
)

// refused reports whether the service said that a precondition did not hold. Each call is sent once, so nothing was
// written. A create that answers NotFound has no database to write to.
func refused(err error, create bool) bool {
	switch status.Code(err) {
	case codes.AlreadyExists, codes.FailedPrecondition:
		return true
	case codes.NotFound:
		return !create
	default:
		return false
	}
}

// wrap adds what was tried to an error of the service, and that it is away. When the caller's context has ended the error is also the
// context's.
func wrap(ctx context.Context, what, id string, err error) error {
	if away(err) {
		err = fmt.Errorf("%w: %w", session.ErrUnavailable, err)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s session %q: %w: %w", what, id, ctx.Err(), err)
	default:
		return fmt.Errorf("%s session %q: %w", what, id, err)
	}
}

// away reports that the service did not answer, gave up what it was asked, or had no room for it.
func away(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.ResourceExhausted, codes.Aborted, codes.Internal:
		return true
	default:
		return false
	}
}

func notFound(id string) error { return fmt.Errorf("%w: %q", session.ErrNotFound, id) }

func conflict(next *session.Record) error {
	return fmt.Errorf("%w: %q is not at commit %d", session.ErrConflict, next.ID, next.Commit-1)
}
