package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Publish stores msgs for every subscription of topic and returns nil when all of them are durable. Empty ID,
// Type, Source and Time are filled in, and the trace context of ctx travels along; msgs themselves are not
// changed.
//
// All messages are checked first, against the envelope's limits, the topic's key rule and its schema. With
// any fault nothing is published, and the error wraps [ErrInvalid] and lists every fault. After [ErrClosed] nothing is
// published either. Every other error wraps [ErrUnavailable].
func (b *Bus) Publish(ctx context.Context, topic Topic, msgs ...Message) error {
	if b.closed.Load() {
		return ErrClosed
	}
	if len(msgs) == 0 {
		return nil
	}
	ctx, end := b.publishSpan(ctx, topic, len(msgs))
	err := b.publish(ctx, topic, msgs)
	end(err)
	b.metrics.publish(ctx, topic, len(msgs), err)
	return err
}

func (b *Bus) publish(ctx context.Context, topic Topic, msgs []Message) error {
	complete := make([]Message, len(msgs))
	var faults []error
	for i, m := range msgs {
		m = b.complete(topic, m)
		if err := check(topic, m); err != nil {
			faults = append(faults, fmt.Errorf("message %d: %w", i, err))
		}
		m.Attributes = withTrace(ctx, m.Attributes)
		complete[i] = m
	}
	if len(faults) > 0 {
		return fmt.Errorf("publish to %s: message %w: %w", topic.Name, ErrInvalid, errors.Join(faults...))
	}
	err := b.driver.Publish(ctx, topic, complete)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrInvalid), errors.Is(err, ErrClosed):
		return fmt.Errorf("publish to %s: %w", topic.Name, err)
	default:
		return fmt.Errorf("publish to %s: %w: %w", topic.Name, ErrUnavailable, err)
	}
}

// complete fills in what the publisher left empty.
func (b *Bus) complete(topic Topic, m Message) Message {
	if m.ID == "" {
		m.ID = uuid.Must(uuid.NewV7()).String() // fails only when the system has no randomness
	}
	if m.Type == "" {
		m.Type = topic.Type
	}
	if m.Source == "" {
		m.Source = b.source
	}
	if m.Time.IsZero() {
		m.Time = time.Now()
	}
	// The microsecond is the finest that every broker keeps.
	m.Time = m.Time.UTC().Truncate(time.Microsecond)
	if !m.NotBefore.IsZero() {
		m.NotBefore = m.NotBefore.UTC().Add(time.Microsecond - 1).Truncate(time.Microsecond)
	}
	m.Attempt = 0
	return m
}
