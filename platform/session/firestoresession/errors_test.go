package firestoresession

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"vibesdk-gcp/platform/session"
)

// TestAServiceThatIsAway is told apart from one that refuses.
func TestAServiceThatIsAway(t *testing.T) {
	t.Parallel()
	for code, want := range map[codes.Code]bool{
		codes.Unavailable: true, codes.DeadlineExceeded: true, codes.ResourceExhausted: true, codes.Aborted: true, codes.Internal: true, codes.Canceled: true,
		codes.PermissionDenied: false, codes.InvalidArgument: false, codes.NotFound: false,
	} {
		if err := wrap(t.Context(), "load", "s", status.Error(code, "why")); errors.Is(err, session.ErrUnavailable) != want || status.Code(errors.Unwrap(err)) != code && !want {
			t.Errorf("%s is %v", code, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := wrap(ended, "load", "s", status.Error(codes.Unavailable, "why")); !errors.Is(err, context.Canceled) || !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("after the caller left: %v", err)
	}
}
