// Package hostclient calls an HTTP server of the operator's own: all of it below one address, with one key.
package hostclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.opentelemetry.io/otel/propagation"
)

// Headers of each call, beside Authorization and traceparent.
const (
	// IdempotencyKey is the same for each delivery of one call.
	IdempotencyKey = "Idempotency-Key"
	// TimeoutHeader says after how many milliseconds nobody waits for the answer any more.
	TimeoutHeader = "Agent-Timeout-Ms"
)

// maxErrorText is how many bytes of an answer's body an error quotes.
const maxErrorText = 200

// Client calls one server. It is safe for concurrent use.
type Client struct {
	base      *url.URL // its path is without a slash at the end
	key       string
	transport *http.Transport
	http      *http.Client
}

// New checks the address, http or https with or without a path. The key is sent as a bearer token; empty sends none. idle is how many
// connections are kept open without a call on them. Errors do not repeat the address: what was meant for another setting may
// be in there.
func New(address, key string, idle int) (*Client, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, errors.New("address must be like https://host or http://127.0.0.1:8080/path")
	case u.User != nil:
		return nil, errors.New("address must not hold a user or a password")
	case u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return nil, errors.New("address must not have a query or a fragment")
	}
	base, err := url.Parse(strings.TrimSuffix(u.String(), "/"))
	if err != nil {
		return nil, errors.New("address must be like https://host or http://127.0.0.1:8080/path")
	}
	c := &Client{base: base, key: key, transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns:        idle,
		MaxIdleConnsPerHost: idle,
		IdleConnTimeout:     90 * time.Second,
	}}
	// A redirect would send the payload and the key to wherever it points.
	c.http = &http.Client{Transport: c.transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

// Request makes a call to the path of the segments, each of which is percent-encoded, so that it stays one whatever is in it.
func (c *Client) Request(ctx context.Context, method string, body io.Reader, segments ...string) (*http.Request, error) {
	var address strings.Builder
	address.WriteString(c.base.String())
	for _, s := range segments {
		address.WriteString("/" + Segment(s))
	}
	req, err := http.NewRequestWithContext(ctx, method, address.String(), body)
	if err != nil {
		return nil, fmt.Errorf("make the call: %w", err)
	}
	c.Sign(ctx, req.Header)
	return req, nil
}

// Sign adds the key and the trace of ctx to a call.
func (c *Client) Sign(ctx context.Context, h http.Header) {
	h.Set("User-Agent", "vibesdk-gcp")
	if c.key != "" {
		h.Set("Authorization", "Bearer "+c.key)
	}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
}

// Address is the address of an escaped path below the server's, with a query as it was written.
func (c *Client) Address(escapedPath, query string) (*url.URL, error) {
	u, err := url.Parse(c.base.String() + escapedPath)
	if err != nil {
		return nil, fmt.Errorf("make the call: %w", err)
	}
	u.RawQuery = query
	return u, nil
}

// Do makes the call. Redirects are answers.
func (c *Client) Do(req *http.Request) (*http.Response, error) { return c.http.Do(req) }

// HTTP is the client of [Client.Do], and Transport what is below it.
func (c *Client) HTTP() *http.Client { return c.http }

// Transport makes calls that pass answers on as they are.
func (c *Client) Transport() http.RoundTripper { return c.transport }

// Close closes idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// SetTimeout tells the server how long its answer is waited for.
func SetTimeout(h http.Header, timeout time.Duration) {
	h.Set(TimeoutHeader, strconv.FormatInt(timeout.Milliseconds(), 10))
}

// Segment is one segment of a path. A dot segment would be taken for a direction.
func Segment(text string) string {
	if text == "." || text == ".." {
		return strings.ReplaceAll(text, ".", "%2E")
	}
	return url.PathEscape(text)
}

// NotConnected reports whether a call failed before anything of it was sent.
func NotConnected(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	return untrusted
}

// Cause is why a call failed, without the address: it would repeat what people know in every error.
func Cause(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err
	}
	return err
}

// Quote is the beginning of an answer on one line, after a colon; empty when there is none.
func Quote(answer []byte) string {
	text := string(answer[:min(len(answer), maxErrorText)])
	text = strings.ToValidUTF8(text, "")
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if text == "" {
		return ""
	}
	return ": " + text
}
