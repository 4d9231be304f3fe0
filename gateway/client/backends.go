package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// AgentStore is what code that was written for Durable Objects needs of its agents. [Client.AgentStore] has it.
type AgentStore interface {
	// Fetch sends a request to an agent, whose class is in kebab case, as agentFetch of the agents package does. The request's URL is
	// below the agent: its scheme and host do not matter. Whatever the agent answers is no error, and the caller closes its body. It is
	// sent once.
	Fetch(ctx context.Context, agent, name string, req *http.Request) (*http.Response, error)
	// GetSessionState returns the state of a session, or [ErrNotFound].
	GetSessionState(ctx context.Context, sessionID string) (Snapshot, error)
	// PutSessionState replaces the state of a session by JSON text, and makes the session if need be. It returns when the write is
	// decided.
	PutSessionState(ctx context.Context, sessionID string, state []byte, o WriteOptions) (MutationResult, error)
}

// RateLimitBackend counts what callers use. [Client.RateLimitBackend] has it.
type RateLimitBackend interface {
	// Increment charges n to a limit. A rejection is no error. It is sent once.
	Increment(ctx context.Context, limit, identifier string, n float64) (LimitResult, error)
	// GetRemainingLimit is what the limit still admits.
	GetRemainingLimit(ctx context.Context, limit, identifier string) (float64, error)
	// ResetLimit forgets what was charged.
	ResetLimit(ctx context.Context, limit, identifier string) error
}

// Previews runs apps. [Client.Sandbox] has it.
type Previews interface {
	// RunPreview runs a project and returns its sandbox when it is ready, or when it has ended: look at its state.
	RunPreview(ctx context.Context, project Project) (Sandbox, error)
	// GetLogs returns what the sandbox has printed so far, at most 16 MiB of it.
	GetLogs(ctx context.Context, id string) (string, error)
	// Cleanup ends the sandbox and returns when nothing of it is left. To clean up what has ended is no error.
	Cleanup(ctx context.Context, id string) error
}

// AgentStore returns the calls about agents and their state.
func (c *Client) AgentStore() AgentStore { return agentStore{c} }

// RateLimitBackend returns the calls about rate limits in short.
func (c *Client) RateLimitBackend() RateLimitBackend { return rateLimitBackend{c.Limits()} }

// Sandbox returns the calls that run a preview in short.
func (c *Client) Sandbox() Previews { return previews{c.Sandboxes()} }

type agentStore struct{ c *Client }

func (s agentStore) Fetch(ctx context.Context, agent, name string, req *http.Request) (*http.Response, error) {
	out := req.Clone(ctx)
	u := *s.c.base
	// A name is taken as it is spelled: what is escaped in it stays so.
	u.RawPath = strings.TrimSuffix(u.EscapedPath(), "/") + "/agents/" + url.PathEscape(agent) + "/" + url.PathEscape(name) + req.URL.EscapedPath()
	path, err := url.PathUnescape(u.RawPath)
	if err != nil {
		return nil, err
	}
	u.Path, u.RawQuery = path, req.URL.RawQuery
	out.URL, out.Host, out.RequestURI = &u, "", ""
	if s.c.key != "" {
		out.Header.Set("Authorization", "Bearer "+s.c.key)
	}
	return s.c.send(ctx, out)
}

func (s agentStore) GetSessionState(ctx context.Context, sessionID string) (Snapshot, error) {
	return s.c.Sessions().Read(ctx, sessionID, PartState)
}

func (s agentStore) PutSessionState(ctx context.Context, sessionID string, state []byte, o WriteOptions) (MutationResult, error) {
	return s.c.Sessions().Put(ctx, sessionID, PartState, state, o)
}

type rateLimitBackend struct{ l *Limits }

func (b rateLimitBackend) Increment(ctx context.Context, limit, identifier string, n float64) (LimitResult, error) {
	return b.l.Increment(ctx, LimitCharge{Limit: limit, Identifier: identifier, N: n})
}

func (b rateLimitBackend) GetRemainingLimit(ctx context.Context, limit, identifier string) (float64, error) {
	left, err := b.l.Remaining(ctx, LimitCharge{Limit: limit, Identifier: identifier})
	return left.RemainingLimit, err
}

func (b rateLimitBackend) ResetLimit(ctx context.Context, limit, identifier string) error {
	return b.l.Reset(ctx, limit, identifier)
}

type previews struct{ s *Sandboxes }

func (p previews) RunPreview(ctx context.Context, project Project) (Sandbox, error) {
	accepted, err := p.s.RunProject(ctx, project)
	if err != nil {
		return Sandbox{}, err
	}
	return p.s.Follow(ctx, accepted.ID, Progress{})
}

// maxGetLogs bounds what GetLogs holds in memory, in bytes.
const maxGetLogs = 16 << 20

func (p previews) GetLogs(ctx context.Context, id string) (string, error) {
	stream, err := p.s.Logs(ctx, id, LogOptions{})
	if err != nil {
		return "", err
	}
	defer stream.Close()
	text, err := io.ReadAll(io.LimitReader(stream, maxGetLogs))
	return string(text), err
}

func (p previews) Cleanup(ctx context.Context, id string) error {
	if _, err := p.s.Stop(ctx, id); err != nil {
		return err
	}
	for now, err := range p.s.Watch(ctx, id) {
		if err != nil {
			return err
		}
		if now.State.Ended() {
			return nil
		}
	}
	return context.Cause(ctx)
}
