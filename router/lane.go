package router

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"vibesdk-gcp/internal/httpserver"
)

// Lane is a listener with a fast lane: of the connections that it accepts it answers plain requests itself, and hands a connection
// on to its own Accept, with all that was not answered, at the first request that is anything else. An http.Server on it with the Router as its
// handler behaves as one without a lane, at a third of the cost for a page's scripts and images.
//
// # What is plain
//
// GET and HEAD of HTTP/1.1 without a body, spelled in the strictest way there is, for a preview or a public app at one http endpoint. Everything
// that could be understood in two ways is not plain, and neither is whatever needs an answer of the router's own: refusals are
// made in one place. The lane's reading of a request is held against net/http's by a fuzz test.
//
// # Its upstreams
//
// Connections to them are the lane's own, with the same rules about addresses. A request that finds a kept connection closed is sent
// again on a new one; GET and HEAD may be.
type Lane struct {
	rt    *Router
	inner net.Listener
	out   chan net.Conn
	pool  *upstreams
	done  chan struct{}
	now   atomic.Int64 // Unix nanoseconds, at most one sweep old

	mu       sync.Mutex
	conns    map[*laneConn]struct{}
	err      error // of Accept, once done
	draining atomic.Bool
	running  sync.WaitGroup // connections
	loops    sync.WaitGroup
}

const (
	// sweepEvery is how often connections are looked at for what takes long.
	sweepEvery = 50 * time.Millisecond
	// watchAfter is how long an upstream may take before the lane begins to listen whether the client is still there.
	watchAfter = 100 * time.Millisecond
)

// Lane puts a fast lane before a listener. It begins to accept at once and ends with Close.
func (rt *Router) Lane(inner net.Listener) *Lane {
	l := &Lane{
		rt: rt, inner: inner, out: make(chan net.Conn), pool: newUpstreams(rt), done: make(chan struct{}), conns: map[*laneConn]struct{}{},
	}
	l.now.Store(time.Now().UnixNano())
	l.loops.Go(l.accept)
	l.loops.Go(l.sweep)
	return l
}

// time is that of the router's clock. Reading a real one for each request would cost more than its exactness is worth.
func (l *Lane) time() time.Time {
	if l.rt.coarse {
		return time.Unix(0, l.now.Load())
	}
	return l.rt.now()
}

// Accept returns the next connection that is not the lane's.
func (l *Lane) Accept() (net.Conn, error) {
	select {
	case conn := <-l.out:
		return conn, nil
	case <-l.done:
		l.mu.Lock()
		defer l.mu.Unlock()
		return nil, l.err
	}
}

// Addr is the inner listener's.
func (l *Lane) Addr() net.Addr { return l.inner.Addr() }

// Close accepts no more connections and closes idle ones. Requests under way go on, each to the end of its connection.
func (l *Lane) Close() error { return l.end(net.ErrClosed) }

// Shutdown is Close, and waits until the lane's requests are answered or ctx ends; then it cuts their connections and returns the
// error of ctx.
func (l *Lane) Shutdown(ctx context.Context) error {
	err := l.Close()
	over := make(chan struct{})
	go func() {
		l.running.Wait()
		l.loops.Wait()
		close(over)
	}()
	select {
	case <-over:
		return err
	case <-ctx.Done():
	}
	l.mu.Lock()
	for c := range l.conns {
		c.cut()
	}
	l.mu.Unlock()
	<-over
	return errors.Join(ctx.Err(), err)
}

func (l *Lane) end(why error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil
	}
	l.err = why
	l.draining.Store(true)
	close(l.done)
	for c := range l.conns {
		c.endIdle()
	}
	l.pool.close()
	return l.inner.Close()
}

func (l *Lane) accept() {
	pause := time.Duration(0)
	for {
		conn, err := l.inner.Accept()
		var later net.Error
		switch {
		case err == nil:
			pause = 0
			l.begin(conn)
			continue
		case errors.As(err, &later) && later.Temporary(): //nolint:staticcheck // as net/http does: out of file descriptors is an error of a moment
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(pause):
				continue
			case <-l.done:
			}
		}
		_ = l.end(err) // the error is Accept's
		return
	}
}

func (l *Lane) begin(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		_ = conn.Close()
		return
	}
	c := newLaneConn(l, conn)
	l.conns[c] = struct{}{}
	l.running.Go(c.serve)
}

func (l *Lane) left(c *laneConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// handOn gives a connection to Accept.
func (l *Lane) handOn(conn net.Conn) {
	select {
	case l.out <- conn:
	case <-l.done:
		_ = conn.Close()
	}
}

// sweep looks after time, so that no request has to set a deadline.
func (l *Lane) sweep() {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-l.done:
			if l.empty() { // a client can leave while the lane drains
				return
			}
			<-ticker.C
		case <-ticker.C:
		}
		now := time.Now()
		l.now.Store(now.UnixNano())
		l.pool.expire(now)
		l.mu.Lock()
		for c := range l.conns {
			c.look(now)
		}
		l.mu.Unlock()
	}
}

func (l *Lane) empty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns) == 0
}

// limits of a connection are those of the server around the router.
const (
	headerWithin = httpserver.ReadHeaderTimeout
	idleFor      = httpserver.IdleTimeout
)
