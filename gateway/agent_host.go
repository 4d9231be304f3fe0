package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"vibesdk-gcp/internal/hostclient"
	"vibesdk-gcp/internal/jsondoc"
)

// AgentHostOptions are about the agent host, the server that has what agents do on their own: see docs/agent-host.md.
type AgentHostOptions struct {
	// URL is the host's address, http or https, with or without a path. Empty means that there is none: methods that are not built in
	// do not exist, and messages are dropped.
	URL string
	// Key is sent to the host as a bearer token. It reaches no log and no client. None is sent when it is empty.
	Key string
	// Timeout bounds the wait for an answer to begin, and for each line of one that is a stream. Defaults to 60 s.
	Timeout time.Duration
	// StreamTimeout bounds a whole call. Defaults to 15 minutes.
	StreamTimeout time.Duration
	// ConnectTimeout bounds the host's answer about a connection, and to one that is passed on. Defaults to 3 s: clients give up one
	// that does not begin within 4 s.
	ConnectTimeout time.Duration
	// Connect asks the host about each connection before it is told anything.
	Connect bool
	// State sends the state with each call; else calls have its version alone.
	State bool
	// Methods are built-in methods that the host answers instead.
	Methods []string
	// Headers are request headers about the caller's identity that the host is passed nevertheless, in any case: cookie, for example.
	// With it answers may set cookies.
	Headers []string
	// Proxy are the agents whose WebSockets are the host's altogether: it speaks the protocol, and the gateway passes on.
	Proxy []string
	// MaxCalls is how many calls of one connection are under way at once; more are read when one of them ends. Defaults to 64.
	MaxCalls int
}

func (o AgentHostOptions) withDefaults() AgentHostOptions {
	setDefault(&o.Timeout, time.Minute)
	setDefault(&o.StreamTimeout, 15*time.Minute)
	setDefault(&o.ConnectTimeout, 3*time.Second)
	setDefault(&o.MaxCalls, 64)
	return o
}

const (
	// maxHostAnswer bounds an answer that is one value, and each line of a stream, in bytes.
	maxHostAnswer = 10 << 20
	// maxHostError is how much of an error's body is read, and maxErrorText how much of the text clients are told, in bytes.
	maxHostError, maxErrorText = 64 << 10, 4 << 10
	// maxConnectionData bounds what the host keeps with a connection, in bytes: as much as a Durable Object takes.
	maxConnectionData = 16 << 10
	hostIdle          = 256 // connections kept
)

// agentHost calls the host.
type agentHost struct {
	*hostclient.Client

	o AgentHostOptions
}

func newAgentHost(o AgentHostOptions) (*agentHost, error) {
	switch {
	case o.URL != "":
	case o.Connect || len(o.Proxy) > 0 || len(o.Methods) > 0:
		return nil, errors.New("gateway: what is left to the agent host needs its address")
	default:
		return nil, nil //nolint:nilnil // no host is an answer
	}
	client, err := hostclient.New(o.URL, o.Key, hostIdle)
	if err != nil {
		return nil, fmt.Errorf("gateway: agent host: %w", err)
	}
	for _, name := range o.Methods {
		if agentMethods[name] == nil {
			return nil, fmt.Errorf("gateway: %q is no built-in method", name)
		}
	}
	return &agentHost{client, o}, nil
}

// HostConnection is what the host is told of a connection.
type HostConnection struct {
	ID string `json:"id"`
	// URL is the path and query that the client came with, without what it signed in with.
	URL string `json:"url"`
	// Readonly connections do not change the state: who calls for one must not do it either.
	Readonly bool `json:"readonly"`
	// Protocol is false when the connection gets no frames of the protocol but results.
	Protocol bool `json:"protocol"`
	// Data is what the host keeps with the connection.
	Data json.RawMessage `json:"data,omitempty"`
}

// HostCall is the body of a call to the agent host.
type HostCall struct {
	SessionID string `json:"sessionId"`
	Agent     string `json:"agent"`
	Name      string `json:"name"`
	// Version is the session's, 0 when nothing is stored.
	Version int64 `json:"version"`
	// State is left out unless it was asked for, and when there is none.
	State      json.RawMessage `json:"state,omitempty"`
	Connection HostConnection  `json:"connection"`
	// Seq numbers the calls of a connection in the order in which the client sent them, from 1.
	Seq uint64 `json:"seq,omitempty"`

	// A method is called with its arguments; ID is the client's.
	ID     string            `json:"id,omitempty"`
	Method string            `json:"method,omitempty"`
	Args   []json.RawMessage `json:"args,omitzero"`
	// A message that is not of the protocol is text or binary.
	Text   *string `json:"text,omitempty"`
	Binary []byte  `json:"binary,omitzero"`
	// Headers are those of the request that a new connection came with, filtered.
	Headers map[string]string `json:"headers,omitempty"`
}

// hostError is what the host, or its absence, says to a call. Its text is meant for the client.
type hostError struct {
	status int // 0 when there was no answer
	text   string
}

func (e *hostError) Error() string { return e.text }

// Causes of calls that ended early.
var (
	errHostSlow = &hostError{text: "The agent host did not answer in time"}
	errHostAway = &hostError{text: "The agent host was not reached"}
	errHostOdd  = &hostError{text: "The agent host's answer is not understood"}
	errHostLost = &hostError{text: "The agent host's answer broke off"}
)

// ask makes a call and reads the answer: take is given each part of it, in order. sent is called when the request is on
// its way.
func (h *agentHost) ask(ctx context.Context, call HostCall, key string, timeout time.Duration, sent func(), take func(context.Context, hostLine) error, segments ...string) error {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(call); err != nil {
		return fmt.Errorf("%w: %w", errHostOdd, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(timeout, func() { cancel(errHostSlow) })
	defer late.Stop()
	req, err := h.Request(onSent(ctx, sent), http.MethodPost, &body, segments...)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, "+ndjson)
	req.Header.Set(hostclient.IdempotencyKey, key)
	hostclient.SetTimeout(req.Header, timeout)
	resp, err := h.Do(req)
	if err != nil {
		return hostFailure(ctx, err, errHostAway)
	}
	defer resp.Body.Close()
	late.Reset(timeout)
	err = readHostAnswer(resp, func(line hostLine) error {
		late.Stop() // the client's pace is none of the host's fault
		defer late.Reset(timeout)
		return take(ctx, line)
	})
	return hostFailure(ctx, err, errHostLost)
}

// hostFailure is the error of a call: what ended it, else what the client may know of it.
func hostFailure(ctx context.Context, err error, otherwise *hostError) error {
	if err == nil {
		return nil
	}
	if cause, ok := errors.AsType[*hostError](context.Cause(ctx)); ok {
		return cause
	}
	if _, ok := errors.AsType[*hostError](err); ok {
		return err
	}
	return fmt.Errorf("%w: %w", otherwise, hostclient.Cause(err))
}

// callErrorText is what the caller of a method is told when the host refused, as the SDK words it.
func callErrorText(method string, err error) string {
	e, ok := errors.AsType[*hostError](err)
	switch {
	case !ok:
		return "Unknown error occurred"
	case e.text != "":
		return e.text
	case e.status == http.StatusNotFound:
		return "Method " + method + " does not exist"
	case e.status == http.StatusMethodNotAllowed:
		return "Method " + method + " is not callable"
	case e.status == http.StatusTooManyRequests || e.status == http.StatusServiceUnavailable:
		return "The agent host is busy"
	default:
		return "Unknown error occurred"
	}
}

// hostRefusal reads the answer of a call that failed: {"error": "…"}, or what a proxy before the host says.
func hostRefusal(status int, body []byte) error {
	e := &hostError{status: status}
	if jsondoc.Check(body) == nil {
		var answer struct {
			Error *string `json:"error"`
		}
		if json.Unmarshal(body, &answer) == nil && answer.Error != nil {
			e.text = clientText(*answer.Error)
		}
	}
	return e
}

// clientText bounds a text of the host.
func clientText(text string) string {
	if len(text) > maxErrorText {
		text = text[:maxErrorText]
	}
	return strings.ToValidUTF8(text, "")
}

// withoutSecrets is the path and query of a request without what its caller signed in with.
func withoutSecrets(u *url.URL) string {
	path, query := u.EscapedPath(), cleanQuery(u.RawQuery)
	if query != "" || u.ForceQuery {
		path += "?" + query
	}
	return path
}

// signIn are parameters that a WebSocket's caller signs in with.
var signIn = []string{"token", "access_token", "ticket"}

// cleanQuery leaves the order and the spelling of the others as they are.
func cleanQuery(raw string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(raw, "&"), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		return err == nil && slices.Contains(signIn, name)
	}), "&")
}

// private are headers that are between a caller and the gateway, or between two servers.
var private = []string{
	"Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key", hostclient.TimeoutHeader, agentSessionHeader,
	"Traceparent", "Tracestate",
}

// agentSessionHeader names the session of a request that is passed on, percent-encoded.
const agentSessionHeader = "Agent-Session"

// filter drops from headers on their way to the host what is not meant for it.
func (h *agentHost) filter(headers http.Header) {
	for _, name := range private {
		if !h.passes(name) {
			headers.Del(name)
		}
	}
}

// passes reports whether a header about the caller's identity was let through by the operator.
func (h *agentHost) passes(name string) bool {
	return slices.ContainsFunc(h.o.Headers, func(let string) bool { return strings.EqualFold(let, name) })
}
