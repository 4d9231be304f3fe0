package statewriter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/schemas/gen"
)

// What [Payloads] fail with when reading again does not help, or not for long. Compared with errors.Is.
var (
	// ErrPayloadNotFound: there is no such object. It is looked for a few times, then the mutation is parked.
	ErrPayloadNotFound = errors.New("payload not found")
	// ErrPayloadTooLarge: the object is larger than the limit.
	ErrPayloadTooLarge = errors.New("payload too large")
	// ErrPayloadRefused: the address is not one that payloads are read from.
	ErrPayloadRefused = errors.New("payload address refused")
)

// Payloads reads what mutations refer to. It must be safe for concurrent use.
type Payloads interface {
	// Read returns the object at a file:// or gs:// address, at most limit bytes of it: ErrPayloadTooLarge when there are
	// more. It must refuse every address outside the place that was set up for payloads.
	Read(ctx context.Context, address string, limit int64) ([]byte, error)
}

// MaxHeld is how many bytes of referenced payloads one commit brings together, beyond the first.
const MaxHeld = 32 << 20

// maxImport is the largest import: all parts, and their names.
const maxImport = session.MaxRecord + 64<<10

// lookAgain is how often an object that is not there is looked for: a copy between regions may be a moment late.
const lookAgain = 3

// fetch reads a referenced payload. It tries again in place until ctx ends; a permanent error says that this is no use. Before it
// waits it calls waiting, whose false ends it.
func (w *Writer) fetch(ctx context.Context, m *gen.StateMutation, waiting func() bool) ([]byte, error) {
	if w.o.Payloads == nil {
		return nil, events.Permanent(fmt.Errorf("%w: payloads by reference are not set up", ErrPayloadRefused))
	}
	limit := int64(session.MaxPart)
	if m.GetKind() == gen.StateMutation_IMPORT {
		limit = maxImport
	}
	pause := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(w.o.pause), backoff.WithMaxInterval(100*w.o.pause), backoff.WithMaxElapsedTime(0),
	)
	for missing := 0; ; {
		data, err := w.o.Payloads.Read(ctx, m.GetPayloadUri(), limit)
		switch {
		case err == nil && int64(len(data)) > limit:
			return nil, events.Permanent(fmt.Errorf("%w: %d bytes, the limit is %d", ErrPayloadTooLarge, len(data), limit))
		case err == nil:
			return data, nil
		case errors.Is(err, ErrPayloadTooLarge), errors.Is(err, ErrPayloadRefused):
			return nil, events.Permanent(err)
		case errors.Is(err, ErrPayloadNotFound):
			if missing++; missing == lookAgain {
				return nil, events.Permanent(err)
			}
		}
		if !waiting() {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("read payload: %w; gave up: %w", err, context.Cause(ctx))
		case <-time.After(pause.NextBackOff()):
		}
	}
}
