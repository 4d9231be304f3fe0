package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"vibesdk-gcp/gateway"
)

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func host(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }

func TestWithoutAKeyOnlyLoopbackNamesAnswer(t *testing.T) {
	t.Parallel()
	f := start(t)
	for name, want := range map[string]int{
		"localhost": 200, "localhost:8787": 200, "LOCALHOST:1": 200, "localhost.": 200, "127.0.0.1:9": 200, "[::1]:9": 200, "[::1]": 200,
		"evil.example": 421, "localhost.evil.example": 421, "127.0.0.1.nip.io": 421, "10.0.0.1:8787": 421, "x.localhost": 421,
	} {
		got := f.call(t, "GET", "/v1/sandboxes", "", host(name))
		if got.StatusCode != want {
			t.Errorf("Host %q: %d, want %d", name, got.StatusCode, want)
		}
		if want == 421 {
			got.wantProblem(t, 421, "wrong-host")
		}
	}
}

func TestPagesOfOtherOriginsAreRefused(t *testing.T) {
	t.Parallel()
	f := start(t)
	for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
		for _, site := range []string{"cross-site", "same-site"} {
			f.call(t, method, "/v1/sandboxes", "{}", header("Sec-Fetch-Site", site)).wantProblem(t, 403, "cross-origin")
		}
	}
	// A browser without Sec-Fetch-Site still sends Origin with what can change something.
	f.call(t, "POST", "/v1/sandboxes", "{}", header("Origin", "http://sbx-a-b.preview.localhost:8787")).wantProblem(t, 403, "cross-origin")
	if len(f.outbox.sent) != 0 {
		t.Errorf("a refused call published %d messages", len(f.outbox.sent))
	}
	for _, site := range []string{"none", "same-origin"} {
		if got := f.call(t, "GET", "/v1/sandboxes", "", header("Sec-Fetch-Site", site)); got.StatusCode != http.StatusOK {
			t.Errorf("Sec-Fetch-Site %s: %d, want 200", site, got.StatusCode)
		}
	}
	got := f.call(t, "GET", "/v1/sandboxes", "", header("Origin", "http://elsewhere.test"))
	if v := got.Header.Get("Access-Control-Allow-Origin"); v != "" {
		t.Errorf("Access-Control-Allow-Origin = %q, want none ever", v)
	}
}

func TestKeyIsRequiredOnceSet(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) { o.APIKey = "correct horse battery" })
	for value, want := range map[string]int{
		"": 401, "Bearer": 401, "Bearer ": 401, "Bearer wrong": 401, "Basic correct horse battery": 401,
		"Bearer correct horse battery": 200, "bearer correct horse battery": 200,
	} {
		// With a key any host may be used: this is how a server for others runs.
		got := f.call(t, "GET", "/v1/sandboxes", "", header("Authorization", value), host("api.example.com"))
		if got.StatusCode != want {
			t.Errorf("Authorization %q: %d, want %d", value, got.StatusCode, want)
		}
	}
	if got := f.call(t, "GET", "/healthz", ""); got.StatusCode != http.StatusOK {
		t.Errorf("/healthz without a key: %d, want 200", got.StatusCode)
	}
	f.call(t, "GET", "/metrics", "").wantProblem(t, 401, "unauthorized")
}

func TestUnknownRoutesAndMethods(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.call(t, "GET", "/v2/nothing", "").wantProblem(t, 404, "no-route")
	f.call(t, "POST", "/v1/sandboxes/sbx-aaaaaaaaaaaaaaaa:fly", "").wantProblem(t, 404, "no-route")
	got := f.call(t, "PATCH", "/v1/sandboxes", "")
	got.wantProblem(t, 405, "no-method")
	if allow := got.Header.Get("Allow"); !strings.Contains(allow, "POST") || !strings.Contains(allow, "GET") {
		t.Errorf("Allow = %q, want GET and POST", allow)
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	broken := errors.New("secret detail")
	var err error
	f := start(t, func(o *gateway.Options) { o.Ready = func(context.Context) error { return err } })
	if got := f.call(t, "GET", "/readyz", ""); got.StatusCode != http.StatusOK {
		t.Errorf("/readyz = %d, want 200", got.StatusCode)
	}
	err = broken
	got := f.call(t, "GET", "/readyz", "")
	got.wantProblem(t, 503, "unavailable")
	if strings.Contains(got.body, "secret") {
		t.Errorf("/readyz tells the cause to callers: %s", got.body)
	}
	err = nil
	f.gateway.Drain()
	f.call(t, "GET", "/readyz", "").wantProblem(t, 503, "unavailable")
}
