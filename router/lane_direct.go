//go:build linux

package router

import (
	"bytes"
	"net/http"

	"golang.org/x/sys/unix"
)

// scratch is what serving a connection takes for the moment.
type scratch struct {
	in  [relayBuffer]byte
	out []byte
}

// largestDirect bounds the bodies that a poller passes on: others wait for it meanwhile.
const largestDirect = 256 << 10

// stir is called by the poller when there may be something to read. It reports false when that is a goroutine's to do.
func (c *laneConn) stir(conn *pollConn, s *scratch) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.direct {
		return false
	}
	client := conn == c.conn
	c.stirred = c.stirred || client
	if waiting := c.phase.Load() >= int32(phaseWait); waiting != client { // or else it can wait, or is not of the request under way
		c.advance(s)
	}
	return true
}

// goDirect gives the connection to its poller, with nothing under way.
func (c *laneConn) goDirect() {
	s := c.lane.scratches.Get().(*scratch)
	defer c.lane.scratches.Put(s)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.direct, c.stirred = true, true
	c.advance(s)
}

// stepAside leaves the connection to a goroutine if it is in one of these phases.
func (c *laneConn) stepAside(phases ...phase) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range phases {
		if c.direct && c.phase.Load() == int32(p) {
			c.aside()
		}
	}
}

// aside does so in any phase. mu is held.
func (c *laneConn) aside() {
	c.direct = false
	c.lane.asides.Add(1)
	go c.serve()
}

// advance does what can be done without waiting. mu is held.
func (c *laneConn) advance(s *scratch) {
	for c.direct {
		more := false
		switch phase(c.phase.Load()) {
		case phaseIdle, phaseHeader:
			more = c.advanceRequest(s)
		case phaseWait:
			more = c.advanceHead(s)
		case phaseBody:
			more = c.advanceBody(s)
		}
		if !more {
			return
		}
	}
}

// advanceRequest reads a request and sends it on. It reports whether there is more to do.
func (c *laneConn) advanceRequest(s *scratch) bool {
	if c.lane.draining.Load() && c.r == c.w {
		c.over = true
		c.aside()
		return false
	}
	if c.r < c.w {
		switch c.req.parse(c.buf[c.r:c.w]) {
		case parsedPlain:
			return c.ask(s)
		case parsedOther:
			c.aside()
			return false
		case parsedPart:
			if !c.awaitRest() {
				c.aside()
				return false
			}
		}
	}
	if !c.stirred {
		return false
	}
	n, err := c.conn.read(c.buf[c.w:])
	if err == unix.EAGAIN { //nolint:errorlint // a system call's own
		c.stirred = false
		return false
	}
	if err != nil || n == 0 {
		c.aside()
		return false
	}
	c.w += n
	c.stirred = c.w == len(c.buf) || c.conn.hungUp.Load() // or else it was all, and what comes later is an event
	return true
}

// ask sends the request that was parsed on.
func (c *laneConn) ask(s *scratch) bool {
	x := &c.x
	if !x.begin(c, endedContext) {
		c.aside()
		return false
	}
	for {
		up := c.lane.pool.keptFor(x.route.place.key, &c.own)
		if up == nil {
			break // a connection has to be made
		}
		if !up.quiet() {
			_ = up.Close()
			continue
		}
		c.attach(up)
		x.up, x.reused, x.silent = up, true, true
		s.out = x.appendRequest(s.out[:0])
		if _, err := up.write(s.out); err != nil {
			// Nothing was asked yet.
			_ = up.Close()
			c.up, x.up = nil, nil
			break
		}
		x.asked, x.touched = true, true
		x.pulse.touch()
		return false
	}
	c.aside()
	return false
}

// advanceHead reads an answer's head and sends it to the client, with what has come of its body.
func (c *laneConn) advanceHead(s *scratch) bool {
	buf := s.in[:]
	x, r := &c.x, &c.res
	n, err := x.up.read(buf)
	if err == unix.EAGAIN { //nolint:errorlint // a system call's own
		return false
	}
	size := 0
	if i := bytes.Index(buf[:n], []byte("\r\n\r\n")); err == nil && i > 0 && r.parse(buf[:i+4]) == nil && r.size == i+4 {
		size = r.size
	}
	bodyless := size > 0 && r.bodyless(c.req.head)
	x.left = r.length
	if bodyless {
		x.left = 0
	}
	if size == 0 || r.status < http.StatusOK || r.chunked && !bodyless || x.left < 0 || x.left > largestDirect || isEventStreamType(r.kind) {
		x.up.rest = append(x.up.rest[:0], buf[:n]...)
		c.aside()
		return false
	}
	x.answered(r.status)
	c.phase.Store(int32(phaseBody))
	body := buf[size:n]
	x.reusable = !r.old && !r.close && int64(len(body)) <= x.left
	body = body[:min(int64(len(body)), x.left)]
	s.out = append(x.appendHead(s.out[:0]), body...)
	return c.pass(s.out, len(body), n == len(buf))
}

// advanceBody passes on what has come of an answer's body.
func (c *laneConn) advanceBody(s *scratch) bool {
	buf := s.in[:]
	x := &c.x
	n, err := x.up.read(buf[:min(int64(len(buf)), x.left)])
	if err == unix.EAGAIN { //nolint:errorlint // a system call's own
		return false
	}
	if err != nil || n == 0 {
		c.aside()
		return false
	}
	return c.pass(buf[:n], n, n == len(buf))
}

// pass writes a part of an answer, of which body bytes are its body's. It reports whether there is more to do, for which more says that there may be
// more to read.
func (c *laneConn) pass(part []byte, body int, more bool) bool {
	x := &c.x
	x.headed = true
	x.left -= int64(body)
	if body > 0 {
		x.pulse.beat()
	}
	if x.left == 0 {
		x.keep()
	}
	x.written = true
	if n, err := c.conn.write(part); err != nil {
		c.out = append(c.out[:0], part[n:]...)
		c.aside()
		return false
	}
	if x.left > 0 {
		return more || x.up.hungUp.Load()
	}
	if !x.kept {
		_ = x.up.Close()
	}
	c.up, x.up = nil, nil
	x.pulse.touch()
	x.end()
	if c.req.close {
		c.over = true
		c.aside()
		return false
	}
	c.answered()
	return true
}
