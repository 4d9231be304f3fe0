package router_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/router"
)

func TestAppGetsTheRequestAsItCame(t *testing.T) {
	t.Parallel()
	got := make(chan *http.Request, 1)
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		got <- r
		w.Header().Add("Set-Cookie", "s=1")
	}, func(o *router.Options) { o.AllowedOrigins = []string{"https://build.example.com"} })
	r := w.request(http.MethodGet, "shop.localhost:8787", "/cart?a=1;b", nil)
	everything(r.Header)
	r.Header.Set("Origin", "https://build.example.com")
	res := w.do(r)

	in := await(t, "the request", got)
	want := http.Header{
		"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {"shop.localhost:8787"}, "X-Forwarded-Proto": {"http"}, "Range": {"bytes=0-3"},
		"Origin": {"https://build.example.com"},
	}
	for _, name := range []string{"Accept", "Accept-Language", "Accept-Encoding", "Content-Type", "User-Agent", "If-None-Match",
		"If-Modified-Since", "Cache-Control", "Pragma", "Referer", "Cookie", "Authorization", "X-Api-Key", "X-Sandbox-Name",
		"Sec-Fetch-Site", "X-Goog-Iap-Jwt-Assertion", "Cf-Access-Jwt-Assertion", "Priority", "Via",
		"Sec-Websocket-Key"} {
		want.Set(name, "sent-"+name)
	}
	if diff := cmp.Diff(want, in.Header); diff != "" {
		t.Errorf("headers at the app (-want +got):\n%s", diff)
	}
	if in.RequestURI != "/cart?a=1;b" || in.Host != w.upstreamHost() {
		t.Errorf("got %s at %s", in.RequestURI, in.Host)
	}
	if res.Header.Get("X-Preview-Type") != "dispatcher" || res.Header.Get("Set-Cookie") != "s=1" ||
		res.Header.Get("Access-Control-Allow-Origin") != "https://build.example.com" || res.Header.Get("Vary") != "Origin" {
		t.Errorf("response headers: %v", res.Header)
	}
	if w.activity.count() != 0 {
		t.Error("traffic to an app counted as activity of a sandbox")
	}
}

func TestAppRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	w.deploy("edge", deployment.TargetCloudflare, "edge") // and there is no bridge
	w.deploy("dead", deployment.TargetProcess, "127.0.0.1:1")
	for _, test := range []struct {
		host   string
		status int
		body   string
	}{
		{"none.localhost", http.StatusNotFound, "This application is not currently available."},
		{"-.localhost", http.StatusNotFound, "This application is not currently available."},
		{"dead.localhost", http.StatusInternalServerError, "An error occurred while loading this application."},
		{"edge.localhost", http.StatusInternalServerError, "An error occurred while loading this application."},
		{"127.0.0.1:8787", http.StatusForbidden, "Access denied. Please use the assigned domain name."},
		{"10.1.2.3", http.StatusForbidden, "Access denied. Please use the assigned domain name."},
		{"example.com", http.StatusNotFound, "Not Found"},
		{"[::1]:8787", http.StatusNotFound, "Not Found"},
		{"1.2.3.4.5", http.StatusNotFound, "Not Found"},
	} {
		r := w.request(http.MethodGet, test.host, "/", nil)
		r.Header.Set("Origin", "http://localhost:5173")
		res := w.do(r)
		wantAnswer(t, res, test.status, test.body)
		wantBare(t, res)
	}
	for _, app := range []string{"app=dead", "app=edge"} {
		if !strings.Contains(w.log.String(), app) {
			t.Errorf("log does not name %s: %s", app, w.log)
		}
	}
	// An app's own 500 is its own: no text, and not an error of the dispatcher.
	res := w.get("Shop.eu.localhost.", "/")
	wantAnswer(t, res, http.StatusInternalServerError, "")
	if res.Header.Get("X-Preview-Type") != "dispatcher" {
		t.Errorf("headers: %v", res.Header)
	}
}

func TestAppChangesTakeEffectAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("one")) })
	wantAnswer(t, w.get("shop.localhost", "/"), http.StatusOK, "one")
	if err := w.table.DeleteApp(t.Context(), "shop", deployment.Write{}); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, w.get("shop.localhost", "/"), http.StatusNotFound, "This application is not currently available.")
	w.deploy("shop", deployment.TargetCloudRun, w.upstream.URL)
	wantAnswer(t, w.get("shop.localhost", "/"), http.StatusOK, "one")
}
