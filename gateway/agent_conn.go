package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// maxUndecided is how many mutations of one connection may wait for their outcome. Then nothing more is read from it.
const maxUndecided = 64

// agentConn is one connection of a client. An idle one costs one goroutine, which reads.
type agentConn struct {
	sendQueue

	g    *Gateway
	ws   *websocket.Conn
	wire *agentWire
	at   agentAddress
	key  string // the connection id
	s    *agentSession
	// user is who came by VibeSDK's route, where frames are in VibeSDK's encoding; empty on /agents/…
	user string

	// Guarded by the session's lock: what its clock showed when the connection joined and was last told a state, and how many of
	// its mutations have no outcome.
	joined, toldState uint64
	undecided         int
	// shown says that the connection is in the list of those that a broadcast under way is for.
	shown bool
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
	outbox  agentOutbox

	// readonly and data are the host's, guarded by the queue's lock.
	readonly bool
	data     []byte
	// late ends the connection when a message takes too long. It runs while more of one is waited for, as reading says.
	late    *time.Timer
	reading atomic.Int32
}

// What reading says: no message has begun, one has, or more of it is waited for.
const (
	betweenMessages int32 = iota
	inMessage
	waitingForMore
)

// connectAgent serves one client until it goes.
func (g *Gateway) connectAgent(w http.ResponseWriter, r *http.Request, at agentAddress, id, key string) {
	ws, wire, err := g.upgradeWire(w, r, &websocket.AcceptOptions{OriginPatterns: g.Agents.Origins})
	if err != nil {
		return // it has its answer
	}
	g.serveAgentConn(r, &agentConn{g: g, ws: ws, wire: wire, at: at, key: key}, id)
}

// serveAgentConn serves a connection that was accepted, until it ends.
func (g *Gateway) serveAgentConn(r *http.Request, c *agentConn, id string) {
	c.settled = make(chan struct{}, 1)
	c.late = time.AfterFunc(time.Hour, c.end) // it is set when there is something to wait for
	c.late.Stop()
	c.wire.dry = c.beforeRead
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	c.cancel, c.url = cancel, withoutSecrets(r.URL)
	c.outbox.ctx, c.outbox.stop = context.WithCancel(context.WithoutCancel(ctx))
	defer c.outbox.stop()
	s, err := g.hub.join(ctx, id, c, func(ctx context.Context, s *agentSession) error { return c.greet(ctx, s, r.Header) })
	if err != nil {
		c.turnAway(ctx, id, err)
		return
	}
	defer g.hub.leave(s, c)
	defer c.finish()
	defer cancel()
	defer c.ws.CloseNow() //nolint:errcheck // the connection is over, however it ended
	stop := c.keepAlive(ctx)
	defer stop()
	defer context.AfterFunc(ctx, c.end)() // the library is not told of ctx, which it would watch for each frame
	if c.greeted != nil {
		c.greeted()
	}
	for {
		message, isText, err := c.read(context.WithoutCancel(ctx))
		if err != nil {
			return
		}
		c.cork()
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
			c.lastWords(refused.frame)
		}
	} else if !errors.Is(err, errTooMany) {
		c.g.log.WarnContext(ctx, "session of an agent cannot be read", "session_id", id, "error", err)
		shut.reason = "the session cannot be read"
		if c.user != "" {
			c.lastWords(vibeSDKErrorFrame("Failed to get agent instance: " + shut.reason))
			shut = hostClose{websocket.StatusInternalError, "Agent instance not found"}
		}
	}
	_ = c.ws.Close(shut.code, shut.reason) // a client that is gone needs no reason
}

// lastWords tells a client that did not join why.
func (c *agentConn) lastWords(frame []byte) {
	b := &batch{messages: []*agentMessage{text(frame)}}
	b.encode(false)
	_ = c.wire.send(b, c.g.WriteTimeout) // a client that is gone needs no reason
}

// beforeRead sends what was held, and limits the time of a message that has begun: whoever sends a byte now and then would hold the memory
// of it for ever.
func (c *agentConn) beforeRead() {
	if c.reading.CompareAndSwap(inMessage, waitingForMore) {
		c.late.Reset(c.g.Agents.MessageTimeout)
	}
	c.uncork()
}

// read returns the next message, and false for one that is not text. The client has been told when it fails.
func (c *agentConn) read(ctx context.Context) ([]byte, bool, error) {
	kind, reader, err := c.ws.Reader(ctx)
	if err != nil {
		return nil, false, err
	}
	c.reading.Store(inMessage)
	defer func() {
		if c.reading.Swap(betweenMessages) == waitingForMore {
			c.late.Stop()
		}
	}()
	message, err := readMessage(reader, c.g.Agents.MaxMessage)
	if errors.Is(err, errMessageSize) {
		err = fmt.Errorf("%w: more than %d bytes", err, c.g.Agents.MaxMessage)
		c.close(websocket.StatusMessageTooBig, err.Error())
	}
	return message, kind == websocket.MessageText, err
}

// messageBuffers are what messages are read into that fit.
var messageBuffers = sync.Pool{New: func() any { return new([4 << 10]byte) }}

// readMessage reads a message to its end. It fails with errMessageSize when it has more than limit bytes.
func readMessage(reader io.Reader, limit int) ([]byte, error) {
	buffer := messageBuffers.Get().(*[4 << 10]byte)
	defer messageBuffers.Put(buffer)
	n := 0
	for n < len(buffer) {
		k, err := reader.Read(buffer[n:])
		n += k
		switch {
		case n > limit:
			return nil, errMessageSize
		case errors.Is(err, io.EOF):
			return bytes.Clone(buffer[:n]), nil
		case err != nil:
			return nil, err
		}
	}
	message := bytes.NewBuffer(append(make([]byte, 0, 4*len(buffer)), buffer[:]...))
	if _, err := message.ReadFrom(io.LimitReader(reader, int64(limit-n)+1)); err != nil {
		return nil, err
	}
	if message.Len() > limit {
		return nil, errMessageSize
	}
	return message.Bytes(), nil
}

// finish waits for what is under way when the connection has ended. Calls were told; what the client sent before is published, for as long
// as an outcome may take.
func (c *agentConn) finish() {
	c.drop()
	late := time.AfterFunc(c.g.WaitFor, c.outbox.stop)
	defer late.Stop()
	c.calls.running.Wait()
}

// end cuts the connection. The reader and all calls end with it.
func (c *agentConn) end() {
	c.drop()
	_, _ = c.wire.Close(), c.ws.CloseNow() // the library waits for a goodbye that has begun, and so is not asked first
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
		ping, cancel := context.WithTimeout(ctx, c.g.Agents.PongTimeout)
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
		c.uncork()
		select {
		case <-c.settled:
		case <-ctx.Done():
			return
		}
	}
}
