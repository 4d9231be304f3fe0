package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// agentHub holds the connections of all agents of this process. Each session that has any is watched once.
type agentHub struct {
	g *Gateway

	// open ends when the server stops, and with it whoever still waits to join.
	open context.Context //nolint:containedctx // that of all who join
	shut context.CancelFunc

	mu       sync.Mutex
	sessions map[string]*agentSession
	// proxied counts the connections of a session that the agent host serves. They are in sockets as well.
	proxied map[string]int
	sockets int
	done    sync.WaitGroup // one for each connection
}

func newAgentHub(g *Gateway) *agentHub {
	h := &agentHub{g: g, sessions: map[string]*agentSession{}, proxied: map[string]int{}}
	h.open, h.shut = context.WithCancel(context.Background())
	return h
}

// closed reports whether nobody joins any more. With the lock held it stays as it is.
func (h *agentHub) closed() bool { return h.open.Err() != nil }

var (
	errTooMany = errors.New("too many connections")
	// errRestarts is told to clients who come, or are, when the server stops. They come again.
	errRestarts = &refusedError{hostClose: hostClose{websocket.StatusServiceRestart, "the server restarts"}}
	errUnread   = errors.New("the session was not read in time")
)

// join adds a connection to the session and queues what it is told first. greet is called before, and may refuse. It ends when the
// server stops, and after the time of an outcome when the session cannot be read.
func (h *agentHub) join(ctx context.Context, id string, c *agentConn, greet func(context.Context, *agentSession) error) (*agentSession, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.open, cancel)()
	s, err := h.enter(ctx, id)
	if err != nil {
		return nil, err
	}
	if err = s.await(ctx); err == nil {
		err = greet(ctx, s)
	}
	if err == nil || h.closed() {
		err = h.add(s, c)
	}
	if err != nil {
		h.leave(s, c)
		return nil, err
	}
	return s, nil
}

// enter counts a connection, and begins to watch a session that has no other. [agentHub.leave] is the end.
func (h *agentHub) enter(ctx context.Context, id string) (*agentSession, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.sessions[id]
	switch {
	case h.closed():
		return nil, errRestarts
	case h.sockets >= h.g.Agents.MaxSockets || s != nil && s.conns >= h.g.Agents.MaxSessionSockets:
		return nil, errTooMany
	case s == nil:
		watch, cancel := context.WithCancel(context.WithoutCancel(ctx))
		s = &agentSession{
			id: id, hub: h, cancel: cancel, ready: make(chan struct{}),
			members: map[*agentConn]struct{}{}, pending: map[uint64]*agentMutation{},
		}
		h.sessions[id] = s
		go s.watch(watch)
	}
	s.conns++
	h.sockets++
	h.done.Add(1)
	return s, nil
}

// add makes a connection a member, which from then on is told everything.
func (h *agentHub) add(s *agentSession, c *agentConn) error {
	c.hold() // one write has all of it
	defer c.release()
	h.mu.Lock()
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.broken
	if h.closed() {
		err = errRestarts
	}
	if err == nil {
		s.members[c] = struct{}{} // before the hub's lock is given back: what closes the hub closes its members
	}
	h.mu.Unlock()
	if err != nil {
		return err
	}
	c.s = s
	s.clock++
	c.joined, c.toldState = s.clock, s.clock
	c.introduce(s.shown, s.mcp)
	return nil
}

// session is a session that has connections here, nil for another.
func (h *agentHub) session(id string) *agentSession {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sessions[id]
}

// reserve counts a connection of a session that the agent host serves. release must be called when it has ended.
func (h *agentHub) reserve(id string) (release func(), ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed() || h.sockets >= h.g.Agents.MaxSockets || h.proxied[id] >= h.g.Agents.MaxSessionSockets {
		return nil, false
	}
	h.sockets++
	h.proxied[id]++
	h.done.Add(1)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.sockets--
		if h.proxied[id]--; h.proxied[id] == 0 {
			delete(h.proxied, id)
		}
		h.done.Done()
	}, true
}

// leave ends what join began. The watch ends with the last connection.
func (h *agentHub) leave(s *agentSession, c *agentConn) {
	s.mu.Lock()
	delete(s.members, c)
	s.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	s.conns--
	h.sockets--
	if s.conns == 0 {
		s.cancel()
		h.forget(s)
	}
	h.done.Done()
}

// forget makes room for another watch of the same session, with the lock held. One that failed made room already.
func (h *agentHub) forget(s *agentSession) {
	if h.sessions[s.id] == s {
		delete(h.sessions, s.id)
	}
}

// close closes all connections as a server does that is coming back, and waits for them until the time is over.
func (h *agentHub) close(timeout time.Duration) {
	h.mu.Lock()
	h.shut()
	var all []*agentConn
	for _, s := range h.sessions {
		s.mu.Lock()
		for c := range s.members {
			all = append(all, c)
		}
		s.mu.Unlock()
	}
	h.mu.Unlock()
	for _, c := range all {
		go c.close(errRestarts.code, errRestarts.reason)
	}
	done := make(chan struct{})
	go func() { h.done.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(timeout):
		for _, c := range all {
			c.end() // the client had its time
			c.outbox.stop()
		}
		<-done
	}
}
