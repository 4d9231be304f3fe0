package gateway

import (
	"context"
	"errors"
	"slices"
	"sync"

	"go.opentelemetry.io/otel/trace"

	"vibesdk-gcp/events"
)

// outboxBytes bounds what is published at once, in bytes beyond the first mutation.
const outboxBytes = 1 << 20

// agentOutbox publishes the mutations of one connection in their order. Those that come while a publication is under way share the next.
type agentOutbox struct {
	// ctx outlives the connection, so that all that a client sent before it went is published, however it went: see [agentConn.finish].
	ctx  context.Context //nolint:containedctx // that of a goroutine which comes and goes
	stop context.CancelFunc

	mu      sync.Mutex
	waiting []*agentMutation
	busy    bool
}

// post puts a mutation behind the others.
func (c *agentConn) post(m *agentMutation) {
	c.outbox.mu.Lock()
	defer c.outbox.mu.Unlock()
	c.outbox.waiting = append(c.outbox.waiting, m)
	if !c.outbox.busy {
		c.outbox.busy = true
		c.calls.running.Go(c.publishAll)
	}
}

// publishAll publishes until nothing waits.
func (c *agentConn) publishAll() {
	for {
		batch := c.outbox.take()
		if len(batch) == 0 {
			return
		}
		c.publishBatch(batch)
	}
}

func (o *agentOutbox) take() []*agentMutation {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, size := 0, 0
	for n < len(o.waiting) && (n == 0 || size+len(o.waiting[n].message.Data) <= outboxBytes) {
		size += len(o.waiting[n].message.Data)
		n++
	}
	batch := o.waiting[:n:n]
	o.waiting = o.waiting[n:]
	if n == 0 {
		o.waiting, o.busy = nil, false
	}
	return batch
}

func (c *agentConn) publishBatch(batch []*agentMutation) {
	messages := make([]events.Message, len(batch))
	ctx, cancel := context.WithTimeout(c.outbox.ctx, c.g.WaitFor)
	defer cancel()
	for i, m := range slices.Backward(batch) {
		messages[i] = m.message
		if m.trace.IsValid() {
			ctx = trace.ContextWithSpanContext(ctx, m.trace) // a publication is a part of one trace: that of the first
		}
	}
	err := c.g.Publisher.Publish(ctx, events.StateMutations, messages...)
	switch {
	case err == nil:
		return
	case errors.Is(err, events.ErrInvalid) && len(batch) > 1: // nothing was published, and one of them is to blame
		for i := range batch {
			c.publishBatch(batch[i : i+1])
		}
		return
	}
	for _, m := range batch {
		if c.s.abandon(m) {
			m.unpublished(err)
		}
	}
}
