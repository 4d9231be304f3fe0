package events

import (
	"context"
	"time"
)

// Driver is what a broker must do for the bus. [Bus] holds one and adds validation, tracing, retry policy
// and dead letters, so a driver is little more than storage or translation.
//
// All methods are safe for concurrent use.
type Driver interface {
	// Publish stores msgs for every subscription of the topic. It returns nil only when all of them are
	// durable: after that, killing any process loses none. On an error any prefix or none may have been
	// accepted, and the caller may publish the same messages again (same ID: consumers are idempotent).
	// It must honour ctx, must bound what it buffers and must keep the order of messages of one key.
	// Messages are complete and within limits; the driver must not keep or change their Data after return.
	Publish(ctx context.Context, topic Topic, msgs []Message) error

	// Receive hands out messages of a subscription until ctx ends, calling handle from up to
	// sub.Concurrency goroutines. One call of handle gets a run: messages of one key in order for an ordered
	// topic (at most sub.MaxBatch), exactly one message otherwise. While a run of a key is being handled
	// no other run of that key may be, in this process or another that shares the broker.
	//
	// When handle returns, the driver settles each message by its [Verdict]. A run's messages that come after
	// the first verdict other than Done, on an ordered topic, are delivered again after it.
	// A slow or delayed key must not hold back other keys.
	//
	// When ctx ends, Receive stops taking messages, waits for the calls of handle that run, settles
	// them durably and returns nil. Messages taken but not handed out go back uncounted. It returns an
	// error only when it cannot go on; the bus then calls it again with backoff.
	Receive(ctx context.Context, sub Subscription, handle HandleFunc) error

	// Close releases what the driver holds, after all Receive calls returned. Close twice is nil.
	Close() error
}

// HandleFunc handles one run and returns a verdict for each message. Missing verdicts mean the zero
// Verdict. It never panics and outlives the bus's drain deadline by a second at most.
type HandleFunc func(run []Message) []Verdict

// Verdict is what to do with one message. The zero Verdict is the safe one: deliver again, uncounted.
type Verdict struct {
	// Done removes the message from the subscription for ever.
	Done bool
	// After is the delay before the next delivery of a message that is not Done. It must survive a restart of
	// the consumer in the sense that the message is delivered; the driver's Features say whether the
	// delay itself does.
	After time.Duration
	// Failed counts an attempt.
	Failed bool
}
