package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/schemas/gen"
)

// receive handles one text message of a client. Frames of one connection take effect in their order: each is published
// before the next is read.
func (c *agentConn) receive(ctx context.Context, text []byte) {
	if c.user != "" {
		c.receiveVibeSDK(ctx, text)
		return
	}
	f, ok := readAgentFrame(text)
	if !ok {
		message := string(text)
		c.pass(ctx, HostCall{Text: &message})
		return
	}
	c.settle(ctx, maxUndecided-1)
	if f.State != nil {
		if c.isReadonly() {
			c.queue(stateErrorFrame(readonlyText))
			return
		}
		c.setState(ctx, f.State)
		return
	}
	method, ok := agentMethods[f.Method]
	host := c.g.host
	switch {
	case host != nil && (!ok || slices.Contains(host.o.Methods, f.Method)):
		c.callHost(ctx, f)
		return
	case !ok:
		c.queue(failureFrame(f.ID, "Method "+f.Method+" does not exist"))
		return
	case slices.Contains(stateMethods, f.Method) && c.isReadonly():
		c.queue(failureFrame(f.ID, readonlyText))
		return
	}
	if err := method(c, ctx, f); err != nil {
		c.queue(failureFrame(f.ID, agentErrorText(err)))
	}
}

// agentErrorText is what a client is told. The text of our own failures stays in the log.
func agentErrorText(err error) string {
	if own, ok := errors.AsType[*agentError](err); ok {
		return own.text
	}
	// Rules that the SDK has as well are broken in its own words.
	return strings.TrimPrefix(problemOf(err).text(), session.ErrInvalid.Error()+": ")
}

// agentError is an error whose text is meant for the client.
type agentError struct{ text string }

func (e *agentError) Error() string { return e.text }

func agentErrorf(format string, args ...any) error { return &agentError{fmt.Sprintf(format, args...)} }

// setState handles a state frame. Only a refusal is answered, without a reason.
func (c *agentConn) setState(ctx context.Context, state []byte) {
	m := &agentMutation{state: state, frame: true, decided: func(o session.Outcome, _ *session.Record) {
		// One whose outcome is late may still be applied, and then all are shown it.
		if o.Err != nil && !errors.Is(o.Err, errNoOutcome) {
			c.refuseState()
		}
	}}
	m.unpublished = func(err error) {
		c.g.log.WarnContext(ctx, "state of an agent's client was not published", "session_id", c.s.id, "error", err)
		c.refuseState()
	}
	if err := c.publish(ctx, gen.StateMutation_PUT, state, m); err != nil {
		m.unpublished(err)
	}
}

// publish sends a mutation of the session on its way. When it returns nil, one of m.decided and m.unpublished is called, and none otherwise.
func (c *agentConn) publish(ctx context.Context, kind gen.StateMutation_Kind, payload []byte, m *agentMutation) error {
	// The writer takes nothing that no record can hold, and a client should hear of it now.
	if len(payload) > session.MaxPart {
		return agentErrorf("the payload is %d bytes, the limit is %d", len(payload), session.MaxPart)
	}
	sent := &mutation{message: &gen.StateMutation{SessionId: c.s.id, Kind: kind}, payload: payload}
	if err := sent.identify("mutationId"); err != nil {
		return err
	}
	m.id, m.conn = sent.message.GetMutationId(), c
	if len(payload) > maxInline {
		c.uncork() // storing it takes a while
	}
	m.begin(ctx, c, kind.String())
	c.s.expect(m, c.g.WaitFor)
	limited, cancel := context.WithTimeout(c.outbox.ctx, c.g.WaitFor)
	defer cancel()
	var err error
	if m.message, err = c.g.encodeMutation(limited, sent, true); err != nil {
		if c.s.abandon(m) {
			m.unpublished(err)
		}
		return nil
	}
	c.post(m)
	return nil
}

// change publishes the mutation of a call; answer makes the result of one that was applied, nil for undefined. The result
// comes behind the state that the mutation made, for both are queued when its record is seen.
func (c *agentConn) change(ctx context.Context, f agentRequest, kind gen.StateMutation_Kind, payload []byte, answer func(session.Outcome, *session.Record) (any, error)) error {
	m := &agentMutation{decided: func(o session.Outcome, r *session.Record) {
		err := o.Err
		var result any
		if err == nil && answer != nil {
			result, err = answer(o, r)
		}
		switch {
		case errors.Is(err, errNoOutcome):
			c.queue(failureFrame(f.ID, err.Error()))
		case err != nil:
			c.queue(failureFrame(f.ID, agentErrorText(err)))
		default:
			c.reply(f.ID, result)
		}
	}}
	m.unpublished = func(err error) { c.queue(failureFrame(f.ID, agentErrorText(err))) }
	if kind == gen.StateMutation_PUT || kind == gen.StateMutation_INITIALIZE {
		m.state = payload
	}
	return c.publish(ctx, kind, payload, m)
}

// reply queues a result; nil is undefined.
func (c *agentConn) reply(id string, result any) {
	var text []byte
	switch v := result.(type) {
	case nil:
	case json.RawMessage:
		text = v
	default:
		text = encodeFrame(v)
	}
	c.queue(resultFrame(id, text))
}

// view answers a call from the record as this connection's own changes left it.
func (c *agentConn) view(ctx context.Context, f agentRequest, answer func(*session.Record) (any, error)) error {
	c.settle(ctx, 0)
	result, err := answer(c.s.current())
	if err == nil {
		c.reply(f.ID, result)
	}
	return err
}

// agentMethod handles a call. An error is its answer.
type agentMethod func(c *agentConn, ctx context.Context, f agentRequest) error

// stateMethods change the state, which a readonly connection may not.
var stateMethods = []string{"initialize", "setState", "deployToSandbox"}

// agentMethods are the calls that are answered here.
var agentMethods = map[string]agentMethod{
	"initialize":    (*agentConn).callInitialize,
	"isInitialized": (*agentConn).callIsInitialized,
	"getFullState":  (*agentConn).callGetFullState,
	"setState":      (*agentConn).callSetState,

	"deployToSandbox": (*agentConn).callDeploy,

	"schedule":       (*agentConn).callSchedule,
	"scheduleEvery":  (*agentConn).callScheduleEvery,
	"cancelSchedule": (*agentConn).callCancelSchedule,
	"getSchedule":    (*agentConn).callGetSchedule,
	"getSchedules":   (*agentConn).callGetSchedules,
	"listSchedules":  (*agentConn).callGetSchedules,

	"queue":                (*agentConn).callQueue,
	"dequeue":              (*agentConn).callDequeue,
	"dequeueAll":           (*agentConn).callDequeueAll,
	"dequeueAllByCallback": (*agentConn).callDequeueAllByCallback,
	"getQueue":             (*agentConn).callGetQueue,
	"getQueues":            (*agentConn).callGetQueues,
}

func (f agentRequest) arg(i int) json.RawMessage {
	if i < len(f.Args) {
		return f.Args[i]
	}
	return nil
}

// text reads an argument that must be a string.
func (f agentRequest) text(i int, name string) (string, error) {
	s, ok := textOf(f.arg(i))
	if !ok || !utf8.ValidString(s) {
		return "", agentErrorf("%s: %s must be a string", f.Method, name)
	}
	return s, nil
}

// callInitialize sets the state once: initialize(state) answers it.
func (c *agentConn) callInitialize(ctx context.Context, f agentRequest) error {
	state := f.arg(0)
	if state == nil {
		return agentErrorf("initialize: the state is required")
	}
	return c.change(ctx, f, gen.StateMutation_INITIALIZE, state, func(session.Outcome, *session.Record) (any, error) { return state, nil })
}

func (c *agentConn) callIsInitialized(ctx context.Context, f agentRequest) error {
	return c.view(ctx, f, func(r *session.Record) (any, error) { return r != nil && r.Initialized, nil })
}

// callGetFullState answers the state, undefined when none was ever set.
func (c *agentConn) callGetFullState(ctx context.Context, f agentRequest) error {
	return c.view(ctx, f, func(r *session.Record) (any, error) {
		if r == nil {
			return nil, nil
		}
		if state, ok := r.State(); ok {
			return json.RawMessage(state), nil
		}
		return nil, nil
	})
}

func (c *agentConn) callSetState(ctx context.Context, f agentRequest) error {
	state := f.arg(0)
	if state == nil {
		return agentErrorf("setState: the state is required")
	}
	return c.change(ctx, f, gen.StateMutation_PUT, state, nil)
}
