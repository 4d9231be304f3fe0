//go:build linux

package router

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"vibesdk-gcp/internal/httpserver"
)

// Lane is a listener with a fast lane, on Linux: of the connections that it accepts it answers plain requests itself, and hands a connection
// on to its own Accept, with all that was not answered, at the first request that is anything else. An http.Server on it with the Router as its
// handler behaves as one without a lane, at a third of the cost for a page's scripts and images.
//
// # What is plain
//
// GET and HEAD of HTTP/1.1 without a body, spelled in the strictest way there is, for a preview or a public app at one http endpoint. Everything
// that could be understood in two ways is not plain, and neither is whatever needs an answer of the router's own: refusals are
// made in one place. The lane's reading of a request is held against net/http's by a fuzz test.
//
// # How it answers
//
// A connection belongs to a poller. The poller reads the request, sends it on, and passes the answer on as it comes, without a goroutine of the
// connection: as long as nobody has to wait for anything but for bytes on a connection. There is one for each processor that Go code may run on
// (runtime.GOMAXPROCS) but one: pollers wait within system calls, and if all of those could be held by one that waits, the scheduler would take
// them away and look for other work all the time. So a program should set one more than the machine has.
//
// Whatever takes longer (a name or a route to look up, a connection to make, a client or an upstream that is slow) or is less usual (chunks,
// informational answers, events, whatever is wrong) a goroutine goes on with, from where it stands to the end of the request.
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

	pollers []*poller
	next    int // the poller of the next connection
	places  places

	scratches sync.Pool    // *scratch, for goroutines
	asides    atomic.Int64 // how often a goroutine had to go on
	now       atomic.Int64 // Unix nanoseconds, at most one sweep old

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
		scratches: sync.Pool{New: func() any { return &scratch{} }},
	}
	l.now.Store(time.Now().UnixNano())
	for range max(1, runtime.GOMAXPROCS(0)-1) {
		p, err := newPoller()
		if err != nil {
			rt.logger.Warn("connections have no fast lane", "error", err)
			break
		}
		l.pollers = append(l.pollers, p)
		l.loops.Go(p.run)
	}
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

// counted is a connection that a listener counts until leave is called. That of [httpserver.Limit] is one.
type counted interface {
	NetConn() net.Conn
	Leave()
}

func (l *Lane) begin(conn net.Conn) {
	if len(l.pollers) == 0 {
		go l.handOn(conn)
		return
	}
	leave := func() {}
	if c, ok := conn.(counted); ok {
		conn, leave = c.NetConn(), c.Leave
	}
	remote := conn.RemoteAddr()
	l.next = (l.next + 1) % len(l.pollers)
	polled, err := l.pollers[l.next].adopt(conn)
	if err != nil {
		l.rt.logger.Warn("connection not accepted", "error", err)
		leave()
		return
	}
	polled.leave = leave
	c := newLaneConn(l, polled, remote)
	if !l.enter(c) {
		_ = polled.Close()
		return
	}
	if err := polled.watch(); err != nil {
		l.rt.logger.Warn("connection not accepted", "error", err)
		c.cut()
	}
}

func (l *Lane) enter(c *laneConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return false
	}
	l.pool.know(&c.own)
	l.conns[c] = struct{}{}
	l.running.Add(1)
	return true
}

// left forgets a connection that is closed or handed on.
func (l *Lane) left(c *laneConn) {
	l.pool.forget(&c.own)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	l.running.Done()
}

// handOn gives a connection to Accept, and waits for that.
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
	defer func() {
		for _, p := range l.pollers {
			p.end()
		}
	}()
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
