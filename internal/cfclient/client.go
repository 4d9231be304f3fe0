package cfclient

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

// Options say where the bridge is.
type Options struct {
	// URL is the bridge's origin, such as https://bridge.example.com.
	URL string
	// Key is the bridge's secret. It is in no error.
	Key string
	// Timeout bounds one attempt of a call, its body included. Defaults to 30 s.
	Timeout time.Duration
	// Tries is how often a safe call is tried. Defaults to 4.
	Tries int
	// Transport defaults to one of the client's own, with up to 256 connections kept open.
	Transport http.RoundTripper
}

// Client calls the bridge. It is safe for concurrent use.
type Client struct {
	base    *url.URL
	key     string
	timeout time.Duration
	tries   int
	http    *http.Client
}

// New returns a client. It fails for what can never work; it does not call the bridge.
func New(o Options) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(o.URL, "/"))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.Path != "" || base.RawQuery != "" || base.User != nil {
		return nil, errors.New("bridge: the URL must be an origin such as https://bridge.example.com")
	}
	if o.Key == "" || strings.ContainsFunc(o.Key, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return nil, errors.New("bridge: the key must be printable ASCII without spaces")
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Tries <= 0 {
		o.Tries = 4
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, DisableCompression: true,
			MaxIdleConns: 256, MaxIdleConnsPerHost: 256, IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
		}
	}
	// A redirect would carry what it is given to somebody else.
	hc := &http.Client{Transport: o.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &Client{base: base, key: o.Key, timeout: o.Timeout, tries: o.Tries, http: hc}, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Request is one call.
type Request struct {
	// Method defaults to GET.
	Method string
	// Path begins with /v1 and needs no escaping.
	Path   string
	Query  url.Values
	Header http.Header
	// Body is sent piece after piece.
	Body [][]byte
	// Safe says that doing it twice is the same as once.
	Safe bool
}

// Response is an answer that is no refusal.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// maxAnswer bounds what is read into memory.
const maxAnswer = 128 << 20

// Do makes a call and reads the whole answer. A refusal is an [Error]. Any other error leaves open whether it happened.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	pause := backoff.NewExponentialBackOff(backoff.WithInitialInterval(50*time.Millisecond), backoff.WithRandomizationFactor(1),
		backoff.WithMaxInterval(2*time.Second), backoff.WithMaxElapsedTime(0))
	for try := 1; ; try++ {
		response, err := c.once(ctx, r)
		if err == nil || !r.Safe || try == c.tries || ctx.Err() != nil || !transient(err) {
			return response, err
		}
		if sleep(ctx, pause.NextBackOff()) != nil {
			return nil, err
		}
	}
}

func (c *Client) once(ctx context.Context, r Request) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request, err := c.request(ctx, r)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fault(r, err)
	}
	defer response.Body.Close()
	body, err := readAll(response)
	if err != nil {
		return nil, fault(r, err)
	}
	if refusal := refused(response, body); refusal != nil {
		return nil, refusal
	}
	return &Response{Status: response.StatusCode, Header: response.Header, Body: body}, nil
}

func (c *Client) request(ctx context.Context, r Request) (*http.Request, error) {
	target := *c.base
	target.Path, target.RawQuery = r.Path, r.Query.Encode()
	readers, size := make([]io.Reader, len(r.Body)), int64(0)
	for i, piece := range r.Body {
		readers[i] = bytes.NewReader(piece)
		size += int64(len(piece))
	}
	var body io.Reader = http.NoBody
	if size > 0 {
		body = io.MultiReader(readers...)
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, target.String(), body)
	if err != nil {
		return nil, err
	}
	request.ContentLength = size
	if r.Header != nil {
		request.Header = r.Header.Clone()
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	return request, nil
}

// readAll reads an answer into memory that is as large as it needs.
func readAll(response *http.Response) ([]byte, error) {
	if response.ContentLength > maxAnswer {
		return nil, fmt.Errorf("the answer has %d bytes, the limit is %d", response.ContentLength, maxAnswer)
	}
	if response.ContentLength >= 0 {
		body := make([]byte, response.ContentLength)
		_, err := io.ReadFull(response.Body, body)
		return body, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	return body, err
}

// JSON makes a call and decodes the answer into out, unless out is nil.
func (c *Client) JSON(ctx context.Context, r Request, out any) error {
	response, err := c.Do(ctx, r)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(response.Body, out); err != nil {
		return fault(r, fmt.Errorf("decode the answer: %w", err))
	}
	return nil
}

func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
