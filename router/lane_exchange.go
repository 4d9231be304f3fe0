//go:build linux

package router

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

var errUpstreamLate = errors.New("the upstream did not answer in time")

// errClient is a client that takes no more, and errStale a kept connection that was closed meanwhile, or on which the upstream said something
// that nobody asked for: it would be taken for the answer. Nothing was sent on it.
var (
	errClient = errors.New("the client left")
	errStale  = errors.New("the connection to the upstream is not idle")
)

// laneExchange is a request under way. Its fields say how far it is, so that a goroutine can go on where the poller stopped.
type laneExchange struct {
	c       *laneConn
	rt      *Router
	route   laneRoute
	pulse   *pulse
	begun   bool // there is one
	touched bool // its activity is told

	up       *upstreamConn // nil: to be found
	reused   bool          // it had another request before
	asked    bool          // the request is sent
	silent   bool          // the upstream said nothing at all
	headed   bool          // the head of the answer is written, or in the connection's out
	left     int64         // of the body after that
	written  bool          // the client has a part of the answer
	reusable bool
	kept     bool // the connection to the upstream is kept already

	since   time.Time // when it began; zero: it is not measured
	counted bool      // in the metrics
}

// begin makes x the request that was parsed, unless the lane cannot answer it, or cannot before ctx ends.
func (x *laneExchange) begin(c *laneConn, ctx context.Context) bool { //nolint:revive // ctx is about one of the things that it does
	route, ok := c.route(ctx)
	if !ok {
		return false
	}
	rt := c.lane.rt
	seats, ok := rt.busy.enter(busyKey{route.kind, route.name}, c.seats)
	if !ok {
		return false // whoever refuses is net/http, or there is room by then
	}
	c.seats = seats
	*x = laneExchange{c: c, rt: rt, route: route, begun: true}
	if c.answers++; c.answers%measureEvery == 1 {
		x.since = time.Now() // the lane's own clock is too coarse for this
	}
	if route.kind == previewSite && rt.activity != nil {
		x.pulse = &c.pulse
		x.pulse.begin(rt, route.name)
	}
	c.enter(phaseWait)
	return true
}

// answered counts the answer by its status, once.
func (x *laneExchange) answered(status int) {
	if !x.counted {
		x.counted = true
		x.rt.metrics.answered(x.route.kind, status, x.since)
	}
}

// end is the end of it, whatever became of it.
func (x *laneExchange) end() {
	x.begun = false
	x.rt.busy.leave(x.c.seats)
}

// exchange answers the request that was parsed, or what is left of it.
func (c *laneConn) exchange() verdict {
	x := &c.x
	if !x.begun && !x.begin(c, context.Background()) {
		return handOn
	}
	defer x.end()
	pulse := x.pulse
	for fresh := false; ; {
		if x.up == nil {
			up, reused, err := c.lane.pool.get(x.route.place.key, c, fresh)
			if err != nil {
				return handOn // net/http tries once more, and words what is wrong
			}
			c.mu.Lock()
			c.attach(up)
			c.mu.Unlock()
			x.up, x.reused, x.silent, x.asked = up, reused, true, false
			if !x.touched {
				pulse.touch()
				x.touched = true
			}
		}
		err := x.run()
		gone, late := c.detach()
		if !x.kept {
			_ = x.up.Close()
		}
		x.up = nil
		switch {
		case err == nil:
		case gone || errors.Is(err, errClient):
			pulse.touch()
			return hangUp
		case errors.Is(err, errStale) && !late:
			continue
		case x.silent && x.reused && !late:
			fresh = true // it was closed in the moment of asking
			continue
		case late:
			err = errUpstreamLate
			fallthrough
		default:
			pulse.touch()
			return x.fail(err)
		}
		pulse.touch()
		if c.req.close {
			return hangUp
		}
		return goOn
	}
}

func (x *laneExchange) run() error {
	c := x.c
	if x.headed {
		return x.relayRest(x.left)
	}
	if !x.asked {
		c.out = x.appendRequest(c.out[:0])
		if err := x.up.ask(c.out, x.reused); err != nil {
			return err
		}
		x.asked = true
	}
	for informational := 0; ; informational++ {
		if err := x.readHead(); err != nil {
			return err
		}
		if x.c.res.status >= 200 {
			break
		}
		if x.c.res.status == http.StatusSwitchingProtocols || informational == 10 {
			return errors.New("the upstream switches protocols unasked, or does not come to its answer")
		}
		if x.c.res.status != http.StatusContinue { // nobody waits to be told
			c.out = x.appendInformation(c.out[:0])
			if err := x.flush(); err != nil {
				return err
			}
			x.written = false // the answer itself can still be another
		}
	}
	x.answered(c.res.status)
	c.phase.Store(int32(phaseBody))
	if isEventStreamType(x.c.res.kind) {
		x.pulse = nil // server-sent events are the server's talk
		defer context.AfterFunc(x.rt.life, func() { c.cutUpstream(false) })()
	}
	c.out = x.appendHead(c.out[:0])
	return x.relay()
}

// release keeps the connection to an upstream that has said all, before the client hears the end: its next request finds it.
func (x *laneExchange) release() {
	x.c.mu.Lock()
	defer x.c.mu.Unlock()
	x.keep()
}

// keep is release with the connection's mu held.
func (x *laneExchange) keep() {
	c := x.c
	if x.reusable && !x.kept && !c.gone && !c.late && len(x.up.rest) == 0 && x.up.in.Buffered() == 0 {
		c.up, x.kept = nil, true
		x.up.kept = time.Unix(0, c.lane.now.Load())
		c.own.up.Store(x.up)
	}
}

// flush writes what is in out.
func (x *laneExchange) flush() error {
	c := x.c
	if len(c.out) == 0 {
		return nil
	}
	x.written = true
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	if cap(c.out) > relayBuffer+4<<10 {
		c.out = nil
	}
	if err != nil {
		return errClient
	}
	return nil
}

// readHead reads the head of an answer, or of something before it.
func (x *laneExchange) readHead() error {
	x.c.head = x.c.head[:0]
	for {
		line, err := x.up.in.ReadSlice('\n')
		x.silent = x.silent && len(line) == 0
		x.c.head = append(x.c.head, line...)
		if len(x.c.head) > maxUpstreamHeader {
			return errors.New("the head of the answer is too large")
		}
		if errors.Is(err, errBufferFull) {
			continue
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		if len(line) <= 2 && (string(line) == "\r\n" || string(line) == "\n") && len(x.c.head) > len(line) {
			return x.c.res.parse(x.c.head)
		}
	}
}

// appendRequest writes the request as the upstream gets it.
func (x *laneExchange) appendRequest(b []byte) []byte {
	q := &x.c.req
	if q.head {
		b = append(b, "HEAD "...)
	} else {
		b = append(b, "GET "...)
	}
	b = append(b, q.target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, x.route.place.host...)
	b = append(b, "\r\n"...)
	least := toApps
	if x.route.kind == previewSite {
		least = toPreviews
	}
	for _, f := range q.fields {
		if f.rule >= least && f.rule != toNobody {
			b = appendField(b, f.name, f.value)
		}
	}
	scheme := x.rt.scheme
	if scheme == "" {
		scheme = "http"
	}
	b = append(b, "X-Forwarded-Host: "...)
	b = append(b, q.host...)
	b = append(b, "\r\nX-Forwarded-Proto: "...)
	b = append(b, scheme...)
	if x.route.kind == previewSite {
		b = append(b, "\r\nX-Sandbox-Name: "...)
		b = append(b, x.route.name...)
		b = append(b, "\r\nX-Original-Url: "...)
		b = append(append(append(b, scheme...), "://"...), q.host...)
		b = append(b, q.target...)
	} else if x.c.client != "" {
		b = append(b, "\r\nX-Forwarded-For: "...)
		b = append(b, x.c.client...)
	}
	return append(b, "\r\n\r\n"...)
}

func appendField(b, name, value []byte) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// fail answers when the upstream did not, or breaks the connection off when it is too late for another answer.
func (x *laneExchange) fail(err error) verdict {
	step := "reach upstream"
	if x.written {
		step = "read response"
	}
	x.rt.logger.Warn("request not served", "step", step, x.route.kind.String(), x.route.name, "error", err)
	if x.written {
		return hangUp
	}
	x.answered(http.StatusInternalServerError)
	c, text := x.c, appErrorText
	b := c.out[:0]
	b = append(b, "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"+
		"Cache-Control: no-store\r\nDate: "...)
	b = time.Now().UTC().AppendFormat(b, http.TimeFormat)
	b = append(b, "\r\n"...)
	if x.route.kind == previewSite {
		text = routingErrorText
		b = x.appendMarks(b, "sandbox-error")
	}
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(text)), 10)
	b = append(b, "\r\nConnection: close\r\n\r\n"...)
	if !c.req.head {
		b = append(b, text...)
	}
	c.out = b
	_ = x.flush() // a client that left needs no answer
	return hangUp
}

// appendMarks writes what VibeSDK's web client reads off an answer.
func (x *laneExchange) appendMarks(b []byte, kind string) []byte {
	b = append(b, "X-Preview-Type: "...)
	b = append(b, kind...)
	b = append(b, "\r\nAccess-Control-Expose-Headers: X-Preview-Type\r\nVary: Origin\r\n"...)
	if origin := x.c.req.origin; len(origin) > 0 && x.rt.originAllowed(string(origin)) {
		b = append(b, "Access-Control-Allow-Origin: "...)
		b = append(b, origin...)
		b = append(b, "\r\n"...)
	}
	return b
}
