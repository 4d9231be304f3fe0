package router

import (
	"bufio"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"vibesdk-gcp/platform/deployment"
)

// upstreams keeps connections to upstreams between requests.
type upstreams struct {
	local, services *net.Dialer

	mu     sync.Mutex
	idle   map[upstreamKey][]*upstreamConn
	slots  map[*slot]struct{}
	closed bool
}

// slot is where a client's connection leaves its upstream for its next request: it finds it there without a lock that others wait for. What
// is not used again soon goes to the list, and whoever finds none in the list looks into the slots of others before it dials.
type slot struct {
	up atomic.Pointer[upstreamConn]
}

// upstreamKey is where a connection leads. The target counts: it decides which addresses are allowed.
type upstreamKey struct {
	target  deployment.Target
	address string
}

// upstreamConn is a connection to an upstream, with nothing under way when it is kept.
type upstreamConn struct {
	net.Conn
	key  upstreamKey
	in   *bufio.Reader
	kept time.Time // since when it is idle
	asking
}

const (
	upstreamBuffer = 8 << 10
	// keptPerPlace and keptFor are as those of the transport.
	keptPerPlace = 256
	keptFor      = 4 * time.Second
)

func newUpstreams(rt *Router) *upstreams {
	return &upstreams{local: newDialer(rt.localAddress), services: newDialer(rt.serviceAddress), idle: map[upstreamKey][]*upstreamConn{}, slots: map[*slot]struct{}{}}
}

// get returns a kept connection, the slot's if it leads there, or a new one.
func (u *upstreams) get(key upstreamKey, own *slot, fresh bool) (up *upstreamConn, reused bool, err error) {
	up = own.up.Swap(nil)
	if up != nil && (fresh || up.key != key) {
		u.put(up)
		up = nil
	}
	if up != nil {
		return up, true, nil
	}
	if !fresh {
		if up = u.take(key); up != nil {
			return up, true, nil
		}
	}
	dialer := u.services
	if key.target == deployment.TargetProcess {
		dialer = u.local
	}
	conn, err := dialer.DialContext(context.Background(), "tcp", key.address)
	if err != nil {
		return nil, false, err
	}
	return newUpstreamConn(conn, key), false, nil
}

func (u *upstreams) take(key upstreamKey) *upstreamConn {
	u.mu.Lock()
	defer u.mu.Unlock()
	list := u.idle[key]
	if len(list) == 0 {
		for s := range u.slots {
			if up := s.up.Load(); up != nil && up.key == key && s.up.CompareAndSwap(up, nil) {
				return up
			}
		}
		return nil
	}
	up := list[len(list)-1]
	list[len(list)-1] = nil
	u.idle[key] = list[:len(list)-1]
	return up
}

// know makes a slot one that others look into, until forget.
func (u *upstreams) know(s *slot) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.slots[s] = struct{}{}
}

func (u *upstreams) forget(s *slot) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.slots, s)
	u.empty(s)
}

// settle moves what is in a slot to the list.
func (u *upstreams) settle(s *slot) {
	if s.up.Load() == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.empty(s)
}

// empty does so within the lock: at no time does whoever has it miss the connection.
func (u *upstreams) empty(s *slot) {
	if up := s.up.Swap(nil); up != nil {
		u.keep(up)
	}
}

// put keeps a connection whose answer was read to its end.
func (u *upstreams) put(up *upstreamConn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.keep(up)
}

func (u *upstreams) keep(up *upstreamConn) {
	if u.closed || len(u.idle[up.key]) >= keptPerPlace {
		_ = up.Close()
		return
	}
	u.idle[up.key] = append(u.idle[up.key], up)
}

// expire closes what was not used for long. The oldest are first in each list, but for the time in a slot.
func (u *upstreams) expire(now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for key, list := range u.idle {
		n := 0
		for n < len(list) && now.Sub(list[n].kept) >= keptFor {
			_ = list[n].Close()
			n++
		}
		switch {
		case n == len(list):
			delete(u.idle, key)
		case n > 0:
			u.idle[key] = append(list[:0:0], list[n:]...)
		}
	}
}

func (u *upstreams) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for _, list := range u.idle {
		for _, up := range list {
			_ = up.Close()
		}
	}
	clear(u.idle)
}

func newUpstreamConn(conn net.Conn, key upstreamKey) *upstreamConn {
	up := &upstreamConn{Conn: conn, key: key}
	up.in = bufio.NewReaderSize(up, upstreamBuffer)
	up.asking.init(conn)
	return up
}
