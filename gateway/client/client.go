package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Options tune [New]. The zero value is right for a server on this machine.
type Options struct {
	// APIKey is sent as a bearer token when not empty.
	APIKey string
	// HTTP sends the requests. Defaults to a client without a timeout, since streams are long: contexts bound calls.
	HTTP *http.Client
	// RetryFor is how long a call that may be repeated is repeated before its error is returned. Defaults to 5 s;
	// negative means that calls are made once.
	RetryFor time.Duration
}

// Client calls one gateway. It is safe for concurrent use.
type Client struct {
	base     *url.URL
	key      string
	http     *http.Client
	retryFor time.Duration
}

// New returns a client of the gateway at base, like http://127.0.0.1:8787. It does not connect.
func New(base string, o Options) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("server address %q must be http://host:port or https://host", base)
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{}
	}
	if o.RetryFor == 0 {
		o.RetryFor = 5 * time.Second
	}
	return &Client{base: u, key: o.APIKey, http: o.HTTP, retryFor: o.RetryFor}, nil
}

// Address is the server's, as it was given to [New].
func (c *Client) Address() string { return c.base.String() }

// Sandboxes returns the calls about sandboxes.
func (c *Client) Sandboxes() *Sandboxes { return &Sandboxes{c: c} }

// Sessions returns the calls about agent sessions.
func (c *Client) Sessions() *Sessions { return &Sessions{c: c} }

// call is one request to the server.
type call struct {
	method string
	// path elements are escaped one by one.
	path  []string
	query url.Values
	// body makes the request's body, once for each try. Nil means none.
	body func() (io.Reader, error)
	size int64
	kind string
	// header holds more headers; nil means none.
	header http.Header
	// once forbids a second try: what the call does is not the same when done twice.
	once bool
}

func jsonBody(v any) func() (io.Reader, error) {
	return func() (io.Reader, error) {
		data, err := json.Marshal(v)
		return bytes.NewReader(data), err
	}
}

// marshal writes JSON as it is given: the standard form would respell <, > and & inside of it.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return out.Bytes(), err
}

// do sends a call and returns an answer with a success status. The caller closes its body.
func (c *Client) do(ctx context.Context, in call) (*http.Response, error) {
	if in.once || c.retryFor < 0 {
		return c.try(ctx, in)
	}
	wait := &patientBackOff{BackOff: backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(50*time.Millisecond),
		backoff.WithMaxInterval(2*time.Second),
		backoff.WithMaxElapsedTime(c.retryFor),
	), end: time.Now().Add(c.retryFor)}
	return backoff.RetryWithData(func() (*http.Response, error) {
		resp, err := c.try(ctx, in)
		wait.ask(err)
		if err != nil && !errors.Is(err, ErrUnreachable) && !errors.Is(err, ErrUnavailable) {
			err = backoff.Permanent(err)
		}
		return resp, err
	}, backoff.WithContext(wait, ctx))
}

// patientBackOff waits at least as long as the server said.
type patientBackOff struct {
	backoff.BackOff

	end   time.Time
	asked time.Duration
}

// ask takes Retry-After from the error of a try.
func (b *patientBackOff) ask(err error) {
	b.asked = 0
	if e, ok := asError(err); ok {
		b.asked = e.RetryAfter
	}
}

// NextBackOff implements backoff.BackOff. It gives up when the server asks to wait past the end.
func (b *patientBackOff) NextBackOff() time.Duration {
	next := b.BackOff.NextBackOff()
	if next == backoff.Stop || b.asked <= next {
		return next
	}
	if time.Now().Add(b.asked).After(b.end) {
		return backoff.Stop
	}
	return b.asked
}

func (c *Client) try(ctx context.Context, in call) (*http.Response, error) {
	u := c.base.JoinPath(escape(in.path)...)
	u.RawQuery = in.query.Encode()
	var body io.Reader
	if in.body != nil {
		var err error
		if body, err = in.body(); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, in.method, u.String(), body)
	if err != nil {
		return nil, err
	}
	if in.size > 0 {
		req.ContentLength = in.size
	}
	if in.kind == "" {
		in.kind = "application/json"
	}
	if body != nil {
		req.Header.Set("Content-Type", in.kind)
	}
	for name, values := range in.header {
		req.Header[name] = values
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	resp, err := c.send(ctx, req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		defer resp.Body.Close()
		return nil, errorOf(resp)
	}
	return resp, nil
}

func (c *Client) send(ctx context.Context, req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err == nil {
		return resp, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, fmt.Errorf("%w at %s: %w", ErrUnreachable, c.base, unwrapURL(err))
}

// json sends a call and reads its answer into out; nil reads nothing.
func (c *Client) json(ctx context.Context, in call, out any) error {
	resp, err := c.do(ctx, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("the answer of %s %s is not understood: %w", in.method, c.base, err)
	}
	return nil
}

func escape(path []string) []string {
	out := make([]string, len(path))
	for i, p := range path {
		if out[i] = url.PathEscape(p); p == "." || p == ".." { // as they are, they would be taken for steps
			out[i] = strings.ReplaceAll(p, ".", "%2E")
		}
	}
	return out
}

// unwrapURL drops the method and address that net/http puts before an error: ours has the address already.
func unwrapURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
