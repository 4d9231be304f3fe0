package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/google/uuid"
)

// Sandboxes are the calls about sandboxes.
type Sandboxes struct{ c *Client }

// Run asks for a sandbox. It returns when the request is durable; the record follows when a runner takes it.
func (s *Sandboxes) Run(ctx context.Context, req RunRequest) (Accepted, error) {
	if req.RequestID == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return Accepted{}, err
		}
		req.RequestID = id.String()
	}
	var out Accepted
	err := s.c.json(ctx, call{method: http.MethodPost, path: []string{"v1", "sandboxes"}, body: jsonBody(req)}, &out)
	return out, err
}

// Get returns a sandbox.
func (s *Sandboxes) Get(ctx context.Context, id string) (Sandbox, error) {
	var out Sandbox
	err := s.c.json(ctx, call{method: http.MethodGet, path: []string{"v1", "sandboxes", id}}, &out)
	return out, err
}

// List returns all sandboxes in the given states, or in any, ordered by id. It reads page by page.
func (s *Sandboxes) List(ctx context.Context, states ...State) ([]Sandbox, error) {
	query := url.Values{"limit": {"1000"}}
	for _, state := range states {
		query.Add("state", string(state))
	}
	var all []Sandbox
	for {
		var page struct {
			Sandboxes []Sandbox `json:"sandboxes"`
			Next      string    `json:"next"`
		}
		if err := s.c.json(ctx, call{method: http.MethodGet, path: []string{"v1", "sandboxes"}, query: query}, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Sandboxes...)
		if page.Next == "" {
			return all, nil
		}
		query.Set("after", page.Next)
	}
}

// Stop asks for the end of a sandbox and returns it as it was. To stop one that has ended is no error.
func (s *Sandboxes) Stop(ctx context.Context, id string) (Sandbox, error) {
	var out Sandbox
	err := s.c.json(ctx, call{method: http.MethodPost, path: []string{"v1", "sandboxes", id + ":stop"}}, &out)
	return out, err
}

// LogOptions select a log.
type LogOptions struct {
	// Phase is `build`, `serve`, or empty for one after the other.
	Phase string
	// Offset skips bytes of the one phase named.
	Offset int64
	// Limit is how many bytes of the one phase named there are at most; 0 is no limit. It goes without Follow.
	Limit int64
	// Follow goes on until the sandbox has ended, or the phase named has.
	Follow bool
}

// Logs streams what a sandbox printed. The caller closes the stream.
func (s *Sandboxes) Logs(ctx context.Context, id string, o LogOptions) (io.ReadCloser, error) {
	query := url.Values{}
	if o.Phase != "" {
		query.Set("phase", o.Phase)
	}
	if o.Offset > 0 {
		query.Set("offset", strconv.FormatInt(o.Offset, 10))
	}
	if o.Limit > 0 {
		query.Set("limit", strconv.FormatInt(o.Limit, 10))
	}
	if o.Follow {
		query.Set("follow", "1")
	}
	resp, err := s.c.do(ctx, call{method: http.MethodGet, path: []string{"v1", "sandboxes", id, "logs"}, query: query})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}
