package redislimit

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"vibesdk-gcp/platform/ratelimit"
)

// maxPipeline bounds the calls of one round trip. While one is under way another begins with worthwhile calls at least: a run of
// the script costs as much as two or three calls, and one that comes early only waits in Redis.
const (
	maxPipeline = 128
	worthwhile  = 24
)

var errClosed = errors.New("rate limits are closed")

// queue gathers calls while its workers wait for Redis. A worker lives as long as there are calls.
type queue struct {
	run     func([]*call)
	workers int

	mu      sync.Mutex
	waiting []*call
	running int
	closed  bool
	group   sync.WaitGroup
}

// call is one thing to be done by the script.
type call struct {
	keys []string
	// now, dry and items are those of a call that takes, which can share a run of the script with others.
	now   float64
	dry   bool
	items []ratelimit.Item
	// args are those of a call of another kind.
	args []any

	// state moves from queued to sent, or to left when the caller gave up before.
	state   atomic.Int32
	done    chan struct{}
	err     error
	answers []ratelimit.Answer // of meaning once done is closed
}

const (
	queued int32 = iota
	sent
	left
)

// do has a call done and returns when it answered or ctx ended. Only a call that was sent may then have been run.
func (q *queue) do(ctx context.Context, c *call) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.done = make(chan struct{})
	if err := q.add(c); err != nil {
		return err
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		c.state.CompareAndSwap(queued, left)
		return ctx.Err()
	}
}

func (q *queue) add(c *call) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return errClosed
	}
	q.waiting = append(q.waiting, c)
	if q.running < q.workers && (q.running == 0 || len(q.waiting) >= worthwhile) {
		q.running++
		q.group.Go(q.work)
	}
	return nil
}

func (q *queue) work() {
	for {
		batch := q.take()
		if batch == nil {
			return
		}
		q.run(batch)
		for _, c := range batch {
			close(c.done)
		}
	}
}

// take returns the calls of the next round trip, or nil when the worker should end.
func (q *queue) take() []*call {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running > 1 && len(q.waiting) < worthwhile {
		q.running-- // the others take them
		return nil
	}
	var batch []*call
	n := 0
	for ; n < len(q.waiting) && len(batch) < maxPipeline; n++ {
		if c := q.waiting[n]; c.state.CompareAndSwap(queued, sent) {
			batch = append(batch, c)
		}
	}
	rest := copy(q.waiting, q.waiting[n:])
	clear(q.waiting[rest:])
	q.waiting = q.waiting[:rest]
	if batch == nil {
		q.running--
	}
	return batch
}

// close refuses later calls and waits for those under way.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.group.Wait()
}
