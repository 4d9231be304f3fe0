package cloudrunfake

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// front is the URL of a service or an instance: an address of this machine that starts a container when a request comes
// and there is none, and stops one that is idle. There is at most one container.
type front struct {
	s        *Server
	listener net.Listener
	server   *http.Server

	mu        sync.Mutex
	container Container
	// public says that anybody may call.
	public bool
	// keep says that the container stays and is started again when it ends.
	keep     bool
	closed   bool
	paused   bool // it is not started again by itself
	now      *attempt
	requests int
	idle     *time.Timer
	starts   int
}

// attempt is one life of a container.
type attempt struct {
	port  int
	stop  context.CancelFunc
	ready chan struct{} // closed when it listens, or never will: err tells
	err   error
	ended chan struct{}
	// leaving says that it was told to end. The front's mu guards it.
	leaving bool
}

func newFront(s *Server, c Container, public, keep bool) (*front, error) {
	listener, err := (&net.ListenConfig{}).Listen(s.ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &front{s: s, listener: listener, container: c, public: public, keep: keep}
	f.server = &http.Server{Handler: f, ReadHeaderTimeout: 10 * time.Second}
	s.running.Go(func() {
		if err := f.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.o.Logger.Error("a front stopped serving", "resource", c.Resource, "error", err)
		}
	})
	return f, nil
}

func (f *front) url() string { return "http://" + f.listener.Addr().String() }

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	public := f.enter()
	defer f.leave()
	if !public {
		http.Error(w, "Error: Forbidden. Your client does not have permission to get URL from this server.", http.StatusForbidden)
		return
	}
	a := f.start()
	for f.leaving(a) { // the next one takes it
		select {
		case <-a.ended:
		case <-r.Context().Done():
			return
		}
		a = f.start()
	}
	select {
	case <-a.ready:
	case <-r.Context().Done():
		return
	}
	if a.err != nil {
		http.Error(w, "Service Unavailable", http.StatusServiceUnavailable)
		return
	}
	target := &url.URL{Scheme: "http", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(a.port))}
	proxy := httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.SetXForwarded()
			p.Out.Host = r.Host
		},
		FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, "upstream connect error", http.StatusBadGateway)
		},
	}
	proxy.ServeHTTP(w, r)
}

// leaving reports a container that was told to end and will be followed by another one.
func (f *front) leaving(a *attempt) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return a.leaving && !f.closed
}

// enter counts a request and reports whether anybody may make one. leave is its end.
func (f *front) enter() (public bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	if f.idle != nil {
		f.idle.Stop()
	}
	return f.public
}

func (f *front) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests--
	f.rest()
}

// rest stops an idle container in a while. The caller holds mu.
func (f *front) rest() {
	if f.requests > 0 || f.keep || f.closed {
		return
	}
	f.idle = time.AfterFunc(f.s.o.IdleAfter, func() {
		f.mu.Lock()
		a := f.now
		idle := f.requests == 0
		if idle && a != nil {
			a.leaving = true
		}
		f.mu.Unlock()
		if idle && a != nil {
			a.stop()
		}
	})
}

// start returns the container's present life, a new one if there is none.
func (f *front) start() *attempt {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now != nil {
		return f.now
	}
	ctx, stop := context.WithCancel(f.s.ctx)
	a := &attempt{stop: stop, ready: make(chan struct{}), ended: make(chan struct{})}
	if f.closed {
		stop()
		a.err = errors.New("the service was deleted")
		close(a.ready)
		close(a.ended)
		return a
	}
	f.now, f.paused = a, false
	f.starts++
	f.s.running.Go(func() { f.live(ctx, a) })
	return a
}

// live runs the container until it ends.
func (f *front) live(ctx context.Context, a *attempt) {
	defer a.stop()
	began := time.Now()
	f.mu.Lock()
	c := f.container
	f.mu.Unlock()
	c.Env = maps.Clone(c.Env)
	var err error
	if a.port, err = freePort(ctx); err == nil {
		c.Env["PORT"] = strconv.Itoa(a.port)
		listening, cancel := context.WithTimeout(ctx, f.s.o.StartTimeout)
		go func() {
			defer cancel()
			a.err = f.await(listening, a.port)
			close(a.ready)
		}()
		var code int
		code, err = f.s.run(ctx, c)
		cancel()
		<-a.ready
		if err == nil {
			err = fmt.Errorf("container called exit(%d)", code)
		}
	} else {
		a.err = err
		close(a.ready)
	}
	f.s.o.Logger.Debug("an instance ended", "resource", c.Resource, "reason", err)
	f.mu.Lock()
	f.now = nil
	again := f.keep && !f.closed && !f.paused && a.err == nil && f.s.ctx.Err() == nil
	f.mu.Unlock()
	close(a.ended)
	if again { // not faster than once in a while
		f.s.later(max(0, 100*time.Millisecond-time.Since(began)), func() { f.start() })
	}
}

// await returns nil when something listens on the port.
func (f *front) await(ctx context.Context, port int) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			conn.Close()
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("the user-provided container failed to start and listen on the port defined provided by the PORT environment variable within the allocated timeout")
		}
	}
}

// end stops the container and returns when it is gone.
func (f *front) end() {
	f.mu.Lock()
	f.closed = true
	if f.idle != nil {
		f.idle.Stop()
	}
	a := f.now
	f.mu.Unlock()
	if a != nil {
		a.stop()
		<-a.ended
	}
	f.close()
}

// kill ends the container. It is started again as if it had ended by itself, unless that shall pause.
func (f *front) kill(pause bool) {
	f.mu.Lock()
	f.paused = pause
	a := f.now
	if a != nil {
		a.leaving = true
	}
	f.mu.Unlock()
	if a != nil {
		a.stop()
		<-a.ended
	}
}

// replace gives the next life another container.
func (f *front) replace(c Container, public, keep bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.container, f.public, f.keep = c, public, keep
}

// close stops listening.
func (f *front) close() { _ = f.server.Close() } // its connections end, whatever it says

// ports counts the ports that were looked at. Other processes that look for some begin elsewhere.
var ports = func() *atomic.Uint64 {
	var n atomic.Uint64
	n.Store(rand.Uint64N(1 << 32)) //nolint:gosec // any place to begin will do
	return &n
}()

// freePort returns a port on which nobody listens, below those that systems give to connections by themselves: one of them
// could be gone before the container has it. Ports are given in turn, so that no other container gets it meanwhile either.
func freePort(ctx context.Context) (int, error) {
	const from, count, attempts = 15_000, 15_000, 100
	var err error
	for range attempts {
		port := from + int(ports.Add(1)%count)
		var l net.Listener
		if l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, err
}
