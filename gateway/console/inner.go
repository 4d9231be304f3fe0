package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	"vibesdk-gcp/gateway/client"
)

// client calls the API in this process as who is signed in, for a provider; empty is the first. Calls are made once: a person sees what
// failed and may do it again.
func (c *Console) client(r *http.Request, token, provider string) *client.Client {
	api, err := client.New("http://console", client.Options{
		APIKey: token, RetryFor: -1, HTTP: &http.Client{Transport: inner{api: c.o.API, outer: r, provider: provider}},
	})
	if err != nil {
		panic(err) // the address is a constant
	}
	return api
}

// inner is a transport to a handler in this process.
type inner struct {
	api      http.Handler
	outer    *http.Request
	provider string
}

// caller makes a request one of the person whom the outer request is from: limits count addresses, and without keys the API looks
// at the host.
func (t inner) caller(req *http.Request) {
	req.Host, req.RemoteAddr, req.TLS = t.outer.Host, t.outer.RemoteAddr, t.outer.TLS
	req.RequestURI = req.URL.RequestURI()
	req.Header.Set("User-Agent", t.outer.UserAgent())
	if t.provider != "" {
		req.Header.Set(providerHeader, t.provider)
	}
}

// RoundTrip implements http.RoundTripper. The answer streams.
func (t inner) RoundTrip(req *http.Request) (*http.Response, error) {
	in := req.Clone(req.Context())
	t.caller(in)
	if in.Body == nil {
		in.Body = http.NoBody
	}
	body, to := io.Pipe()
	w := &answer{header: http.Header{}, to: to, begun: make(chan struct{})}
	stop := context.AfterFunc(req.Context(), func() { to.CloseWithError(context.Cause(req.Context())) })
	go func() {
		defer stop()
		defer in.Body.Close()
		// Nil is the end of the answer. One that ends because nobody waits for it any more may be half of one.
		to.CloseWithError(cmp.Or(w.run(t.api, in), context.Cause(in.Context())))
	}()
	select {
	case <-w.begun:
	case <-req.Context().Done():
		return nil, context.Cause(req.Context())
	}
	if w.failed != nil {
		return nil, w.failed
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: w.sent, Body: body, ContentLength: -1, Request: req,
	}, nil
}

// answer is what a handler writes to. Its fields are the handler's until begun is closed, and then who reads them.
type answer struct {
	header http.Header
	to     *io.PipeWriter

	once   sync.Once
	begun  chan struct{}
	status int
	sent   http.Header
	failed error
}

var errAborted = errors.New("the answer broke off")

func (w *answer) run(h http.Handler, r *http.Request) (err error) {
	defer func() {
		if recover() != nil { // the server would log what is not http.ErrAbortHandler; here the person is told
			err = errAborted
		}
		w.once.Do(func() {
			if w.failed = err; err == nil {
				w.status, w.sent = http.StatusOK, w.header.Clone()
			}
			close(w.begun)
		})
	}()
	h.ServeHTTP(w, r)
	return nil
}

// Header implements http.ResponseWriter.
func (w *answer) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *answer) WriteHeader(status int) {
	if status < http.StatusOK {
		return
	}
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.begun)
	})
}

// Write implements http.ResponseWriter.
func (w *answer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.to.Write(p)
}

// Flush implements http.Flusher: what is written is read at once.
func (w *answer) Flush() { w.WriteHeader(http.StatusOK) }

// stream lets the API answer the browser itself, with server-sent events.
func (v *visit) stream(path ...string) error {
	address := ""
	for _, segment := range path {
		address += "/" + url.PathEscape(segment)
	}
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	query := v.r.URL.Query()
	query.Del(providerQuery)
	u.RawQuery = query.Encode()
	in := v.r.Clone(v.r.Context())
	in.URL = u
	in.Header = http.Header{"Accept": {"text/event-stream"}}
	if last := v.r.Header.Get("Last-Event-ID"); last != "" {
		in.Header.Set("Last-Event-ID", last)
	}
	if v.token != "" {
		in.Header.Set("Authorization", "Bearer "+v.token)
	}
	inner{outer: v.r, provider: v.provider}.caller(in)
	v.c.o.API.ServeHTTP(v.w, in)
	return nil
}
