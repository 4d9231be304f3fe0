package gateway

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/coder/websocket"
)

// agentCalls are the calls of one connection that take their time. But for running and full, the connection's reader alone uses them.
type agentCalls struct {
	// slots has a token for each call under way; nil before the first.
	slots chan struct{}
	// id is of this connection alone, also when another comes with the same connection id.
	id  string
	seq uint64
	// sent is closed when the latest call was sent or given up.
	sent    chan struct{}
	running sync.WaitGroup
	// full says that nothing is read, because too many calls are under way.
	full atomic.Bool
}

// describe begins a call with what the host is told each time.
func (c *agentConn) describe(s *agentSession) HostCall {
	call := HostCall{SessionID: s.id, Agent: c.at.agent, Name: c.at.name}
	if r := s.current(); r != nil {
		call.Version = r.Version
		if c.g.host.o.State {
			if state, ok := r.State(); ok {
				call.State = state
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	call.Connection = HostConnection{ID: c.key, URL: c.url, Readonly: c.readonly, Protocol: !c.quiet, Data: c.data}
	return call
}

func (c *agentConn) isReadonly() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.readonly
}

// callHost leaves a call to the host and answers with what that says.
func (c *agentConn) callHost(ctx context.Context, f agentRequest) {
	c.send(ctx, HostCall{ID: f.ID, Method: f.Method, Args: append([]json.RawMessage{}, f.Args...)}, "calls", f.Method)
}

// pass leaves a message that is not of the protocol to the host, if there is one. Its failure is none of the client's business.
func (c *agentConn) pass(ctx context.Context, message HostCall) {
	if c.g.host != nil {
		c.send(ctx, message, "messages", "")
	}
}

// send makes a call of the host beside the reader.
func (c *agentConn) send(ctx context.Context, what HostCall, kind, method string) {
	c.begin(ctx, func(key string, seq uint64) func(context.Context, func()) {
		call := c.describe(c.s)
		call.Seq, call.ID, call.Method, call.Args, call.Text, call.Binary = seq, what.ID, what.Method, what.Args, what.Text, what.Binary
		return func(ctx context.Context, sent func()) { c.run(ctx, call, key, sent, kind, method) }
	})
}

// begin runs what a message asks for beside the reader. What prepare returns begins when what came before it was sent, and
// behind the changes that the client made before; what is over the limit is not read.
func (c *agentConn) begin(ctx context.Context, prepare func(key string, seq uint64) (run func(ctx context.Context, sent func()))) {
	c.settle(ctx, 0)
	k := &c.calls
	if k.slots == nil {
		k.slots = make(chan struct{}, c.g.Agents.Host.MaxCalls)
		k.id = rand.Text()
	}
	select {
	case k.slots <- struct{}{}:
	default:
		c.uncork()
		k.full.Store(true)
		defer k.full.Store(false)
		select {
		case k.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
	k.seq++
	run := prepare(k.id+"-"+strconv.FormatUint(k.seq, 10), k.seq)
	before, sent := k.sent, make(chan struct{})
	k.sent = sent
	k.running.Go(func() {
		defer func() { <-k.slots }()
		done := sync.OnceFunc(func() { close(sent) })
		defer done()
		if before != nil {
			select {
			case <-before:
			case <-ctx.Done():
				return
			}
		}
		run(ctx, done)
	})
}

// run makes a call and sends what the answer says.
func (c *agentConn) run(ctx context.Context, call HostCall, key string, sent func(), kind, method string) {
	h := c.g.host
	limited, cancel := context.WithTimeoutCause(ctx, h.o.StreamTimeout, errHostSlow)
	defer cancel()
	path := []string{kind, call.SessionID}
	if kind == "calls" {
		path = append(path, method)
	}
	err := h.ask(limited, call, key, h.o.Timeout, sent, func(ctx context.Context, line hostLine) error { return c.take(ctx, kind, call.ID, line) }, path...)
	if err == nil || ctx.Err() != nil || errors.Is(err, errClosing) {
		return // done, or nobody is there any more
	}
	if errors.Is(err, errHostAway) || errors.Is(err, errHostSlow) || errors.Is(err, errHostOdd) || errors.Is(err, errHostLost) || kind != "calls" {
		c.g.log.WarnContext(ctx, "call of the agent host failed", "session_id", call.SessionID, "kind", kind, "method", method, "error", err)
	}
	if kind == "calls" {
		_ = c.offer(ctx, text(failureFrame(call.ID, callErrorText(method, err)))) // fails when the client is gone
	}
}

// take does what a part of an answer says.
func (c *agentConn) take(ctx context.Context, kind, id string, line hostLine) error {
	if !c.s.reach(ctx, line.version, c.g.WaitFor) && ctx.Err() == nil {
		c.g.log.WarnContext(ctx, "agent host names a version of a session that is not to be seen", "session_id", c.s.id, "version", line.version)
	}
	c.mu.Lock()
	if line.readonly != nil {
		c.readonly = *line.readonly
	}
	if line.data != nil {
		c.data = line.data
		if string(line.data) == "null" {
			c.data = nil
		}
	}
	c.mu.Unlock()
	var messages []*agentMessage
	if line.text != nil {
		messages = append(messages, text([]byte(*line.text)))
	}
	if line.binary != nil {
		messages = append(messages, newMessage(websocket.MessageBinary, line.binary))
	}
	switch {
	case kind != "calls":
		if line.failed != nil {
			return &hostError{text: *line.failed}
		}
	case line.failed != nil:
		messages = append(messages, text(failureFrame(id, *line.failed)))
	case line.final:
		messages = append(messages, text(resultFrame(id, line.result)))
	case line.chunk:
		messages = append(messages, text(chunkFrame(id, line.result)))
	}
	for _, m := range messages {
		if err := c.offer(ctx, m); err != nil {
			return err
		}
	}
	if line.shut != nil {
		c.shut(*line.shut)
	}
	return nil
}
