// Package events is the bus: topics, the envelope of messages, and handlers whose errors decide what becomes of a
// message. [Bus] publishes and consumes through a [Driver]; package eventstest holds every driver to its promises.
//
// # Promises
//
// A message is delivered at least once to every subscription of its topic: handlers must be idempotent by
// Message.ID. On an ordered topic the messages of one key are handled one after the other in publish order,
// also across retries and restarts. A handler's error is retried with jittered backoff, postponed, or parked on
// the dead-letters topic; see [Handler]. A panic is an error. Stopping drains: see [Bus.Consume].
//
// # Errors
//
// [ErrInvalid] lists every fault of what was given and says that nothing happened. [ErrClosed] is a closed bus. Any
// other error of Publish leaves open whether messages were accepted: publish again with the same IDs.
//
// # Telemetry
//
// Publishing and processing are spans, linked by W3C trace context in the message's attributes. Metrics are listed
// at the type metrics. The log gets one record for each delivery. Payloads reach none of them.
package events

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"vibesdk-gcp/internal/obs"
)

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

// Options configure a [Bus]. The zero value works.
type Options struct {
	// Source is the CloudEvents source of messages that name none. Defaults to "vibesdk-gcp".
	Source string
	// DrainTimeout is how long handlers may go on after the context of Consume ended; then their context is
	// cancelled with [ErrDraining]. A handler that ignores that is abandoned a second later. Defaults to 8 s,
	// inside the 10 s that Cloud Run gives.
	DrainTimeout time.Duration
	// Logger gets one record for each delivery, payloads excluded: debug when it went well, warn when it is
	// tried again, error when it was parked. Defaults to slog.Default().
	Logger *slog.Logger
	// TracerProvider and MeterProvider default to the global ones.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	// Watchdog hears of handlers that ignore their deadline. Nil means that nobody does.
	Watchdog *obs.Watchdog
}

// Bus publishes and consumes messages through a [Driver]. It is safe for concurrent use.
type Bus struct {
	driver  Driver
	source  string
	drain   time.Duration
	log     *slog.Logger
	tracer  trace.Tracer
	metrics *metrics
	dog     *obs.Watchdog
	closed  atomic.Bool
}

// New makes a bus that owns d: [Bus.Close] closes it.
func New(d Driver, o Options) *Bus {
	if o.Source == "" {
		o.Source = "vibesdk-gcp"
	}
	if o.DrainTimeout <= 0 {
		o.DrainTimeout = 8 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	return &Bus{
		driver:  d,
		source:  o.Source,
		drain:   o.DrainTimeout,
		log:     o.Logger,
		tracer:  o.TracerProvider.Tracer(scope),
		metrics: newMetrics(o.MeterProvider, o.Logger),
		dog:     o.Watchdog,
	}
}

// scope names the instrumentation of this package.
const scope = "vibesdk-gcp/events"

// Close closes the driver. Call it after every Consume returned. Publish and Consume then fail with [ErrClosed].
// Close twice is nil.
func (b *Bus) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	return b.driver.Close()
}
