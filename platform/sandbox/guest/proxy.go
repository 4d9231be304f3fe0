package guest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"
)

// proxyWait is how long a request waits for a development server that is being started.
const proxyWait = 10 * time.Second

// newProxy returns a proxy, WebSocket included, to wherever await says. The router in front filters headers;
// this one passes them on as they are, but for Host, which names the server itself: development servers
// refuse names they do not know.
func newProxy(await func(context.Context) (string, error), log *phaseLog) http.Handler {
	transport := &upstream{await: await, base: &http.Transport{
		Proxy:                 nil, // the server is on this machine
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		MaxIdleConnsPerHost:   128,
		IdleConnTimeout:       4 * time.Second, // Node closes after 5 s, and a POST that meets the closing is lost
		DisableCompression:    true,
		WriteBufferSize:       32 << 10,
		ReadBufferSize:        32 << 10,
		ExpectContinueTimeout: time.Second,
	}}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme = "http"
			r.Out.URL.RawQuery = r.In.URL.RawQuery
			r.Out.Host = ""
			for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				if values, ok := r.In.Header[name]; ok {
					r.Out.Header[name] = values
				}
			}
		},
		Transport:     transport,
		FlushInterval: -1,
		BufferPool:    &buffers{},
		ErrorLog:      log.standard(),
		ErrorHandler:  proxyError,
	}
}

func proxyError(w http.ResponseWriter, r *http.Request, err error) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	switch {
	case r.Context().Err() != nil:
		w.WriteHeader(499) // nobody reads it
	case errors.Is(err, errNotAnswering):
		h.Set("Retry-After", "2")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "The development server is starting. Try again in a moment.\n")
	default:
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "The development server ended the connection.\n")
	}
}

// upstream sends requests to wherever the development server answers at the moment.
type upstream struct {
	await func(context.Context) (string, error)
	base  *http.Transport
}

// RoundTrip waits for the server, and once more when it has just gone. A request is sent again only if no
// connection came about, so the server has seen none of it.
func (u *upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), proxyWait)
	defer cancel()
	if r.Body != nil && r.Body != http.NoBody {
		// The transport closes the body of a request that it could not send; ReverseProxy closes it at the end.
		r.Body = io.NopCloser(r.Body)
	}
	for {
		address, err := u.await(ctx)
		if err != nil {
			return nil, err
		}
		r.URL.Host = address
		resp, err := u.base.RoundTrip(r)
		if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "dial" {
			return resp, err
		}
		select {
		case <-time.After(probePause):
		case <-ctx.Done():
			return nil, errNotAnswering
		}
	}
}

// buffers is a pool of copy buffers.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if buf, ok := b.pool.Get().(*[]byte); ok {
		return *buf
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(buf []byte) { b.pool.Put(&buf) }
