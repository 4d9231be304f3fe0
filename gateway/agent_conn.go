package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// maxUndecided is how many mutations of one connection may wait for their outcome. Then nothing more is read from it.
const maxUndecided = 64

// agentConn is one connection of a client. An idle one costs one goroutine, which reads.
type agentConn struct {
	g   *Gateway
	ws  *websocket.Conn
	at  agentAddress
	key string // the connection id
	s   *agentSession
	// user is who came by VibeSDK's route, where frames are in VibeSDK's encoding; empty on /agents/…
	user string

	// Guarded by the session's lock: what its clock showed when the connection joined and was last told a state, and how many of
	// its mutations have no outcome.
	joined, toldState uint64
	undecided         int
	// settled has a token after one of them got its outcome.
	settled chan struct{}

	// cancel ends the reading and all calls.
	cancel context.CancelFunc
	// url is what the host is told of the address that the client came with, and quiet that the client gets no frames of the
	// protocol but results. Neither changes after the connection joined.
	url   string
	quiet bool
	// greeted sends what the host greets with, behind what the protocol begins with; nil for nothing.
	greeted func()
	calls   agentCalls

	mu      sync.Mutex
	waiting []outgoing
	bytes   int
	writing bool
	closing bool
	// room is closed when a part of what waits was sent; nil when nobody waits for that.
	room chan struct{}
	// readonly and data are the host's.
	readonly bool
	data     []byte
}

// outgoing is a message that waits to be sent, or the end of the connection behind those before it.
type outgoing struct {
	kind websocket.MessageType
	data []byte
	shut *hostClose
}

// connectAgent serves one client until it goes.
func (g *Gateway) connectAgent(w http.ResponseWriter, r *http.Request, at agentAddress, id, key string) {
	ws, err := g.accept(w, r)
	if err != nil {
		return // it has its answer
	}
	g.serveAgentConn(r, &agentConn{g: g, ws: ws, at: at, key: key}, id)
}

// serveAgentConn serves a connection that was accepted, until it ends.
func (g *Gateway) serveAgentConn(r *http.Request, c *agentConn, id string) {
	c.settled = make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	c.cancel, c.url = cancel, withoutSecrets(r.URL)
	s, err := g.hub.join(ctx, id, c, func(s *agentSession) error { return c.greet(ctx, s, r.Header) })
	if err != nil {
		c.turnAway(ctx, id, err)
		return
	}
	defer g.hub.leave(s, c)
	defer c.calls.running.Wait()
	defer cancel()
	defer c.ws.CloseNow() //nolint:errcheck // the connection is over, however it ended
	stop := c.keepAlive(ctx)
	defer stop()
	if c.greeted != nil {
		c.greeted()
	}
	for {
		message, isText, err := c.read(ctx)
		if err != nil {
			return
		}
		if isText {
			c.receive(ctx, message)
		} else {
			c.pass(ctx, HostCall{Binary: message})
		}
	}
}

// introduce queues what a client is told first.
func (c *agentConn) introduce(state, mcp []byte) {
	if c.quiet {
		return
	}
	if c.user != "" {
		c.introduceVibeSDK(state, mcp)
		return
	}
	c.queue(identityFrame(c.at.agent, c.at.name, state != nil))
	if state != nil {
		c.queue(stateFrame(state))
	}
	c.queue(mcp)
}

// turnAway closes a connection that did not join.
func (c *agentConn) turnAway(ctx context.Context, id string, err error) {
	shut := hostClose{websocket.StatusTryAgainLater, err.Error()}
	if refused, ok := errors.AsType[*refusedError](err); ok {
		shut = refused.hostClose
		if refused.frame != nil {
			_ = c.ws.Write(ctx, websocket.MessageText, refused.frame) // as below
		}
	} else if !errors.Is(err, errTooMany) {
		c.g.log.WarnContext(ctx, "session of an agent cannot be read", "session_id", id, "error", err)
		shut.reason = "the session cannot be read"
		if c.user != "" {
			_ = c.ws.Write(ctx, websocket.MessageText, vibeSDKErrorFrame("Failed to get agent instance: "+shut.reason)) // as below
			shut = hostClose{websocket.StatusInternalError, "Agent instance not found"}
		}
	}
	_ = c.ws.Close(shut.code, shut.reason) // a client that is gone needs no reason
}

// read returns the next message, and false for one that is not text. The client has been told when it fails.
func (c *agentConn) read(ctx context.Context) ([]byte, bool, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	kind, reader, err := c.ws.Reader(ctx)
	if err != nil {
		return nil, false, err
	}
	// A message that has begun must end: whoever sends a byte now and then would hold the memory of it for ever.
	late := time.AfterFunc(c.g.Agents.MessageTimeout, cancel)
	defer late.Stop()
	var message bytes.Buffer
	limit := int64(c.g.Agents.MaxMessage)
	n, err := message.ReadFrom(io.LimitReader(reader, limit+1))
	if err != nil {
		return nil, false, err
	}
	if n > limit {
		err := fmt.Errorf("Message is too large: more than %d bytes", limit) //nolint:staticcheck // as clients know it
		c.close(websocket.StatusMessageTooBig, err.Error())
		return nil, false, err
	}
	return message.Bytes(), kind == websocket.MessageText, nil
}

// queue appends a frame to what the client is sent. It never waits: a client that reads too slowly is closed, and learns all it
// missed when it connects again. Nobody may change the frame afterwards.
func (c *agentConn) queue(frame []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return
	}
	o := &c.g.Agents
	if len(c.waiting) >= o.QueueFrames || c.bytes > 0 && c.bytes+len(frame) > o.QueueBytes {
		c.closing = true
		c.waiting = nil
		c.g.log.Info("client of an agent reads too slowly and is closed", "session_id", c.s.id, "frames", o.QueueFrames, "bytes", o.QueueBytes)
		go c.close(websocket.StatusTryAgainLater, "the client reads too slowly")
		return
	}
	c.add(outgoing{kind: websocket.MessageText, data: frame})
}

// add appends a message, with the lock held.
func (c *agentConn) add(m outgoing) {
	c.waiting = append(c.waiting, m)
	c.bytes += len(m.data)
	if !c.writing {
		c.writing = true
		go c.write()
	}
}

// offer appends a message of the host's once there is room: who writes more than the client reads is slowed down, and half of the
// queue is left to what cannot wait.
func (c *agentConn) offer(ctx context.Context, m outgoing) error {
	o := &c.g.Agents
	for {
		c.mu.Lock()
		if c.closing {
			c.mu.Unlock()
			return errClosing
		}
		if len(c.waiting) < max(o.QueueFrames/2, 1) && (c.bytes == 0 || c.bytes+len(m.data) <= o.QueueBytes/2) {
			c.add(m)
			c.mu.Unlock()
			return nil
		}
		if c.room == nil {
			c.room = make(chan struct{})
		}
		room := c.room
		c.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

var errClosing = errors.New("the connection is closed")

// write sends what is queued and ends when nothing is.
func (c *agentConn) write() {
	for {
		c.mu.Lock()
		messages := c.waiting
		c.waiting = nil
		c.makeRoom()
		if len(messages) == 0 {
			c.writing = false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		for _, m := range messages {
			if m.shut != nil {
				c.close(m.shut.code, m.shut.reason)
				return
			}
			ctx, cancel := context.WithTimeout(context.Background(), c.g.WriteTimeout)
			err := c.ws.Write(ctx, m.kind, m.data)
			cancel()
			if err != nil {
				c.end()
				return
			}
			c.mu.Lock()
			c.bytes -= len(m.data)
			c.makeRoom()
			c.mu.Unlock()
		}
	}
}

// makeRoom wakes who waits for room, with the lock held.
func (c *agentConn) makeRoom() {
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}

// drop forgets what waits: nothing more is sent.
func (c *agentConn) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing, c.waiting = true, nil
	c.makeRoom()
}

// end cuts the connection. The reader and all calls end with it.
func (c *agentConn) end() {
	c.drop()
	_ = c.ws.CloseNow() // it is over in any case
	c.cancel()
}

// close ends the connection with a code; what waits is not sent any more.
func (c *agentConn) close(code websocket.StatusCode, reason string) {
	c.drop()
	_ = c.ws.Close(code, reason) // a client that is gone needs no reason
	c.cancel()
}

// keepAlive tries the connection now and then, without a goroutine in between.
func (c *agentConn) keepAlive(ctx context.Context) (stop func()) {
	every := c.g.Agents.PingEvery
	var mu sync.Mutex
	var timer *time.Timer
	stopped := false
	mu.Lock()
	timer = time.AfterFunc(every, func() {
		ping, cancel := context.WithTimeout(ctx, every)
		defer cancel()
		// While nothing is read no answer would be seen either.
		if !c.calls.full.Load() && c.ws.Ping(ping) != nil && !c.calls.full.Load() {
			c.end() // nobody is there
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if !stopped {
			timer.Reset(every)
		}
	})
	mu.Unlock()
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}

// settle waits until at most n of the connection's mutations have no outcome.
func (c *agentConn) settle(ctx context.Context, n int) {
	for {
		c.s.mu.Lock()
		undecided := c.undecided
		c.s.mu.Unlock()
		if undecided <= n {
			return
		}
		select {
		case <-c.settled:
		case <-ctx.Done():
			return
		}
	}
}
