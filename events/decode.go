package events

import (
	"context"
	"fmt"
)

// Decode makes a [Handler] of one that takes the decoded payload. A payload that does not decode is a permanent
// error: no retry mends it.
func Decode[T any](decode func([]byte) (T, error), h func(context.Context, Message, T) error) Handler {
	return func(ctx context.Context, m Message) error {
		payload, err := decode(m.Data)
		if err != nil {
			return Permanent(fmt.Errorf("decode payload: %w", err))
		}
		return h(ctx, m, payload)
	}
}
