package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"vibesdk-gcp/gateway"
)

func TestListedOriginsMayCall(t *testing.T) {
	t.Parallel()
	const page = "https://app.example.com"
	f := start(t, func(o *gateway.Options) {
		o.APIKey, o.Origins = "correct horse battery", []string{page, "http://localhost:5173"}
	})
	preflight := func(origin, method string) answer {
		return f.call(t, "OPTIONS", "/v1/sessions/chat/state", "", func(r *http.Request) {
			r.Header.Set("Origin", origin)
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Access-Control-Request-Method", method)
			r.Header.Set("Access-Control-Request-Headers", "authorization,if-match,content-type")
		})
	}
	got := preflight(page, "PATCH")
	if got.StatusCode != http.StatusNoContent || got.Header.Get("Access-Control-Allow-Origin") != page ||
		!strings.Contains(got.Header.Get("Access-Control-Allow-Methods"), "PATCH") ||
		!strings.Contains(got.Header.Get("Access-Control-Allow-Headers"), "If-Match") ||
		!strings.Contains(strings.Join(got.Header.Values("Vary"), ", "), "Origin") {
		t.Errorf("preflight: %s %v", got.Status, got.Header)
	}
	for _, origin := range []string{"https://app.example.com.evil.test", "https://evil.test", "http://app.example.com", "null", page + ":8443"} {
		got := preflight(origin, "PATCH")
		if got.StatusCode < 400 || got.Header.Get("Access-Control-Allow-Origin") != "" || got.Header.Get("Vary") == "" {
			t.Errorf("preflight of %s: %s %v", origin, got.Status, got.Header)
		}
	}
	from := func(origin string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Origin", origin)
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Authorization", "Bearer correct horse battery")
		}
	}
	got = f.call(t, "GET", "/v1/sandboxes", "", from(page))
	if got.StatusCode != http.StatusOK || got.Header.Get("Access-Control-Allow-Origin") != page || !strings.Contains(got.Header.Get("Access-Control-Expose-Headers"), "ETag") {
		t.Errorf("call: %s %v", got.Status, got.Header)
	}
	f.call(t, "GET", "/v1/sandboxes", "", from("https://evil.test")).wantProblem(t, 403, "cross-origin")
	f.call(t, "POST", "/v1/sandboxes", "{}", from("https://evil.test")).wantProblem(t, 403, "cross-origin")
	// A page that may call can read why it was refused.
	got = f.call(t, "GET", "/v1/sandboxes", "", header("Origin", page))
	got.wantProblem(t, 401, "unauthorized")
	if got.Header.Get("Access-Control-Allow-Origin") != page {
		t.Error("the page cannot read the error")
	}
	for _, a := range []answer{got, preflight(page, "PUT")} {
		if v := a.Header.Get("Access-Control-Allow-Credentials"); v != "" {
			t.Errorf("Access-Control-Allow-Credentials: %s", v)
		}
	}
}

func TestAllOriginsAreLetInWithoutCredentialsAndWithKeysOnly(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) { o.APIKey, o.Origins = "correct horse battery", []string{"*"} })
	got := f.call(t, "GET", "/v1/sandboxes", "", header("Origin", "https://any.test"), header("Authorization", "Bearer correct horse battery"))
	if got.StatusCode != http.StatusOK || got.Header.Get("Access-Control-Allow-Origin") != "*" || got.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%s %v", got.Status, got.Header)
	}
	o := f.gateway.Options
	for _, origins := range [][]string{{"app.test"}, {"https://app.test/path"}, {"https://a b"}, {"null"}, {""}} {
		o.Origins = origins
		if _, err := gateway.New(o); err == nil {
			t.Errorf("origins %q were taken", origins)
		}
	}
	o.Callers, o.APIKey, o.Origins = nil, "", []string{"*"}
	if _, err := gateway.New(o); err == nil {
		t.Error("without keys every page of the web may use this machine's server")
	}
}

// TestPagesOfAgentsMayCallThem: those that may connect may call as well, with headers of their own, and nothing but agents.
func TestPagesOfAgentsMayCallThem(t *testing.T) {
	t.Parallel()
	const page = "https://ui.app.test"
	f := startHost(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*") // the gateway says already who may read
		w.Header().Set("Access-Control-Allow-Credentials", "true")
	}, func(o *gateway.Options) {
		o.APIKey, o.Agents.Origins = "correct horse battery", []string{"*.app.test"}
	})
	from := func(origin string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Origin", origin)
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			if r.Method == http.MethodOptions {
				r.Header.Set("Access-Control-Request-Method", "POST")
				r.Header.Set("Access-Control-Request-Headers", "authorization,x-own")
			} else {
				r.Header.Set("Authorization", "Bearer correct horse battery")
			}
		}
	}
	got := f.call(t, "OPTIONS", "/agents/c/x", "", from(page))
	if got.StatusCode != http.StatusNoContent || got.Header.Get("Access-Control-Allow-Origin") != page || got.Header.Get("Access-Control-Allow-Headers") != "authorization,x-own" {
		t.Errorf("preflight: %s %v", got.Status, got.Header)
	}
	got = f.call(t, "POST", "/agents/c/x", "", from(page))
	if origins := got.Header.Values("Access-Control-Allow-Origin"); got.StatusCode != http.StatusOK || len(origins) != 1 || origins[0] != page || got.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("call: %s %v", got.Status, got.Header)
	}
	for _, at := range []string{"/v1/sandboxes", "/instances", "/api/ws-ticket"} {
		for _, method := range []string{"OPTIONS", "GET"} {
			if got := f.call(t, method, at, "", from(page)); got.StatusCode < 400 || got.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s %s: %s %v", method, at, got.Status, got.Header)
			}
		}
	}
	for _, origin := range []string{"https://app.test.evil.test", "https://app.test", "null"} {
		for _, method := range []string{"OPTIONS", "GET"} {
			if got := f.call(t, method, "/agents/c/x", "", from(origin)); got.StatusCode != http.StatusForbidden || got.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s from %s: %s %v", method, origin, got.Status, got.Header)
			}
		}
	}
}

// TestAllHostsMayNotConnectWithoutKeys: nor where clients sign in with cookies.
func TestAllHostsMayNotConnectWithoutKeys(t *testing.T) {
	t.Parallel()
	o := startVibe(t).gateway.Options
	for _, all := range []string{"*", "*:*", "*.*", "?*"} {
		o.Agents.Origins = []string{"app.test", all}
		for secret, keys := range map[string]string{"": "", jwtSecret: "correct horse battery"} {
			o.Callers, o.APIKey, o.VibeSDK.JWTSecret = nil, keys, secret
			if _, err := gateway.New(o); err == nil {
				t.Errorf("%s: every page of the web may connect", all)
			}
		}
		o.Callers, o.APIKey, o.VibeSDK.JWTSecret = nil, "correct horse battery", ""
		if _, err := gateway.New(o); err != nil {
			t.Errorf("%s with a key: %v", all, err)
		}
	}
}
