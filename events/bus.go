package events

import "context"

// Publisher publishes messages. [Bus] is one; workers and doors hold this narrow view.
type Publisher interface {
	// Publish returns nil when every message is durable. See [Bus.Publish].
	Publish(ctx context.Context, topic Topic, msgs ...Message) error
}

// Handler handles one message. The kind of its error alone decides what happens next:
//
//	nil                → acknowledged
//	Permanent(err)     → parked on dead-letters with the reason, acknowledged
//	RetryAfter(d, why) → delivered again after d; does not count as a failed attempt
//	anything else      → delivered again with jittered backoff; parked after Subscription.Attempts
//
// ctx ends at the attempt's deadline or when the drain deadline passes, not at SIGTERM. A panic is an error.
// A handler may be called again for a message it has handled: it must be idempotent by Message.ID.
type Handler func(ctx context.Context, m Message) error

// BatchHandler handles a run of messages of one key, in order. A nil error acknowledges all of them; a
// [BatchError] says it for each; any other error applies to all.
type BatchHandler func(ctx context.Context, key string, run []Message) error
