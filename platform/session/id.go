package session

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// checkID fails with ErrInvalid unless id is text of 1 to MaxID bytes without control characters. what names the field.
func checkID(what, id string) error {
	if id == "" || len(id) > MaxID {
		return fmt.Errorf("%w: %s has %d bytes, it must have 1 to %d", ErrInvalid, what, len(id), MaxID)
	}
	if !utf8.ValidString(id) {
		return fmt.Errorf("%w: %s is not UTF-8", ErrInvalid, what)
	}
	for _, r := range id {
		if unicode.IsControl(r) {
			return fmt.Errorf("%w: %s has a control character", ErrInvalid, what)
		}
	}
	return nil
}
