package session

import (
	"fmt"
	"sync"
	"testing"
)

func sized(id string, commit int64, size int) *Record {
	return &Record{Head: Head{ID: id, Commit: commit}, Parts: map[PartName]Part{PartState: {Data: make([]byte, size)}}}
}

func TestCacheStaysWithinItsBound(t *testing.T) {
	t.Parallel()
	c := newCache(100 << 10)
	for i := range 100 {
		c.put(nil, sized(fmt.Sprint(i), 1, 9<<10))
		c.get("0") // wanted again and again
	}
	if c.used > c.limit || len(c.records) != 10 || c.recent.Len() != 10 {
		t.Errorf("%d records take %d of %d bytes", len(c.records), c.used, c.limit)
	}
	for id, want := range map[string]bool{"0": true, "99": true, "91": true, "90": false} {
		if got := c.get(id) != nil; got != want {
			t.Errorf("%s is kept: %v", id, got)
		}
	}
	c.put(nil, sized("large", 1, 100<<10))
	if c.get("large") != nil || c.get("0") == nil {
		t.Error("a record over the bound took the place of others")
	}
	// A record that grew over the bound must not leave its older self behind.
	grown := sized("0", 2, 100<<10)
	c.put(c.get("0"), grown)
	if c.get("0") != nil {
		t.Error("an old record was kept for one that is too large")
	}
	for id := range c.records {
		c.drop(id)
	}
	if c.used != 0 || c.recent.Len() != 0 {
		t.Errorf("an empty cache of %d bytes", c.used)
	}
	if none := newCache(-1); none.limit < 0 {
		none.put(nil, sized("x", 1, 0))
		if none.get("x") != nil {
			t.Error("a cache that is switched off keeps records")
		}
	}
}

func TestCacheKeepsTheNewer(t *testing.T) {
	t.Parallel()
	c := newCache(1 << 20)
	nine, eight, two := sized("s", 9, 1), sized("s", 8, 1), sized("s", 2, 1)
	c.put(nil, nine)
	c.put(nil, eight)
	if c.get("s") != nine {
		t.Error("a slow reader put an older record back")
	}
	c.put(nine, two)
	if c.get("s") != two {
		t.Error("a record that was begun again was taken for an older one")
	}
}

func TestCacheIsSafe(t *testing.T) {
	t.Parallel()
	c := newCache(20 << 10)
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			for i := range 500 {
				id := fmt.Sprint((i * (g + 1)) % 17)
				c.put(c.get(id), sized(id, int64(i), i))
				if i%5 == 0 {
					c.drop(id)
				}
			}
		})
	}
	group.Wait()
	if c.used < 0 || c.used > c.limit || len(c.records) != c.recent.Len() {
		t.Errorf("%d bytes, %d and %d records", c.used, len(c.records), c.recent.Len())
	}
}
