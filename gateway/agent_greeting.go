package gateway

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/coder/websocket"
)

// greeting is what the agent host says about a new connection.
type greeting struct {
	// readonly, quiet and data are what the connection begins with.
	readonly, quiet bool
	data            []byte
	// messages are sent behind what the protocol begins with, and then the connection is closed if shut is set. refuse closes it before
	// anything is sent.
	messages     []string
	shut, refuse *hostClose
}

// refusedError is a connection that the agent host, or its failure, refused.
type refusedError struct {
	hostClose

	// frame is sent before.
	frame []byte
}

func (e *refusedError) Error() string { return e.reason }

// greet asks the host about the connection, when it is to be asked.
func (c *agentConn) greet(ctx context.Context, s *agentSession, headers http.Header) error {
	h := c.g.host
	if h == nil || !h.o.Connect {
		return nil
	}
	call := c.describe(s)
	call.Headers = h.told(headers)
	var answer greeting
	err := h.ask(ctx, call, rand.Text(), h.o.ConnectTimeout, func() {}, func(ctx context.Context, line hostLine) error {
		if line.failed != nil {
			return &hostError{text: *line.failed}
		}
		s.reach(ctx, line.version, h.o.ConnectTimeout) // what the host made of the session, the client is told first
		var err error
		if line.final && line.result != nil {
			answer, err = readGreeting(line.result)
		}
		return err
	}, "connections", s.id)
	if err != nil {
		return c.greetingFailed(ctx, s.id, err)
	}
	if answer.refuse != nil {
		return &refusedError{hostClose: *answer.refuse}
	}
	c.readonly, c.quiet, c.data = answer.readonly, answer.quiet, answer.data
	c.greeted = func() {
		for _, text := range answer.messages {
			c.queue([]byte(text))
		}
		if answer.shut != nil {
			c.shut(*answer.shut)
		}
	}
	return nil
}

// greetingFailed makes of an error what the client sees: who is not let in does not come again, and others do.
func (c *agentConn) greetingFailed(ctx context.Context, id string, err error) error {
	if e, ok := errors.AsType[*hostError](err); ok && (e.status == http.StatusUnauthorized || e.status == http.StatusForbidden) {
		reason := e.text
		if reason == "" {
			reason = "the agent host refused the connection"
		}
		return &refusedError{hostClose: hostClose{websocket.StatusPolicyViolation, closeReason(reason)}}
	}
	c.g.log.WarnContext(ctx, "agent host failed a new connection", "session_id", id, "error", err)
	if errors.Is(err, errHostAway) || errors.Is(err, errHostSlow) {
		return &refusedError{hostClose: hostClose{websocket.StatusTryAgainLater, "the agent host does not answer"}}
	}
	text := callErrorText("onConnect", err)
	return &refusedError{
		hostClose: hostClose{websocket.StatusInternalError, "Uncaught exception during session setup"},
		frame: encodeFrame(struct {
			Error string `json:"error"`
		}{text}),
	}
}

// readGreeting reads {"readonly", "protocol", "data", "messages", "close", "refuse"}, each of which may be absent.
func readGreeting(body []byte) (greeting, error) {
	var told struct {
		Readonly bool            `json:"readonly"`
		Protocol *bool           `json:"protocol"`
		Data     json.RawMessage `json:"data"`
		Messages []string        `json:"messages"`
		Close    json.RawMessage `json:"close"`
		Refuse   json.RawMessage `json:"refuse"`
	}
	if err := json.Unmarshal(body, &told); err != nil {
		return greeting{}, fmt.Errorf("%w: %s", errHostOdd, jsonFault(err))
	}
	if len(told.Data) > maxConnectionData {
		return greeting{}, fmt.Errorf("%w: data must be at most %d bytes", errHostOdd, maxConnectionData)
	}
	g := greeting{readonly: told.Readonly, quiet: told.Protocol != nil && !*told.Protocol, data: told.Data, messages: told.Messages}
	if string(told.Data) == "null" {
		g.data = nil
	}
	for _, end := range []struct {
		name string
		text []byte
		into **hostClose
	}{{"close", told.Close, &g.shut}, {"refuse", told.Refuse, &g.refuse}} {
		if end.text == nil || string(end.text) == "null" {
			continue
		}
		shut, err := readHostClose(end.text)
		if err != nil {
			return greeting{}, fmt.Errorf("%w: %s must be like {\"code\":4001,\"reason\":\"…\"}", errHostOdd, end.name)
		}
		if shut == nil && end.name == "refuse" { // who is refused stays out, whatever the code
			shut = &hostClose{code: websocket.StatusPolicyViolation}
		}
		*end.into = shut
	}
	return g, nil
}
