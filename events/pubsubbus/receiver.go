package pubsubbus

import (
	"context"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"golang.org/x/sync/semaphore"

	"vibesdk-gcp/events"
)

// receiver holds the messages of one Receive, from when the client hands them over until they are settled.
//
// A lane is the queue of a key, or of one message on an unordered topic. It is in one of four states: waiting
// for a time, ready, running, or gone when it is empty.
type receiver struct {
	d      *Driver
	sub    events.Subscription
	handle events.HandleFunc

	// credits bound what is held, in messages and bytes. Without credits the callback of the client blocks,
	// which holds the client's own, and so the service stops sending.
	messages, bytes *semaphore.Weighted
	maxBytes        int

	running sync.WaitGroup

	mu      sync.Mutex
	items   map[string]*item // by the broker's id
	lanes   map[string]*lane
	ready   []*lane
	active  int // lanes that run
	waiting int // lanes that wait
	ended   bool
	lost    bool // the stream failed: acknowledgements go nowhere
	// returned are the messages that a drain gives back when everything else is settled.
	returned []*item
}

type lane struct {
	key   string
	items []*item
	timer *time.Timer // set while it waits
	runs  bool
}

func newReceiver(d *Driver, sub events.Subscription, handle events.HandleFunc) *receiver {
	sub.Concurrency, sub.MaxBatch, sub.MaxOutstanding = max(sub.Concurrency, 1), max(sub.MaxBatch, 1), max(sub.MaxOutstanding, 1)
	return &receiver{
		d: d, sub: sub, handle: handle,
		messages: semaphore.NewWeighted(int64(sub.MaxOutstanding)),
		bytes:    semaphore.NewWeighted(int64(d.o.MaxOutstandingBytes)),
		maxBytes: d.o.MaxOutstandingBytes,
		items:    map[string]*item{},
		lanes:    map[string]*lane{},
	}
}

// take is the client's callback. For a key the client calls it in order. It returns when the message is queued.
func (r *receiver) take(ctx context.Context, m *pubsub.Message) {
	it, mine := r.d.newItem(m, r.sub.Name)
	if !mine {
		m.Ack()
		return
	}
	if err := r.acquire(ctx, it); err != nil {
		m.Nack()
		return
	}
	if _, ok := r.hold(it); !ok {
		m.Nack()
	}
}

// hold queues a message that has its credits. held is the item that stands for it. ok is false, and the credits are returned, when
// no more messages are taken.
func (r *receiver) hold(it *item) (held *item, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		r.release(it)
		return nil, false
	}
	if known, ok := r.items[it.id]; ok {
		// The broker lost patience with a message that is still here. Handling it twice would break the order of the
		// key, so both deliveries share one outcome.
		known.deliveries = append(known.deliveries, it.deliveries...)
		known.leaving, known.lost = false, false
		r.release(it)
		return known, true
	}
	r.items[it.id] = it
	key := it.event.Key
	if !r.sub.Topic.Ordered || key == "" {
		key = "\x00" + it.id // a lane of its own
	}
	l, known := r.lanes[key]
	if !known {
		l = &lane{key: key}
		r.lanes[key] = l
	}
	it.lane = l
	l.items = append(l.items, it)
	if !known {
		r.schedule(l)
	}
	return it, true
}

func (r *receiver) acquire(ctx context.Context, it *item) error {
	if err := r.messages.Acquire(ctx, 1); err != nil {
		return err
	}
	if err := r.bytes.Acquire(ctx, r.weight(it)); err != nil {
		r.messages.Release(1)
		return err
	}
	return nil
}

// tryAcquire is acquire for who cannot wait.
func (r *receiver) tryAcquire(it *item) bool {
	if !r.messages.TryAcquire(1) {
		return false
	}
	if !r.bytes.TryAcquire(r.weight(it)) {
		r.messages.Release(1)
		return false
	}
	return true
}

func (r *receiver) release(it *item) {
	r.messages.Release(1)
	r.bytes.Release(r.weight(it))
}

// weight lets a message larger than the limit through when it is alone.
func (r *receiver) weight(it *item) int64 { return int64(min(len(it.event.Data), r.maxBytes)) }

// schedule makes a lane that has messages ready or waiting. It is called with mu held.
func (r *receiver) schedule(l *lane) {
	if wait := time.Until(l.items[0].due); wait > 0 {
		r.waiting++
		l.timer = time.AfterFunc(min(wait, r.holdLimit()), func() { r.wake(l) })
		return
	}
	r.ready = append(r.ready, l)
	r.dispatch()
}

// holdLimit bounds a timer. On an ordered topic messages always wait here, for a copy would lose its place.
func (r *receiver) holdLimit() time.Duration {
	if r.sub.Topic.Ordered {
		return leaseForever
	}
	return r.d.o.HoldLimit
}

// wake ends a lane's wait, or sends its message back when it has to wait on and takes the place of others.
func (r *receiver) wake(l *lane) {
	r.mu.Lock()
	if l.timer == nil || r.ended {
		r.mu.Unlock()
		return
	}
	l.timer = nil
	r.waiting--
	crowded := r.waiting >= r.sub.MaxOutstanding/2
	it := l.items[0]
	if r.sub.Topic.Ordered || !crowded || time.Until(it.due) <= 0 {
		r.schedule(l)
		r.mu.Unlock()
		return
	}
	r.leave(l, it)
}

// leave settles a message that waits, the first of a lane that then runs: nobody else may touch it meanwhile. It is called with mu held, and
// gives it back.
func (r *receiver) leave(l *lane, it *item) {
	l.runs = true
	r.running.Add(1)
	r.mu.Unlock()
	defer r.running.Done()
	r.settleLater(l, it)
}

// dispatch starts as many ready lanes as may run. It is called with mu held.
func (r *receiver) dispatch() {
	for !r.ended && r.active < r.sub.Concurrency && len(r.ready) > 0 {
		l := r.ready[0]
		r.ready = r.ready[1:]
		l.runs = true
		r.active++
		r.running.Add(1)
		go r.run(l, l.head(r.sub.MaxBatch))
	}
}

// head gives the messages of the next run. A message that failed runs alone, so that a batch that fails as a
// whole finds the one that is to blame.
func (l *lane) head(most int) []*item {
	if l.items[0].failed > 0 {
		most = 1
	}
	run := l.items[:1:1]
	for _, it := range l.items[1:min(most, len(l.items))] {
		if it.failed > 0 || time.Until(it.due) > 0 {
			break
		}
		run = append(run, it)
	}
	return run
}

// run hands out one run and settles it.
func (r *receiver) run(l *lane, run []*item) {
	defer r.running.Done()
	msgs := make([]events.Message, len(run))
	for i, it := range run {
		msgs[i] = it.handout()
	}
	verdicts := r.handle(msgs)

	r.mu.Lock()
	r.active--
	r.dispatch() // settling may have to wait for a publication
	r.mu.Unlock()
	r.settle(l, run, verdicts)
}
