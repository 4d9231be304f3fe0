package session

import (
	"container/list"
	"sync"
)

// cache keeps the records used last, up to a number of bytes. Its records may be older than what is stored: they serve as
// the base of a commit, which compares, and as what a load knows already.
type cache struct {
	limit int64

	mu      sync.Mutex
	used    int64
	records map[string]*list.Element // of *Record
	recent  list.List                // the most recent first
}

func newCache(limit int64) *cache { return &cache{limit: limit, records: map[string]*list.Element{}} }

func (c *cache) get(id string) *Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.records[id]
	if !ok {
		return nil
	}
	c.recent.MoveToFront(e)
	return e.Value.(*Record)
}

// put keeps r, which was made or read when the cache had known. A newer one that came in between stays.
func (c *cache) put(known, r *Record) {
	size := weight(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.records[r.ID]; ok {
		now := e.Value.(*Record)
		if now == r || now != known && now.Commit > r.Commit {
			return
		}
		c.remove(e)
	}
	if size > c.limit {
		return
	}
	c.records[r.ID] = c.recent.PushFront(r)
	c.used += size
	for c.used > c.limit {
		c.remove(c.recent.Back())
	}
}

func (c *cache) drop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.records[id]; ok {
		c.remove(e)
	}
}

func (c *cache) remove(e *list.Element) {
	r := c.recent.Remove(e).(*Record)
	delete(c.records, r.ID)
	c.used -= weight(r)
}

// weight is about how many bytes of memory a record takes.
func weight(r *Record) int64 {
	const structs = 1 << 10
	return int64(r.Size()+len(r.Ring.body)) + structs
}
