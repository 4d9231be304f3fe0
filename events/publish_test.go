package events

import (
	"errors"
	"fmt"
	"testing"
)

// TestAPublicationThatIsNotConfirmedMayBeSentAgain holds which errors of a driver mean that.
func TestAPublicationThatIsNotConfirmedMayBeSentAgain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err   error
		again bool
	}{
		{errTest, true}, {fmt.Errorf("%w: too large for the broker", ErrInvalid), false}, {ErrClosed, false},
	} {
		err := New(&script{publishErr: tt.err}, Options{}).Publish(t.Context(), Topic{Name: "topic", Type: "t.v1"}, Message{Data: []byte("{}")})
		if !errors.Is(err, tt.err) || errors.Is(err, ErrUnavailable) != tt.again {
			t.Errorf("a driver that says %q: %v", tt.err, err)
		}
	}
}
