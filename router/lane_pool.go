//go:build linux

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
	*pollConn
	key  upstreamKey
	in   *bufio.Reader
	rest []byte    // was read for in already
	kept time.Time // since when it is idle
}

const (
	upstreamBuffer = 8 << 10
	// keptPerPlace and keptAtMost are as those of the transport.
	keptPerPlace = 256
	keptAtMost   = 4 * time.Second
)

func newUpstreams(rt *Router) *upstreams {
	return &upstreams{local: newDialer(rt.localAddress), services: newDialer(rt.serviceAddress), idle: map[upstreamKey][]*upstreamConn{}, slots: map[*slot]struct{}{}}
}

// get returns a kept connection, or a new one, for a client's connection. A fresh one is new.
func (u *upstreams) get(key upstreamKey, c *laneConn, fresh bool) (up *upstreamConn, reused bool, err error) {
	if !fresh {
		if up = u.keptFor(key, &c.own); up != nil {
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
	polled, err := c.conn.poller.adopt(conn)
	if err != nil {
		return nil, false, err
	}
	if err := polled.watch(); err != nil {
		_ = polled.Close()
		return nil, false, err
	}
	return newUpstreamConn(polled, key), false, nil
}

// keptFor returns a kept connection, the slot's if it leads there; nil: there is none.
func (u *upstreams) keptFor(key upstreamKey, own *slot) *upstreamConn {
	if up := own.up.Swap(nil); up != nil {
		if up.key == key {
			return up
		}
		u.put(up)
	}
	return u.take(key)
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
		for n < len(list) && now.Sub(list[n].kept) >= keptAtMost {
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

func newUpstreamConn(conn *pollConn, key upstreamKey) *upstreamConn {
	up := &upstreamConn{pollConn: conn, key: key}
	up.in = bufio.NewReaderSize(up, upstreamBuffer)
	return up
}

// ask sends a request. On a connection that was kept it returns errStale when that is not idle, and sends nothing.
func (up *upstreamConn) ask(request []byte, reused bool) error {
	if reused && !up.quiet() {
		return errStale
	}
	_, err := up.Write(request)
	return err
}

// Read implements io.Reader.
func (up *upstreamConn) Read(p []byte) (int, error) {
	if len(up.rest) > 0 {
		n := copy(p, up.rest)
		up.rest = up.rest[n:]
		return n, nil
	}
	return up.pollConn.Read(p)
}
