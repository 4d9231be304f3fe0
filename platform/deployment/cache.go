package deployment

import (
	"context"
	"errors"
	"sync"
	"time"
)

var errClosed = errors.New("deployment table is closed")

// cache remembers what load returned, found or not found, for a short time. Any number of callers that miss the same
// key at once cause one load. What is asked for in the last quarter of its time is loaded anew meanwhile, so that nobody waits for what is in use.
type cache[V any] struct {
	load          func(context.Context, string) (V, error)
	now           func() time.Time
	fresh, absent time.Duration
	timeout       time.Duration
	size          int

	life context.Context // ends with close
	end  context.CancelFunc

	mu      sync.Mutex
	entries map[string]entry[V]
	flights map[string]*flight[V]
	running sync.WaitGroup
}

type entry[V any] struct {
	value V
	err   error // nil or ErrNotFound
	until time.Time
	renew time.Time // from then on it is worth a load
}

type flight[V any] struct {
	done  chan struct{}
	value V
	err   error
}

func newCache[V any](o Options, load func(context.Context, string) (V, error)) *cache[V] {
	life, end := context.WithCancel(context.Background()) //nolint:gosec // G118: close calls it
	return &cache[V]{
		load: load, now: o.Now, fresh: o.Fresh, absent: o.Absent, timeout: o.LoadTimeout, size: o.Size,
		life: life, end: end, entries: map[string]entry[V]{}, flights: map[string]*flight[V]{},
	}
}

func (c *cache[V]) get(ctx context.Context, key string) (V, error) {
	f, e := c.entryOrFlight(key)
	if f == nil {
		return e.value, e.err
	}
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		var zero V
		return zero, ctx.Err()
	}
}

func (c *cache[V]) entryOrFlight(key string) (*flight[V], entry[V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life.Err() != nil {
		return nil, entry[V]{err: errClosed}
	}
	now := c.now()
	e, ok := c.entries[key]
	known := ok && now.Before(e.until)
	if known && now.Before(e.renew) {
		return nil, e
	}
	f := c.flights[key]
	if f == nil {
		f = &flight[V]{done: make(chan struct{})}
		c.flights[key] = f
		c.running.Go(func() { c.fly(key, f, now) })
	}
	if known {
		return nil, e
	}
	return f, entry[V]{}
}

// fly loads for everyone who waits, so it must not end with the one caller who happened to be first.
func (c *cache[V]) fly(key string, f *flight[V], started time.Time) {
	ctx, cancel := context.WithTimeout(c.life, c.timeout)
	defer cancel()
	f.value, f.err = c.load(ctx, key)
	if f.err != nil && c.life.Err() != nil {
		f.err = errClosed
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(f.done)
	if c.flights[key] != f {
		return // a write has overtaken this load: what it read may be old
	}
	delete(c.flights, key)
	// The age counts from before the read, or the promise about freshness would stretch by its duration.
	good := c.fresh
	switch {
	case errors.Is(f.err, ErrNotFound):
		good = c.absent
	case f.err != nil:
		return
	}
	c.store(key, entry[V]{f.value, f.err, started.Add(good), started.Add(good - good/4)})
}

// store makes room first. Entries live for a second, so which one goes hardly matters: a few arbitrary ones are
// looked at and the expired ones go, or else one that is not.
func (c *cache[V]) store(key string, e entry[V]) {
	if _, known := c.entries[key]; !known && len(c.entries) >= c.size {
		const looks = 16
		now, seen, victim := c.now(), 0, ""
		for k, old := range c.entries {
			victim = k
			if !now.Before(old.until) {
				delete(c.entries, k)
			}
			if seen++; seen == looks {
				break
			}
		}
		if len(c.entries) >= c.size {
			delete(c.entries, victim)
		}
	}
	c.entries[key] = e
}

// forget makes the next get load anew, even when a load is under way.
func (c *cache[V]) forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, key)
	delete(c.flights, key)
}

func (c *cache[V]) forgetAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
	clear(c.flights)
}

func (c *cache[V]) close() {
	c.mu.Lock() // after this no load begins, so Wait sees them all
	c.end()
	c.mu.Unlock()
	c.running.Wait()
}
