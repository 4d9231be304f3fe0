package router

import (
	"sync"
	"sync/atomic"
	"testing"
)

// TestBusyHoldsItsLimit: never are there more than the limit, whoever remembers which seats, and nothing is left when all have gone.
func TestBusyHoldsItsLimit(t *testing.T) {
	t.Parallel()
	const most = 3
	b := &busy{most: most}
	keys := []busyKey{{appSite, "one"}, {previewSite, "one"}, {appSite, "two"}}
	inside := make([]atomic.Int64, len(keys))
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			var last *seats
			for n := range 3000 {
				k := (i + n/100) % len(keys)
				s, ok := b.enter(keys[k], last)
				if !ok {
					continue
				}
				if in := inside[k].Add(1); in > most {
					t.Errorf("%d are in %v", in, keys[k])
				}
				admitted.Add(1)
				last = s
				inside[k].Add(-1)
				b.leave(s)
			}
		})
	}
	wg.Wait()
	if admitted.Load() == 0 {
		t.Error("nobody was admitted")
	}
	b.n.Range(func(key, _ any) bool {
		t.Errorf("%v is left behind", key)
		return true
	})
}

func TestBusyRefusesTheNext(t *testing.T) {
	t.Parallel()
	b := &busy{most: 2}
	key := busyKey{appSite, "shop"}
	first, _ := b.enter(key, nil)
	second, ok := b.enter(key, first)
	if !ok || second != first {
		t.Fatal("the second is refused, or has other seats")
	}
	if _, ok := b.enter(key, nil); ok {
		t.Error("a third is admitted")
	}
	if s, ok := b.enter(busyKey{previewSite, "shop"}, first); !ok || s == first {
		t.Error("a sandbox of the same name has not seats of its own")
	}
	b.leave(second)
	if _, ok := b.enter(key, nil); !ok {
		t.Error("the seat that became free is refused")
	}
	b.leave(first)
	b.leave(first)
	if s, ok := b.enter(key, first); !ok || s == first {
		t.Error("seats that are gone are taken again")
	}
}
