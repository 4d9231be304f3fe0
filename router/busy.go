package router

import (
	"sync"
	"sync/atomic"
)

// busy counts the requests under way for each app and sandbox, so that one of them cannot take all of the router's connections. It takes no
// locks: whoever holds one that each request needs, and loses the processor, stops all others with it.
type busy struct {
	most int64
	n    sync.Map // busyKey → *seats
}

// busyKey is an app or a sandbox.
type busyKey struct {
	kind site
	name string
}

// seats are those of one app or sandbox.
type seats struct {
	key   busyKey
	taken atomic.Int64 // seatsGone: no longer those of busy
}

const seatsGone = -1

// enter reports whether there is room for one more; if so, leave must follow with the seats. Those of an earlier request may be given, or nil.
func (b *busy) enter(key busyKey, earlier *seats) (*seats, bool) {
	if earlier != nil && earlier.key == key {
		if room, gone := earlier.take(b.most); !gone {
			return earlier, room
		}
	}
	for {
		known, ok := b.n.Load(key)
		if !ok {
			known, _ = b.n.LoadOrStore(key, &seats{key: key})
		}
		s := known.(*seats)
		if room, gone := s.take(b.most); !gone {
			return s, room
		}
		b.n.CompareAndDelete(key, s) // as whoever left last is about to
	}
}

func (s *seats) take(most int64) (room, gone bool) {
	for {
		n := s.taken.Load()
		switch {
		case n == seatsGone:
			return false, true
		case n >= most:
			return false, false
		case s.taken.CompareAndSwap(n, n+1):
			return true, false
		}
	}
}

func (b *busy) leave(s *seats) {
	if s.taken.Add(-1) == 0 && s.taken.CompareAndSwap(0, seatsGone) {
		b.n.CompareAndDelete(s.key, s)
	}
}
