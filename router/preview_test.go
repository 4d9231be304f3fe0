package router_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/router"
)

// everything is what a browser, a proxy and an attacker may send.
func everything(h http.Header) {
	for _, name := range []string{
		"Accept", "Accept-Language", "Accept-Encoding", "Content-Type", "User-Agent", "If-None-Match", "If-Modified-Since",
		"Cache-Control", "Pragma", "Referer", "Origin",
		"Cookie", "Authorization", "Proxy-Authorization", "X-Api-Key", "X-Forwarded-For", "X-Forwarded-User", "X-Real-Ip", "Forwarded",
		"X-Original-Url", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Sandbox-Name", "Te", "Keep-Alive", "Sec-Fetch-Site",
		"X-Goog-Iap-Jwt-Assertion", "Cf-Access-Jwt-Assertion", "Priority", "Via", "Sec-Websocket-Key",
	} {
		h.Set(name, "sent-"+name)
	}
	h.Set("Range", "bytes=0-3")
}

func TestPreviewRequestHeaders(t *testing.T) {
	t.Parallel()
	got := make(chan *http.Request, 1)
	w := newWorld(t, func(_ http.ResponseWriter, r *http.Request) { got <- r })
	r := w.request(http.MethodPost, strings.ToUpper(w.previewHost()[:5])+w.previewHost()[5:]+":8787", "/a/b?x=1&y=%zz;z", strings.NewReader("body"))
	everything(r.Header)
	w.do(r)

	want := http.Header{
		"Content-Length": {"4"}, "Range": {"bytes=0-3"},
		"X-Original-Url":    {"http://" + r.Host + "/a/b?x=1&y=%zz;z"},
		"X-Forwarded-Host":  {r.Host},
		"X-Forwarded-Proto": {"http"},
		"X-Sandbox-Name":    {sandboxID},
	}
	for _, name := range []string{"Accept", "Accept-Language", "Accept-Encoding", "Content-Type", "User-Agent", "If-None-Match",
		"If-Modified-Since", "Cache-Control", "Pragma", "Referer", "Origin"} {
		want.Set(name, "sent-"+name)
	}
	in := await(t, "the request", got)
	if diff := cmp.Diff(want, in.Header); diff != "" {
		t.Errorf("headers at the app (-want +got):\n%s", diff)
	}
	if in.Host != w.upstreamHost() {
		t.Errorf("Host at the app: %s, want %s", in.Host, w.upstreamHost())
	}
	if in.RequestURI != "/a/b?x=1&y=%zz;z" {
		t.Errorf("request target at the app: %s", in.RequestURI)
	}
}

func TestPreviewAddsNoUserAgent(t *testing.T) {
	t.Parallel()
	got := make(chan http.Header, 1)
	w := newWorld(t, func(_ http.ResponseWriter, r *http.Request) { got <- r.Header })
	r := w.request(http.MethodGet, w.previewHost(), "/", nil)
	r.Header.Set("User-Agent", "")
	w.do(r)
	if h := await(t, "the request", got); h["User-Agent"] != nil || h["Accept-Encoding"] != nil {
		t.Errorf("headers nobody sent: %v", h)
	}
}

func TestPreviewTargetsCrossUnchanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.RequestURI)) })
	for _, target := range []string{
		"/", "/a%2Fb", "/a%20b/%E2%82%AC", "//double", "/a//b/../c/./d", "/?", "/?a=1;b=2&&c", "/@vite/client?import&t=1",
		"/node_modules/.vite/deps/chunk-A.js?v=1f", "/x?next=http://e.com/%00", "/sub/.sandbox/",
	} {
		raw := rawExchange(t, w.front, "GET "+target+" HTTP/1.1\r\nHost: "+w.previewHost()+"\r\nConnection: close\r\n\r\n")
		if got := bodyOf(t, raw); got != target {
			t.Errorf("sent %s, the app got %s", target, got)
		}
	}
}

func TestPreviewRefusals(t *testing.T) {
	t.Parallel()
	var contacts atomic.Int32
	w := newWorld(t, func(http.ResponseWriter, *http.Request) { contacts.Add(1) })
	w.router.ServeHTTP(httptest.NewRecorder(), w.request(http.MethodGet, w.previewHost(), "/", nil))
	if contacts.Load() != 1 {
		t.Fatal("the right token does not work, so refusals prove nothing")
	}
	start := w.activity.count()

	domain := ".preview.localhost"
	for name, host := range map[string]string{
		"wrong token": sandboxID + "-" + otherKey + domain, "unknown sandbox": "sbx-unknown-" + token + domain,
		"no token": sandboxID + domain, "short token": sandboxID + "-" + token[1:] + domain, "domain itself": domain[1:],
		"two labels": "x." + w.previewHost(), "empty label": domain, "stand-in token": sandboxID + "-" + strings.Repeat("-", 16) + domain,
		"unknown with stand-in": "sbx-unknown-" + strings.Repeat("-", 16) + domain,
	} {
		r := w.request(http.MethodGet, host, "/", nil)
		r.Header.Set("Origin", "https://build.example.com")
		res := w.do(r)
		t.Log(name)
		wantAnswer(t, res, http.StatusNotFound, "Not found")
		wantBare(t, res)
		if kind := res.Header.Get("Content-Type"); kind != "text/plain; charset=utf-8" {
			t.Errorf("content type %s", kind)
		}
	}
	for _, target := range []string{"/.sandbox/v1/files", "/.sandbox", "/%2esandbox/v1/files", "//.sandbox/v1/", "/%2e/%2Esandbox%2fv1", "/a/..%2f.sandbox/v1"} {
		for _, host := range []string{w.previewHost(), "shop.localhost"} {
			res := rawExchange(t, w.front, "GET "+target+" HTTP/1.1\r\nHost: "+host+"\r\nAuthorization: Bearer x\r\nConnection: close\r\n\r\n")
			t.Log(host, target)
			wantAnswer(t, res, http.StatusNotFound, "Not found")
			wantBare(t, res)
		}
	}
	if contacts.Load() != 1 || w.activity.count() != start {
		t.Errorf("refusals made %d contacts and %d touches", contacts.Load()-1, w.activity.count()-start)
	}
	if strings.Contains(w.log.String(), token) || strings.Contains(w.log.String(), otherKey) {
		t.Error("a token is in the log")
	}
}

func TestPreviewGenerations(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) })
	second := deployment.Preview{SandboxID: sandboxID, Token: otherKey, Fence: 2, Endpoint: w.upstreamHost()}
	secondHost := second.Label() + ".preview.localhost"

	wantAnswer(t, w.get(w.previewHost(), "/"), http.StatusOK, "hello")
	wantAnswer(t, w.get(secondHost, "/"), http.StatusNotFound, "Not found")
	if err := w.table.PutPreview(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, w.get(w.previewHost(), "/"), http.StatusNotFound, "Not found") // stale at once
	wantAnswer(t, w.get(secondHost, "/"), http.StatusOK, "hello")
	if err := w.table.WithdrawPreview(t.Context(), sandboxID, 2); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, w.get(secondHost, "/"), http.StatusNotFound, "Not found")
}

func TestPreviewResponseHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Set-Cookie"] = []string{"a=1; Path=/", "b=2; HttpOnly"}
		h.Set("Vary", "Accept")
		h.Set("X-Preview-Type", "forged")
		h.Set("Access-Control-Expose-Headers", "X-Secret")
		h.Set("Content-Security-Policy", "default-src 'self'")
		h.Set("Keep-Alive", "timeout=5")
		h.Set("Connection", "X-Hop")
		h.Set("X-Hop", "1")
		h["Content-Type"] = nil
		status, _ := strconv.Atoi(r.URL.Query().Get("status"))
		w.WriteHeader(status)
		if status != http.StatusNoContent && status != http.StatusNotModified {
			_, _ = w.Write([]byte("<html>"))
		}
	}, func(o *router.Options) { o.AllowedOrigins = []string{"https://Build.example.com/"} })

	for _, status := range []int{200, 204, 206, 304, 404, 500, 501, 502, 503} {
		r := w.request(http.MethodGet, w.previewHost(), "/?status="+strconv.Itoa(status), nil)
		r.Header.Set("Origin", "https://build.example.com")
		res := w.do(r)
		kind := "sandbox"
		if status == 500 {
			kind = "sandbox-error"
		}
		got := res.Header.Clone()
		got.Del("Date")
		got.Del("Content-Length")
		if diff := cmp.Diff(http.Header{
			"Set-Cookie": {"a=1; Path=/", "b=2; HttpOnly"}, "Vary": {"Accept", "Origin"}, "X-Preview-Type": {kind},
			"Access-Control-Expose-Headers": {"X-Preview-Type"}, "Access-Control-Allow-Origin": {"https://build.example.com"},
			"Content-Security-Policy": {"default-src 'self'"},
		}, got); diff != "" || res.StatusCode != status {
			t.Errorf("status %d for %d, headers (-want +got):\n%s", res.StatusCode, status, diff)
		}
	}
	r := w.request(http.MethodOptions, w.previewHost(), "/?status=200", nil)
	r.Header.Set("Origin", "https://evil.example.com")
	if res := w.do(r); res.Header.Get("Access-Control-Allow-Origin") != "" || res.Header.Get("X-Preview-Type") != "sandbox" {
		t.Errorf("OPTIONS from a foreign origin: %v", res.Header)
	}
}

func TestPreviewUpstreamDead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(http.ResponseWriter, *http.Request) {}, func(o *router.Options) { o.DevOrigins = true })
	w.upstream.Close()
	r := w.request(http.MethodPost, w.previewHost(), "/", strings.NewReader("x"))
	r.Header.Set("Origin", "http://localhost:5173")
	res := w.do(r)
	wantAnswer(t, res, http.StatusInternalServerError, "Proxy routing error")
	if res.Header.Get("X-Preview-Type") != "sandbox-error" || res.Header.Get("Access-Control-Allow-Origin") != "http://localhost:5173" {
		t.Errorf("headers: %v", res.Header)
	}
	if log := w.log.String(); !strings.Contains(log, sandboxID) || strings.Contains(log, token) {
		t.Errorf("log must name the sandbox and not the token: %s", log)
	}
}

func TestPreviewLookupFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(http.ResponseWriter, *http.Request) {})
	if err := w.table.Close(); err != nil {
		t.Fatal(err)
	}
	res := w.get(w.previewHost(), "/")
	wantAnswer(t, res, http.StatusInternalServerError, "Proxy routing error")
	wantBare(t, res)
	if !strings.Contains(w.log.String(), `step="look up"`) {
		t.Errorf("log: %s", w.log)
	}
}

func TestPreviewRedirectPasses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/login?next=%2F", http.StatusSeeOther)
	})
	res := w.get(w.previewHost(), "/")
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/login?next=%2F" {
		t.Errorf("got %d to %s", res.StatusCode, res.Header.Get("Location"))
	}
}

func TestScheme(t *testing.T) {
	t.Parallel()
	got := make(chan http.Header, 1)
	w := newWorld(t, func(_ http.ResponseWriter, r *http.Request) { got <- r.Header }, func(o *router.Options) { o.Scheme = "https" })
	w.get(w.previewHost(), "/x")
	h := await(t, "the request", got)
	if h.Get("X-Forwarded-Proto") != "https" || h.Get("X-Original-Url") != "https://"+w.previewHost()+"/x" {
		t.Errorf("headers: %v", h)
	}
}

func TestOptionsRefused(t *testing.T) {
	t.Parallel()
	lookup := (*deployment.Table)(nil)
	for _, o := range []router.Options{
		{PreviewDomain: "preview.localhost"}, {Lookup: lookup}, {PreviewDomain: "preview.localhost", Lookup: lookup, Scheme: "ftp"},
	} {
		if _, err := router.New(o); err == nil {
			t.Errorf("accepted %+v", o)
		}
	}
}
