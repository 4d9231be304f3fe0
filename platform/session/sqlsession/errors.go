package sqlsession

import (
	"errors"
	"fmt"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/session"
)

// wrap says what failed, and that a database is away. What is an answer comes from the rows that were found, or not: a broken
// connection never looks like one.
func wrap(what, id string, err error) error {
	if sqldb.IsUnavailable(err) {
		err = fmt.Errorf("%w: %w", session.ErrUnavailable, err)
	}
	switch {
	case err == nil:
		return nil
	case id == "":
		return fmt.Errorf("%s sessions: %w", what, err)
	default:
		return fmt.Errorf("%s session %q: %w", what, id, err)
	}
}

// tooLarge refuses a record that is over a limit.
func tooLarge(what string, size, limit int) error {
	return fmt.Errorf("%w: %s has %d bytes, the limit is %d", session.ErrTooLarge, what, size, limit)
}

func isNotFound(err error) bool { return errors.Is(err, session.ErrNotFound) }
