//go:build linux

package router

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"vibesdk-gcp/platform/deployment"
)

// phase is what a connection of the lane is waiting for.
type phase int32

const (
	phaseIdle   phase = iota // the first byte of a request
	phaseHeader              // the rest of its head
	phaseWait                // the upstream's head
	phaseBody                // the end of its body
)

// Sizes of the buffer for requests. What has a larger head is not plain.
const (
	firstBuffer   = 4 << 10
	largestBuffer = 16 << 10
)

// laneConn is a connection of a client. Its poller serves it for as long as it is direct, with mu held, or else one goroutine; the sweep looks at
// it from outside.
type laneConn struct {
	lane *Lane
	conn *pollConn

	buf  []byte // buf[r:w] is read and not answered yet
	r, w int
	req  laneRequest
	out  []byte // scratch for what is written
	head []byte // of the answer
	res  laneResponse
	x    laneExchange // the request under way

	client string // its address without the port
	site   laneSite
	last   deployment.Place
	place  *lanePlace // of last
	pulse  pulse      // of the request under way
	seats  *seats     // of the last one
	own    slot
	// answers is how many requests were routed.
	answers uint

	phase atomic.Int32
	since atomic.Int64 // when the phase began, by the lane's clock

	mu      sync.Mutex
	direct  bool          // the poller serves it
	stirred bool          // there may be something to read from the client
	over    bool          // nothing more is to be answered
	up      *upstreamConn // the upstream of the request under way
	watcher chan struct{} // closed when nobody reads from the client any more; nil: nobody does
	gone    bool          // the client left
	late    bool          // the upstream took too long
}

func newLaneConn(l *Lane, conn *pollConn, remote net.Addr) *laneConn {
	c := &laneConn{lane: l, conn: conn, buf: make([]byte, firstBuffer), direct: true}
	if host, _, err := net.SplitHostPort(remote.String()); err == nil {
		c.client = host
	}
	c.pulse.now, c.pulse.coarse = l.time, l.rt.coarse
	c.enter(phaseIdle)
	conn.owner.Store(c)
	return c
}

func (c *laneConn) enter(p phase) {
	c.since.Store(c.lane.now.Load())
	c.phase.Store(int32(p))
}

// what to do with a connection next.
type verdict int

const (
	goOn   verdict = iota
	handOn         // to net/http
	hangUp
)

// serve goes on where the poller stopped, until that can take over again.
func (c *laneConn) serve() {
	for !c.ended() {
		next := goOn
		if !c.x.begun {
			next = c.read()
		}
		if next == goOn {
			next = c.exchange()
		}
		switch {
		case next == handOn:
			c.handOn()
			return
		case next == hangUp || c.lane.draining.Load():
			c.hangUp()
			return
		}
		c.answered()
		if c.r == c.w {
			c.goDirect()
			return
		}
	}
	c.hangUp()
}

func (c *laneConn) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

func (c *laneConn) hangUp() {
	_ = c.conn.Close()
	c.lane.left(c)
}

func (c *laneConn) handOn() {
	conn, err := c.conn.release()
	if err != nil { // it was cut
		c.lane.left(c)
		return
	}
	c.lane.left(c)
	c.lane.handOn(&handedConn{Conn: conn, rest: c.buf[c.r:c.w], leave: sync.OnceFunc(c.conn.leave)})
}

// answered makes the connection ready for its next request.
func (c *laneConn) answered() {
	c.r += c.req.size
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
	c.enter(phaseIdle)
}

// read reads until there is a whole head in the buffer.
func (c *laneConn) read() verdict {
	for {
		if c.r < c.w {
			switch c.req.parse(c.buf[c.r:c.w]) {
			case parsedPlain:
				return goOn
			case parsedOther:
				return handOn
			case parsedPart:
				if !c.awaitRest() {
					return handOn
				}
			}
		}
		if c.lane.draining.Load() && c.r == c.w {
			return hangUp
		}
		n, err := c.conn.Read(c.buf[c.w:])
		c.w += n
		switch {
		case n > 0 || err == nil:
		case errors.Is(err, io.EOF) && c.w > c.r:
			return handOn // whoever stops within a head gets the answer that net/http has for it
		default:
			return hangUp
		}
	}
}

// awaitRest makes room for the rest of a head, and reports whether there is.
func (c *laneConn) awaitRest() bool {
	if c.phase.Load() == int32(phaseIdle) {
		c.enter(phaseHeader)
	}
	switch {
	case c.w < len(c.buf):
	case c.r > 0:
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	case len(c.buf) < largestBuffer:
		larger := make([]byte, 2*len(c.buf))
		c.w = copy(larger, c.buf[:c.w])
		c.buf = larger
	default:
		return false
	}
	return true
}

// look does what time asks for.
func (c *laneConn) look(now time.Time) {
	passed := time.Duration(now.UnixNano() - c.since.Load())
	switch phase(c.phase.Load()) {
	case phaseIdle:
		if passed > idleFor {
			c.endIdle()
		}
		if passed >= sweepEvery {
			c.lane.pool.settle(&c.own)
		}
	case phaseHeader:
		c.stepAside(phaseHeader)
		if passed > headerWithin {
			c.conn.stopReading()
		}
	case phaseWait:
		if passed > c.lane.rt.headerTimeout {
			c.cutUpstream(true)
		}
		fallthrough
	case phaseBody:
		if passed > watchAfter {
			c.stepAside(phaseWait, phaseBody)
			c.watch()
		}
	}
}

// watch begins to read from the client, to hear when it leaves. What it sends meanwhile is the next request.
func (c *laneConn) watch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.direct || c.up == nil || c.watcher != nil || c.gone || c.w == len(c.buf) {
		return
	}
	over := make(chan struct{})
	c.watcher = over
	go func() {
		defer close(over)
		for c.w < len(c.buf) {
			n, err := c.conn.Read(c.buf[c.w:])
			c.w += n
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
			if err != nil {
				c.cutUpstream(false)
				return
			}
		}
	}()
}

// cutUpstream ends the request under way: the client left, or the upstream is too late.
func (c *laneConn) cutUpstream(late bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.up != nil {
		c.late, c.gone = c.late || late, c.gone || !late
		_ = c.up.Close()
	}
	if c.direct {
		c.aside()
	}
}

// attach makes up the upstream of the request under way. mu is held.
func (c *laneConn) attach(up *upstreamConn) {
	up.owner.Store(c)
	c.up = up
}

// detach ends that, and the reading from the client; then the buffer is the caller's again.
func (c *laneConn) detach() (gone, late bool) {
	c.mu.Lock()
	gone, late = c.gone, c.late
	watcher := c.watcher
	c.up, c.watcher, c.late = nil, nil, false
	c.mu.Unlock()
	if watcher != nil {
		c.conn.stopReading()
		<-watcher
		c.conn.mayRead()
	}
	return gone, late
}

// endIdle ends a connection on which no request has begun.
func (c *laneConn) endIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase.Load() != int32(phaseIdle) {
		return
	}
	if c.direct {
		c.over = true
		c.aside()
		return
	}
	c.conn.stopReading()
}

// cut ends the connection, whatever it does.
func (c *laneConn) cut() {
	c.cutUpstream(false)
	_ = c.conn.Close()
}

// handedConn is a connection of which some was read already.
type handedConn struct {
	net.Conn
	rest  []byte
	leave func()
}

// Read implements net.Conn.
func (h *handedConn) Read(p []byte) (int, error) {
	if len(h.rest) > 0 {
		n := copy(p, h.rest)
		h.rest = h.rest[n:]
		return n, nil
	}
	return h.Conn.Read(p)
}

// CloseWrite ends what is written, as the end of a WebSocket does.
func (h *handedConn) CloseWrite() error {
	if c, ok := h.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return h.Close()
}

// Close implements net.Conn.
func (h *handedConn) Close() error {
	defer h.leave()
	return h.Conn.Close()
}

// SyscallConn implements syscall.Conn, so that a writer can find out whether the client takes more.
func (h *handedConn) SyscallConn() (syscall.RawConn, error) {
	if own, ok := h.Conn.(syscall.Conn); ok {
		return own.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// endedContext is one for looking up what is remembered: whatever would have to wait gives up at once.
var endedContext = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()
