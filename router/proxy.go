package router

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"vibesdk-gcp/platform/deployment"
)

// exchange is one request on its way to an upstream and back.
type exchange struct {
	router    *Router
	begun     time.Time
	counted   bool // in the metrics
	kind      site
	name      string // sandbox id or app name
	place     deployment.Place
	pulse     *pulse // nil: nobody listens
	websocket bool

	gated      bool   // the app is its owner's alone
	ownerToken string // to become a cookie
	split      bool   // the app has two places
	visitor    string // to become a cookie

	upstream  *url.URL
	transport http.RoundTripper
	identity  string // ID token

	client *http.Request
	w      http.ResponseWriter
	upload *upload
	ctx    context.Context
	cancel context.CancelFunc
	loose  func() bool // undoes endWithRouter
}

func (x *exchange) serve(w http.ResponseWriter, r *http.Request) {
	x.client, x.w, x.websocket = r, w, isWebSocket(r)
	if r.ContentLength > x.router.maxBody {
		x.refuse(w, http.StatusRequestEntityTooLarge, bodyTooLargeText)
		return
	}
	key := busyKey{x.kind, x.name}
	seats, ok := x.router.busy.enter(key, nil)
	if !ok {
		x.router.failed(r, "admit", x.kind, x.name, errors.New("too many requests are under way"))
		w.Header().Set("Retry-After", "1")
		x.refuse(w, http.StatusServiceUnavailable, busyText)
		return
	}
	defer x.router.busy.leave(seats)
	if err := x.prepare(r); err != nil {
		x.fail(w, r, err)
		return
	}
	x.ctx, x.cancel = context.WithCancel(r.Context())
	defer x.finish()
	out := r.WithContext(x.ctx)
	if r.ContentLength != 0 {
		x.upload = &upload{ReadCloser: r.Body, pulse: x.pulse, left: x.router.maxBody}
		out.Body = x.upload
		// Without this the server swallows up to 256 KiB of a body that is still on its way upstream when the answer
		// begins. Writers that cannot do it (HTTP/2, recorders) do not swallow either.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}

	x.pulse.touch()
	if x.websocket {
		x.endWithRouter()
	} else {
		r.Header.Del("Upgrade") // any other protocol would get past the rules for requests
	}
	proxy := httputil.ReverseProxy{
		Rewrite: x.rewrite, ModifyResponse: x.modify, ErrorHandler: x.fail,
		Transport: x.transport, BufferPool: x.router.buffers, ErrorLog: x.router.silence,
	}
	proxy.ServeHTTP(w, out)
}

// prepare finds out how the place is reached.
func (x *exchange) prepare(r *http.Request) (err error) {
	if err := x.router.endpoints.Check(x.place); err != nil {
		return err
	}
	if x.place.Target == deployment.TargetCloudflare {
		// The Worker sees the address that the visitor sees.
		x.upstream = &url.URL{Scheme: x.scheme(), Host: r.Host}
		x.transport = dispatch{x.router.dispatch, x.place.Endpoint}
		return nil
	}
	if x.upstream, err = deployment.ParseEndpoint(x.place.Endpoint); err != nil {
		return err
	}
	x.transport = x.router.services
	if x.place.Target == deployment.TargetProcess {
		x.transport = x.router.local
	}
	if x.place.Audience == "" {
		return nil
	}
	if x.router.identity == nil {
		return errors.New("the app has an audience, and the router no identity")
	}
	if x.identity, err = x.router.identity.Token(r.Context(), x.place.Audience); err != nil {
		return fmt.Errorf("ID token: %w", err)
	}
	return nil
}

// finish runs also when ReverseProxy panics to break the client's connection.
func (x *exchange) finish() {
	if !x.websocket { // how long one was open says nothing about use
		x.pulse.touch()
	}
	if x.loose != nil {
		x.loose()
	}
	x.cancel()
}

// endWithRouter makes Close end this exchange.
func (x *exchange) endWithRouter() { x.loose = context.AfterFunc(x.router.life, x.cancel) }

func (x *exchange) rewrite(pr *httputil.ProxyRequest) {
	out := pr.Out
	out.Host = "" // the upstream's own
	out.URL.Scheme, out.URL.Host = x.upstream.Scheme, x.upstream.Host
	// ReverseProxy drops what it cannot parse of the query; it means something to the app.
	out.URL.RawQuery = pr.In.URL.RawQuery
	if x.kind == previewSite {
		previewRequest(pr, x.name, x.scheme(), x.websocket)
		return
	}
	if x.gated {
		out.URL.RawQuery = withoutOwnerToken(out.URL.RawQuery)
	}
	appRequest(pr, x.scheme())
	if x.identity != "" {
		out.Header.Set(identityHeader, "Bearer "+x.identity)
	}
}

func (x *exchange) scheme() string {
	switch {
	case x.router.scheme != "":
		return x.router.scheme
	case x.client.TLS != nil:
		return "https"
	}
	return "http"
}

// answered counts the answer once: an upgrade can still fail after its head.
func (x *exchange) answered(status int) {
	if !x.counted {
		x.counted = true
		x.router.metrics.answered(x.kind, status, x.begun)
	}
}

// refuse answers without the upstream, or in its place.
func (x *exchange) refuse(w http.ResponseWriter, status int, text string) {
	x.answered(status)
	reply(w, status, text)
}

func (x *exchange) modify(res *http.Response) error {
	x.answered(res.StatusCode)
	x.follow(res)
	scopeCookies(res.Header)
	if res.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	if _, ok := res.Header["Content-Type"]; !ok {
		x.w.Header()["Content-Type"] = nil // or the server would guess one
	}
	kind := "dispatcher"
	if x.kind == previewSite {
		kind = "sandbox"
		if res.StatusCode == http.StatusInternalServerError {
			kind = "sandbox-error"
		}
	}
	x.router.mark(res.Header, kind, x.client.Header.Get("Origin"))
	switch {
	case x.gated:
		keepPrivate(res.Header)
	case x.split:
		res.Header["Vary"] = append(res.Header["Vary"], "Cookie")
	}
	secure := x.scheme() == "https"
	if x.ownerToken != "" {
		res.Header.Add("Set-Cookie", ownerCookie(x.ownerToken, secure))
	}
	if x.visitor != "" {
		res.Header.Add("Set-Cookie", newVisitorCookie(x.visitor, secure))
	}
	return nil
}

// fail answers when the upstream did not.
func (x *exchange) fail(w http.ResponseWriter, _ *http.Request, err error) {
	switch {
	case x.upload != nil && x.upload.large.Load():
		x.refuse(w, http.StatusRequestEntityTooLarge, bodyTooLargeText)
	case x.upload != nil && x.upload.broken.Load():
		x.refuse(w, http.StatusBadRequest, badBodyText)
	case x.kind == previewSite:
		x.router.failed(x.client, "reach upstream", x.kind, x.name, err)
		x.router.mark(w.Header(), "sandbox-error", x.client.Header.Get("Origin"))
		x.refuse(w, http.StatusInternalServerError, routingErrorText)
	default:
		x.router.failed(x.client, "reach upstream", x.kind, x.name, err)
		x.refuse(w, http.StatusInternalServerError, appErrorText)
	}
}

// lost hears of an upstream that ended within a response. The client sees its connection break.
func (x *exchange) lost(err error) { x.router.failed(x.client, "read response", x.kind, x.name, err) }
