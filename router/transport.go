package router

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

func newTransport(dialer *net.Dialer, headerTimeout time.Duration) *http.Transport {
	return &http.Transport{
		Proxy:       nil, // upstreams are ours; a proxy from the environment must not see them
		DialContext: dialer.DialContext,
		// Instances on Cloud Run speak HTTP/2 over TLS.
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: 5 * time.Second,
		// A browser's page load opens dozens of requests at once; the default of two idle connections would dial
		// for nearly each of them.
		MaxIdleConns:        2048,
		MaxIdleConnsPerHost: 256,
		// Node closes idle connections after 5 s. Reusing one at that moment would fail a request that has a body.
		IdleConnTimeout:        4 * time.Second,
		ResponseHeaderTimeout:  headerTimeout,
		MaxResponseHeaderBytes: 256 << 10,
		ExpectContinueTimeout:  time.Second,
		DisableCompression:     true, // bodies pass as they are
	}
}

// dispatch sends a request to a Worker of the dispatch namespace.
type dispatch struct {
	to     Dispatcher
	worker string
}

// RoundTrip implements http.RoundTripper.
func (d dispatch) RoundTrip(r *http.Request) (*http.Response, error) {
	if d.to == nil {
		return nil, errors.New("no bridge is set up to reach Workers through")
	}
	return d.to.Forward(r, "/v1/dispatch/"+d.worker, nil)
}

// bufferPool lends the buffers through which bodies are copied.
type bufferPool struct{ pool sync.Pool }

func newBufferPool() *bufferPool {
	return &bufferPool{sync.Pool{New: func() any { return new([32 << 10]byte) }}}
}

func (b *bufferPool) Get() []byte { return b.pool.Get().(*[32 << 10]byte)[:] }

func (b *bufferPool) Put(buf []byte) { b.pool.Put((*[32 << 10]byte)(buf)) }
