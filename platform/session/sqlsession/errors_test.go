package sqlsession

import (
	"database/sql"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"vibesdk-gcp/platform/session"
)

// TestADatabaseThatIsAway is told apart from one that answers.
func TestADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	for _, err := range []error{io.ErrUnexpectedEOF, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}} {
		if got := wrap("load", "s", err); !errors.Is(got, session.ErrUnavailable) || !errors.Is(got, err) {
			t.Errorf("%v is %v", err, got)
		}
	}
	for _, err := range []error{sql.ErrNoRows, session.ErrConflict, errors.New("column is missing")} {
		if got := wrap("load", "s", err); errors.Is(got, session.ErrUnavailable) || !errors.Is(got, err) {
			t.Errorf("%v is %v", err, got)
		}
	}
	if err := wrap("load", "s", nil); err != nil {
		t.Error(err)
	}
}
