package cloudflaresession

import (
	"errors"
	"fmt"

	"vibesdk-gcp/internal/cfclient"
	"vibesdk-gcp/platform/session"
)

// errDamaged is a record that cannot be read.
var errDamaged = errors.New("the stored record is damaged")

// wrap says what failed, and turns the bridge's words into the port's errors. Without a word from the bridge it is away.
func wrap(what, id string, err error) error {
	if err == nil {
		return nil
	}
	switch cfclient.Code(err) {
	case "conflict":
		err = fmt.Errorf("%w: %w", session.ErrConflict, err)
	case "record_not_found":
		err = fmt.Errorf("%w: %w", session.ErrNotFound, err)
	case "too_large", "length_required":
		err = fmt.Errorf("%w: %w", session.ErrTooLarge, err)
	case "":
		if !errors.Is(err, errDamaged) {
			err = fmt.Errorf("%w: %w", session.ErrUnavailable, err)
		}
	}
	if id == "" {
		return fmt.Errorf("%s sessions: %w", what, err)
	}
	return fmt.Errorf("%s session %q: %w", what, id, err)
}

// tooLarge refuses a record that is over a limit.
func tooLarge(what string, size, limit int) error {
	return fmt.Errorf("%w: %s has %d bytes, the limit is %d", session.ErrTooLarge, what, size, limit)
}
