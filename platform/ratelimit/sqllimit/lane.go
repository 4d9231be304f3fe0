package sqllimit

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"vibesdk-gcp/platform/ratelimit"
)

// maxBatch bounds the calls of one transaction.
const maxBatch = 256

// call is one call of the backend: items, an adjustment or a reset.
type call struct {
	ctx    context.Context
	now    time.Time
	items  []ratelimit.Item
	dry    bool
	adjust *ratelimit.Adjustment
	reset  string

	// state moves from waiting to running, or to left when the caller gave up before.
	state   atomic.Int32
	done    chan struct{}
	answers []ratelimit.Answer
	err     error
	// decided is what the transaction found; it becomes answers when it has committed.
	decided []ratelimit.Answer
}

const (
	waiting int32 = iota
	running
	left
)

// keys lists the keys that the call needs for itself.
func (c *call) keys() []string {
	switch {
	case c.adjust != nil:
		return []string{c.adjust.Key}
	case c.items == nil:
		return []string{c.reset}
	}
	keys := make([]string, len(c.items))
	for i, item := range c.items {
		keys[i] = item.Key
	}
	return keys
}

// lane gathers calls while a transaction runs. Its goroutine lives as long as there are calls.
type lane struct {
	run func([]*call)

	mu    sync.Mutex
	queue []*call
	busy  bool
}

// do returns when the call was committed or its context ended. Only a call that had begun may then happen.
func (l *lane) do(c *call) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	c.done = make(chan struct{})
	l.mu.Lock()
	l.queue = append(l.queue, c)
	if !l.busy {
		l.busy = true
		go l.work()
	}
	l.mu.Unlock()
	select {
	case <-c.done:
		c.answers = c.decided
		return c.err
	case <-c.ctx.Done():
		c.state.CompareAndSwap(waiting, left)
		return c.ctx.Err()
	}
}

func (l *lane) work() {
	for {
		batch := l.take()
		if batch == nil {
			return
		}
		l.run(batch)
		for _, c := range batch {
			close(c.done)
		}
	}
}

func (l *lane) take() []*call {
	l.mu.Lock()
	defer l.mu.Unlock()
	var batch []*call
	n := 0
	for ; n < len(l.queue) && len(batch) < maxBatch; n++ {
		if c := l.queue[n]; c.state.CompareAndSwap(waiting, running) {
			batch = append(batch, c)
		}
	}
	rest := copy(l.queue, l.queue[n:])
	clear(l.queue[rest:])
	l.queue = l.queue[:rest]
	l.busy = batch != nil
	return batch
}
