package sqlsession

import (
	"errors"
	"fmt"

	"vibesdk-gcp/platform/session"
)

// wrap says what failed. The port's own errors come from the rows that were found, or not: no error of a database is
// turned into one, so that a broken connection never looks like an answer.
func wrap(what, id string, err error) error {
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
