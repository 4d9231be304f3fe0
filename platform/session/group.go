package session

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
)

// call is one Apply.
type call struct {
	ctx context.Context
	// items are the mutations that are still to be decided. Only the group touches them after joining.
	items    []*item
	outcomes []Outcome
	err      error
	// done is closed when outcomes or err are final.
	done chan struct{}
	// pending is how many items have no outcome yet.
	pending int
}

// item is one mutation of a call.
type item struct {
	call  *call
	index int // of its outcome
	m     Mutation
	hash  uint64
	sum   uint32
	// tried are the commits that may have decided it, though nothing said so.
	tried []ringMark
	// tooLarge is set when the driver refused a commit with nothing but this mutation.
	tooLarge error
}

func newCall(ctx context.Context, ms []Mutation) *call {
	c := &call{ctx: ctx, outcomes: make([]Outcome, len(ms)), done: make(chan struct{})}
	all := make([]item, len(ms))
	c.items = make([]*item, 0, len(ms))
	for i, m := range ms {
		if err := checkID("mutation id", m.ID); err != nil {
			// A ring cannot remember it.
			c.outcomes[i] = Outcome{MutationID: m.ID, Code: RejectedInvalid, Err: err}
			continue
		}
		all[i] = item{call: c, index: i, m: m, hash: hashID(m.ID), sum: m.sum()}
		c.items = append(c.items, &all[i])
	}
	c.pending = len(c.items)
	return c
}

// group is the calls for one session. While there are any a goroutine of its own decides them, batch by batch, so that
// no caller's context ends the work of the others.
type group struct {
	store *Store
	id    string

	// The rest is guarded by Store.mu.
	queue []*call
	// batch are the calls with items in the present batch, and cancel ends its context.
	batch  []*call
	cancel context.CancelFunc
	// failure is why the driver could not be asked last.
	failure error
}

func (s *Store) join(id string, c *call) *group {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[id]
	if g == nil {
		g = &group{store: s, id: id}
		s.groups[id] = g
		go g.run()
	}
	g.queue = append(g.queue, c)
	return g
}

// leave takes a call whose context ended out of its group, and returns the error for its caller. A batch that nobody
// waits for any more is given up.
func (s *Store) leave(g *group, c *call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.queue = slices.DeleteFunc(g.queue, func(queued *call) bool { return queued == c })
	if i := slices.Index(g.batch, c); i >= 0 {
		g.batch = slices.Delete(g.batch, i, i+1)
		if len(g.batch) == 0 {
			g.cancel()
		}
	}
	if g.failure != nil {
		return fmt.Errorf("apply to session: %w; gave up: %w", g.failure, c.ctx.Err())
	}
	return fmt.Errorf("apply to session: %w", c.ctx.Err())
}

func (g *group) run() {
	for {
		ctx, items := g.take()
		if items == nil {
			return
		}
		if err := g.settle(ctx, items); err != nil {
			g.fail(items, err)
		}
		g.cancel()
	}
}

// take begins the next batch: the mutations that wait, in order, up to MaxBatch. When none wait the group ends.
func (g *group) take() (context.Context, []*item) {
	s := g.store
	s.mu.Lock()
	defer s.mu.Unlock()
	g.batch, g.failure = nil, nil
	var items []*item
	for len(g.queue) > 0 && len(items) < MaxBatch {
		c := g.queue[0]
		n := min(len(c.items), MaxBatch-len(items))
		items = append(items, c.items[:n]...)
		c.items = c.items[n:]
		g.batch = append(g.batch, c)
		if len(c.items) == 0 {
			g.queue = g.queue[1:]
		}
	}
	if len(items) == 0 {
		delete(s.groups, g.id)
		return nil, nil
	}
	// The first caller's values carry its trace.
	var ctx context.Context
	ctx, g.cancel = context.WithCancel(context.WithoutCancel(g.batch[0].ctx))
	return ctx, items
}

// settle decides a batch. An error is for all callers that have mutations in it and no outcome yet.
func (g *group) settle(ctx context.Context, items []*item) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("apply to session: panic: %v\n%s", p, debug.Stack())
		}
	}()
	return newBatch(g, items).settle(ctx)
}

// decided gives items their outcomes.
func (g *group) decided(ctx context.Context, items []*item, outcomes []Outcome) {
	complete := false
	for i, it := range items {
		c := it.call
		c.outcomes[it.index] = outcomes[i]
		g.store.metrics.outcome(ctx, outcomes[i])
		if c.pending--; c.pending == 0 {
			close(c.done)
			complete = true
		}
	}
	if !complete {
		return
	}
	s := g.store
	s.mu.Lock()
	defer s.mu.Unlock()
	// A batch with more to do must end when the last of those who still wait leaves.
	g.batch = slices.DeleteFunc(g.batch, func(c *call) bool { return c.pending == 0 })
}

// fail ends the calls of items with an error.
func (g *group) fail(items []*item, err error) {
	s := g.store
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range items {
		c := it.call
		if c.pending == 0 {
			continue
		}
		g.queue = slices.DeleteFunc(g.queue, func(queued *call) bool { return queued == c })
		c.outcomes, c.err, c.pending = nil, err, 0
		close(c.done)
	}
}

// failed notes why the driver could not be asked, for callers that leave.
func (g *group) failed(err error) {
	g.store.mu.Lock()
	defer g.store.mu.Unlock()
	g.failure = err
}
