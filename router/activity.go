package router

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// Activity hears when somebody uses a preview. Touch is called from many goroutines, at the start and the end of each
// request and at most once a second within it, and must not block. The instants of a [Lane] are up to 50 ms old, and
// the same one for the same sandbox is not told twice by one connection.
type Activity interface {
	Touch(sandboxID string, at time.Time)
}

// pulse is the activity of one request. A nil pulse is silent.
type pulse struct {
	sandboxID string
	to        Activity
	now       func() time.Time
	coarse    bool         // now stands still for a while
	last      atomic.Int64 // nanoseconds of the last touch
}

func newPulse(rt *Router, sandboxID string) *pulse {
	p := &pulse{now: rt.now}
	p.begin(rt, sandboxID)
	return p
}

// begin makes the pulse that of another request.
func (p *pulse) begin(rt *Router, sandboxID string) {
	if p.sandboxID != sandboxID {
		p.last.Store(0)
	}
	p.sandboxID, p.to = sandboxID, rt.activity
}

const pulseInterval = time.Second

// touch tells now.
func (p *pulse) touch() {
	if p == nil {
		return
	}
	now := p.now()
	if last := p.last.Swap(now.UnixNano()); p.coarse && last == now.UnixNano() {
		return
	}
	p.to.Touch(p.sandboxID, now)
}

// beat tells that bytes moved, unless it did so within the last second.
func (p *pulse) beat() {
	if p == nil {
		return
	}
	now := p.now()
	last := p.last.Load()
	if now.UnixNano()-last >= int64(pulseInterval) && p.last.CompareAndSwap(last, now.UnixNano()) {
		p.to.Touch(p.sandboxID, now)
	}
}

// upload is a request body on its way to the upstream. It remembers whether it was the client that broke it, or sent too much.
type upload struct {
	io.ReadCloser
	pulse         *pulse
	left          int64 // what may still come
	broken, large atomic.Bool
}

var errBodyTooLarge = errors.New("the request's body is too large")

func (u *upload) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if n > 0 {
		u.pulse.beat()
	}
	if u.left -= int64(n); u.left < 0 {
		u.large.Store(true)
		return 0, errBodyTooLarge
	}
	if err != nil && err != io.EOF {
		u.broken.Store(true)
	}
	return n, err
}

// download is a response body on its way to the client.
type download struct {
	io.ReadCloser
	pulse *pulse
	ctx   context.Context // the request's
	lost  func(error)     // hears of an upstream that ended in the middle
}

func (d *download) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	if n > 0 {
		d.pulse.beat()
	}
	if err != nil && err != io.EOF && d.ctx.Err() == nil {
		d.lost(err)
	}
	return n, err
}

// tunnel is the upstream's end of a WebSocket. What is written to it comes from the client and counts as
// activity; what is read comes from the server and does not, or a forgotten tab with a chatty server would keep
// its sandbox alive for ever.
type tunnel struct {
	io.ReadWriteCloser
	pulse *pulse
}

func (t *tunnel) Write(p []byte) (int, error) {
	t.pulse.beat()
	return t.ReadWriteCloser.Write(p)
}

// CloseWrite passes the client's end of stream on.
func (t *tunnel) CloseWrite() error {
	if c, ok := t.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return t.Close()
}

// follow puts the wrappers around what an upstream answered.
func (x *exchange) follow(res *http.Response) {
	if res.StatusCode == http.StatusSwitchingProtocols {
		if conn, ok := res.Body.(io.ReadWriteCloser); ok {
			res.Body = &tunnel{conn, x.pulse}
		}
		return
	}
	d := &download{ReadCloser: res.Body, pulse: x.pulse, ctx: x.ctx, lost: x.lost}
	if isEventStream(res.Header) {
		d.pulse = nil // server-sent events are the server's talk, as with a WebSocket
		x.endWithRouter()
	}
	res.Body = d
}
