package sqlbus

import (
	"context"
	"fmt"
	"sync"
	"time"

	"vibesdk-gcp/events"
)

const (
	// maxAhead is how many times sub.Concurrency a receiver claims at most while handlers are quick.
	maxAhead = 16
	// patience is how long a claimed lane may wait for a handler before all that wait go back, so that another
	// process can have them.
	patience = 100 * time.Millisecond
)

// receiver is one call of Receive: it takes leases from the writer, hands them to workers and queues their
// settlements.
type receiver struct {
	d      *Driver
	name   *subscription
	sub    events.Subscription
	handle events.HandleFunc
	kick   chan struct{}

	mu sync.Mutex
	// pending are leases that wait for a worker; busy counts workers.
	pending []*lease
	busy    int
	// messages and size are what is held, from the claim until the settlement is stored.
	messages, size int
	// window is how many lanes to hold in workers and pending: sub.Concurrency, more while handlers are quicker
	// than commits.
	window   int
	claiming bool // a turn of the writer decides on our claim
	stopping bool
	err      error // the first settlement that could not be stored
}

// Receive implements [events.Driver].
func (d *Driver) Receive(ctx context.Context, sub events.Subscription, handle events.HandleFunc) error {
	known := d.subs[sub.Name]
	if known == nil || known.ordered != sub.Topic.Ordered {
		return fmt.Errorf("subscription %s %w: it was not given to the bus", sub.Name, events.ErrInvalid)
	}
	r := &receiver{d: d, name: known, sub: sub, handle: handle, window: sub.Concurrency, kick: make(chan struct{}, 1)}
	if err := d.writer.addTaker(r); err != nil {
		return err
	}
	d.writer.wake()
	defer d.writer.removeTaker(r)
	return r.run(ctx)
}

// run lives until ctx ended and everything is settled, or a settlement failed for good.
func (r *receiver) run(ctx context.Context) error {
	stop := ctx.Done()
	var late <-chan time.Time
	for {
		r.mu.Lock()
		if (r.stopping || r.err != nil) && len(r.pending) > 0 {
			r.giveBack()
		}
		if (r.stopping || r.err != nil) && r.messages == 0 && !r.claiming {
			r.stopping = true // nothing may be delivered any more
			err := r.err
			r.mu.Unlock()
			return err
		}
		late = nil
		if len(r.pending) > 0 {
			late = time.After(patience - time.Since(r.pending[0].since))
		}
		r.mu.Unlock()

		select {
		case <-r.kick:
		case <-stop:
			stop = nil
			r.mu.Lock()
			r.stopping = true
			r.mu.Unlock()
		case <-late:
			r.mu.Lock()
			if len(r.pending) > 0 && time.Since(r.pending[0].since) >= patience {
				r.window = r.sub.Concurrency
				r.giveBack()
			}
			r.mu.Unlock()
		}
	}
}

// wants is asked by the writer before each turn, and answered with deliver after it.
func (r *receiver) wants() *claim {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := &claim{
		to: r, sub: r.name,
		lanes:    r.window - r.busy - len(r.pending),
		messages: r.sub.MaxOutstanding - r.messages,
		size:     maxHeld - r.size,
		maxBatch: r.sub.MaxBatch,
	}
	if r.stopping || r.err != nil || c.full() {
		return nil
	}
	r.claiming = true
	return c
}

// deliver takes over what a turn claimed.
func (r *receiver) deliver(leases []*lease) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.claiming = false
	if len(leases) > 0 && r.busy+len(r.pending) == 0 && len(leases) >= r.window {
		r.window = min(2*r.window, maxAhead*r.sub.Concurrency) // workers had to wait for this commit
	}
	for _, l := range leases {
		r.messages += len(l.msgs)
		r.size += l.size
	}
	r.pending = append(r.pending, leases...)
	for !r.stopping && r.busy < r.sub.Concurrency && len(r.pending) > 0 {
		r.busy++
		l := r.pending[0]
		r.pending = r.pending[1:]
		go r.work(l)
	}
	r.wake()
}

// work handles leases until none waits.
func (r *receiver) work(l *lease) {
	for l != nil {
		s := settled(l, r.handle(l.msgs), r.finished(l))
		// Free the worker before the writer wakes up and asks what we want.
		r.mu.Lock()
		l = nil
		if len(r.pending) > 0 && !r.stopping {
			l, r.pending = r.pending[0], r.pending[1:]
		} else {
			r.busy--
		}
		r.mu.Unlock()
		r.d.writer.settle(s)
	}
}

// giveBack returns what waits for a worker, uncounted. The caller holds mu.
func (r *receiver) giveBack() {
	back := make([]*settlement, len(r.pending))
	for i, l := range r.pending {
		back[i] = returned(l, r.finished(l))
	}
	r.pending = nil
	r.d.writer.settle(back...)
}

// finished gives the callback for a stored settlement.
func (r *receiver) finished(l *lease) func(error) {
	return func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.messages -= len(l.msgs)
		r.size -= l.size
		if err != nil && r.err == nil {
			r.err = fmt.Errorf("settle: %w", err)
		}
		r.wake()
	}
}

func (r *receiver) wake() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}
