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

	mu      sync.Mutex
	waiting [][]byte
	bytes   int
	writing bool
	closing bool
}

// connectAgent serves one client until it goes.
func (g *Gateway) connectAgent(w http.ResponseWriter, r *http.Request, at agentAddress, id, key string) {
	ws, err := g.accept(w, r)
	if err != nil {
		return // it has its answer
	}
	g.serveAgentConn(r.Context(), &agentConn{g: g, ws: ws, at: at, key: key}, id)
}

// serveAgentConn serves a connection that was accepted, until it ends.
func (g *Gateway) serveAgentConn(ctx context.Context, c *agentConn, id string) {
	c.settled = make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := g.hub.join(ctx, id, c)
	if err != nil {
		if !errors.Is(err, errTooMany) {
			g.log.WarnContext(ctx, "session of an agent cannot be read", "session_id", id, "error", err)
			err = errors.New("the session cannot be read")
		}
		c.refuseSession(err)
		return
	}
	defer g.hub.leave(s, c)
	defer c.ws.CloseNow() //nolint:errcheck // the connection is over, however it ended
	stop := c.keepAlive(ctx)
	defer stop()
	for {
		text, ok, err := c.read(ctx)
		if err != nil {
			return
		}
		if ok {
			c.receive(ctx, text)
		}
	}
}

// introduce queues what a client is told first.
func (c *agentConn) introduce(state, mcp []byte) {
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
	n, err := message.ReadFrom(io.LimitReader(reader, AgentMaxMessage+1))
	if err != nil {
		return nil, false, err
	}
	if n > AgentMaxMessage {
		err := fmt.Errorf("Message is too large: more than %d bytes", AgentMaxMessage) //nolint:staticcheck // as clients know it
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
		go func() { _ = c.ws.Close(websocket.StatusTryAgainLater, "the client reads too slowly") }()
		return
	}
	c.waiting = append(c.waiting, frame)
	c.bytes += len(frame)
	if !c.writing {
		c.writing = true
		go c.write()
	}
}

// write sends what is queued and ends when nothing is.
func (c *agentConn) write() {
	for {
		c.mu.Lock()
		frames := c.waiting
		c.waiting = nil
		if len(frames) == 0 {
			c.writing = false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		for _, frame := range frames {
			ctx, cancel := context.WithTimeout(context.Background(), c.g.WriteTimeout)
			err := c.ws.Write(ctx, websocket.MessageText, frame)
			cancel()
			if err != nil {
				_ = c.ws.CloseNow() // the reader ends with it
				c.mu.Lock()
				c.closing, c.waiting = true, nil
				c.mu.Unlock()
				return
			}
			c.mu.Lock()
			c.bytes -= len(frame)
			c.mu.Unlock()
		}
	}
}

// close ends the connection with a code; what waits is not sent any more.
func (c *agentConn) close(code websocket.StatusCode, reason string) {
	c.mu.Lock()
	c.closing, c.waiting = true, nil
	c.mu.Unlock()
	_ = c.ws.Close(code, reason) // a client that is gone needs no reason
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
		if c.ws.Ping(ping) != nil {
			_ = c.ws.CloseNow() // nobody is there
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
