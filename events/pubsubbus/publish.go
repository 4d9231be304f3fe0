package pubsubbus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/pubsub/v2"

	"vibesdk-gcp/events"
)

// Settings of publishers; see the package comment for the reasons.
const (
	publishDelay    = time.Millisecond
	publishMessages = 1000
	publishBytes    = 64 << 20
)

// Publish implements [events.Driver]. The error wraps [events.ErrInvalid] when the service refuses the payload or the
// envelope. When ctx ends first, the messages may still be published afterwards, in order.
func (d *Driver) Publish(ctx context.Context, topic events.Topic, msgs []events.Message) error {
	out := make([]*pubsub.Message, len(msgs))
	for i, m := range msgs {
		// The client may hold a message for longer than ctx lasts, and Data is the caller's again after return.
		out[i] = &pubsub.Message{Data: bytes.Clone(m.Data), Attributes: events.EncodeAttributes(m)}
		if topic.Ordered {
			out[i].OrderingKey = m.Key
		}
	}
	return errors.Join(d.publish(ctx, topic, out)...)
}

// publish returns the error of each message, or one that is of all.
func (d *Driver) publish(ctx context.Context, topic events.Topic, msgs []*pubsub.Message) []error {
	if err := ctx.Err(); err != nil {
		return []error{err}
	}
	publisher, err := d.publisher(topic)
	if err != nil {
		return []error{err}
	}
	keys := orderingKeys(msgs)
	unlock, err := d.keys.lock(ctx, topic.Name, keys)
	if err != nil {
		return []error{err}
	}
	results := make([]*pubsub.PublishResult, len(msgs))
	for i, m := range msgs {
		results[i] = publisher.Publish(ctx, m)
	}
	// After an error the client refuses a key until it is resumed. Resuming while messages of this call are still
	// under way would let the rest of them overtake, so it waits for all, and no other call has the key until then.
	release := func() {
		for _, key := range keys {
			publisher.ResumePublish(key)
		}
		unlock()
	}
	errs := make([]error, len(msgs))
	for i, result := range results {
		_, err := result.Get(ctx)
		if err != nil && ctx.Err() != nil {
			go func() {
				for _, result := range results {
					<-result.Ready()
				}
				release()
			}()
			return []error{ctx.Err()}
		}
		errs[i] = publishError(err)
	}
	release()
	return errs
}

// publisher returns the one publisher of a topic.
func (d *Driver) publisher(topic events.Topic) (*pubsub.Publisher, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, events.ErrClosed
	}
	p, ok := d.publishers[topic.Name]
	if !ok {
		p = d.client.Publisher(d.topicName(topic.Name))
		p.EnableMessageOrdering = topic.Ordered
		p.PublishSettings.DelayThreshold = publishDelay
		p.PublishSettings.FlowControlSettings = pubsub.FlowControlSettings{
			MaxOutstandingMessages: publishMessages,
			MaxOutstandingBytes:    publishBytes,
			LimitExceededBehavior:  pubsub.FlowControlBlock,
		}
		d.publishers[topic.Name] = p
	}
	return p, nil
}

// orderingKeys lists the distinct keys in one fixed order, in which they are locked.
func orderingKeys(msgs []*pubsub.Message) []string {
	var keys []string
	for _, m := range msgs {
		if m.OrderingKey != "" {
			keys = append(keys, m.OrderingKey)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func publishError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pubsub.ErrPublisherStopped):
		return events.ErrClosed
	case errors.Is(err, pubsub.ErrOversizedMessage), isInvalidArgument(err):
		return fmt.Errorf("pubsub: message %w: %w", events.ErrInvalid, err)
	default:
		return fmt.Errorf("pubsub: %w", err)
	}
}
