package router

import "sync"

// busy counts the requests under way for each app and sandbox, so that one of them cannot take all of the router's connections.
type busy struct {
	most int
	mu   sync.Mutex
	n    map[busyKey]int
}

// busyKey is an app or a sandbox.
type busyKey struct {
	kind site
	name string
}

// enter reports whether there is room for one more; if so, leave must follow.
func (b *busy) enter(key busyKey) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.n[key] >= b.most {
		return false
	}
	b.n[key]++
	return true
}

func (b *busy) leave(key busyKey) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.n[key]--; b.n[key] == 0 {
		delete(b.n, key)
	}
}
