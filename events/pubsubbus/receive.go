package pubsubbus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/pubsub/v2"

	"vibesdk-gcp/events"
)

const (
	// leaseForever is how long leases are renewed: as long as the service keeps a message at all. Every message is settled by this
	// driver, so nothing is left to the client's own idea of when to give up.
	leaseForever = 31 * 24 * time.Hour
	// settleTimeout bounds, while draining, the publication of copies and then the wait for acknowledgements to be sent.
	settleTimeout = 5 * time.Second
)

// errUnsettled means that a drain ended before the service had all acknowledgements.
var errUnsettled = errors.New("acknowledgements could not be sent before the drain ended; their messages come again")

// Receive implements [events.Driver].
func (d *Driver) Receive(ctx context.Context, sub events.Subscription, handle events.HandleFunc) error {
	d.mu.Lock()
	closed := d.closed
	d.mu.Unlock()
	if closed {
		return events.ErrClosed
	}
	if slices.Contains(d.o.Push, sub.Name) {
		return d.receivePushed(ctx, sub, handle)
	}
	// A Subscriber allows one Receive, and the bus may run several consumers of a subscription.
	subscriber := d.client.Subscriber(d.subscriptionName(sub.Name))
	subscriber.ReceiveSettings = pubsub.ReceiveSettings{
		MaxExtension:               leaseForever,
		MaxDurationPerAckExtension: d.o.Lease,
		MaxOutstandingMessages:     max(sub.MaxOutstanding, 1),
		MaxOutstandingBytes:        d.o.MaxOutstandingBytes,
		NumGoroutines:              1,
		EnablePerStreamFlowControl: true,
		ShutdownOptions:            nil, // anything else loses the acknowledgements of a drain
	}
	r := newReceiver(d, sub, handle)
	d.running.add(r)
	defer d.running.remove(r)
	pulled := make(chan error, 1)
	go func() { pulled <- subscriber.Receive(ctx, r.take) }()

	select {
	case err := <-pulled:
		r.abandon()
		if err == nil { // ctx ended in between, when it held nothing
			return nil
		}
		return fmt.Errorf("pubsub: receive %s: %w", sub.Name, err)
	case <-ctx.Done():
	}
	r.drain()
	// The client returns when it has sent the outcome of every message that it handed over.
	select {
	case err := <-pulled:
		if err != nil { // of the stream, which is not needed any more, but its loss can take acknowledgements along
			return fmt.Errorf("pubsub: receive %s: %w: %w", sub.Name, errUnsettled, err)
		}
		return nil
	case <-time.After(settleTimeout):
		return fmt.Errorf("pubsub: receive %s: %w", sub.Name, errUnsettled)
	}
}
