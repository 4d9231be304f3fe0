package router_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/router"
)

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	var contacts atomic.Int32
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		contacts.Add(1)
		if body, err := io.ReadAll(r.Body); err == nil {
			_, _ = w.Write(body)
		}
	}, func(o *router.Options) { o.MaxBody = 1000 })
	full, over := strings.Repeat("x", 1000), strings.Repeat("x", 1001)
	for _, host := range []string{w.previewHost(), "shop.localhost"} {
		wantAnswer(t, w.do(w.request(http.MethodPost, host, "/", strings.NewReader(full))), http.StatusOK, full)
		before := contacts.Load()
		wantAnswer(t, w.do(w.request(http.MethodPost, host, "/", strings.NewReader(over))), http.StatusRequestEntityTooLarge, "Request body too large")
		if contacts.Load() != before {
			t.Error("a body whose length says that it is too large reached the app")
		}
		wantAnswer(t, w.do(w.request(http.MethodPost, host, "/", io.MultiReader(strings.NewReader(full)))), http.StatusOK, full)
		wantAnswer(t, w.do(w.request(http.MethodPost, host, "/", io.MultiReader(strings.NewReader(over)))), http.StatusRequestEntityTooLarge, "Request body too large")
	}
	if strings.Contains(w.log.String(), "not served") {
		t.Errorf("log blames the app: %s", w.log)
	}
}

// TestOneAppCannotTakeAllConnections: neither can a WebSocket be had beyond the limit, and others go on.
func TestOneAppCannotTakeAllConnections(t *testing.T) {
	t.Parallel()
	started, finish := make(chan struct{}), make(chan struct{})
	w := newWorld(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			started <- struct{}{}
			<-finish
		}
	}, func(o *router.Options) { o.MaxPerApp = 3 })
	w.deploy("other", deployment.TargetProcess, w.upstreamHost())
	done := make(chan *http.Response, 3)
	for range 3 {
		r := w.request(http.MethodGet, "shop.localhost", "/slow", nil)
		go func() { done <- w.do(r) }()
		await(t, "a slow request", started)
	}
	for _, path := range []string{"GET / HTTP/1.1\r\nConnection: close\r\n", "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"} {
		res := rawExchange(t, w.front, path+"Host: shop.localhost\r\n\r\n")
		wantAnswer(t, res, http.StatusServiceUnavailable, "Too many connections")
		wantBare(t, res)
		if res.Header.Get("Retry-After") != "1" {
			t.Errorf("headers %v", res.Header)
		}
	}
	wantAnswer(t, w.get("other.localhost", "/"), http.StatusOK, "")
	wantAnswer(t, w.get(w.previewHost(), "/"), http.StatusOK, "")
	close(finish)
	for range 3 {
		wantAnswer(t, await(t, "the end of a slow request", done), http.StatusOK, "")
	}
	w.serving.Wait()
	wantAnswer(t, w.get("shop.localhost", "/"), http.StatusOK, "")
}

// passport is an identity under the test's control.
type passport struct {
	asked atomic.Int32
	err   error
}

func (p *passport) Token(_ context.Context, audience string) (string, error) {
	p.asked.Add(1)
	return "token-for-" + audience, p.err
}

func TestServicesLearnWhoAsks(t *testing.T) {
	t.Parallel()
	got := make(chan http.Header, 1)
	id := &passport{}
	w := newWorld(t, func(_ http.ResponseWriter, r *http.Request) { got <- r.Header }, func(o *router.Options) { o.Identity = id })
	place := deployment.Place{Target: deployment.TargetCloudRun, Endpoint: w.upstream.URL, Audience: "https://shop.run.app"}
	w.put(deployment.App{Name: "closed", Place: place})
	ask := func(host string) *http.Request {
		r := w.request(http.MethodGet, host, "/", nil)
		r.Header.Set("Authorization", "Bearer of-the-visitor")
		r.Header.Set("X-Serverless-Authorization", "Bearer forged")
		return r
	}
	w.do(ask("closed.localhost"))
	h := await(t, "the request", got)
	if h.Get("X-Serverless-Authorization") != "Bearer token-for-https://shop.run.app" || h.Get("Authorization") != "Bearer of-the-visitor" {
		t.Errorf("headers at the service: %v", h)
	}
	for _, host := range []string{"shop.localhost", w.previewHost()} { // no audience: no token, and none that the visitor made up
		w.do(ask(host))
		if h := await(t, "the request", got); h.Get("X-Serverless-Authorization") != "" {
			t.Errorf("%s: headers %v", host, h)
		}
	}
	if id.asked.Load() != 1 {
		t.Errorf("asked for %d tokens", id.asked.Load())
	}
	id.err = errors.New("no metadata server")
	res := w.do(ask("closed.localhost"))
	wantAnswer(t, res, http.StatusInternalServerError, "An error occurred while loading this application.")
	if !strings.Contains(w.log.String(), "no metadata server") || strings.Contains(w.log.String(), "token-for") {
		t.Errorf("log: %s", w.log)
	}
}
