package gateway

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	nooptrace "go.opentelemetry.io/otel/trace/noop"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/sandbox"
)

// request is one that a fuzzer made up, as the server would hand it on; nil when it would not.
func request(method, target string, header ...string) *http.Request {
	u, err := url.ParseRequestURI(target)
	if err != nil || !strings.HasPrefix(target, "/") {
		return nil
	}
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Method, r.URL, r.RequestURI = method, u, target
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func FuzzPublishBody(f *testing.F) {
	f.Add([]byte(`{"messages":[{"data":"e30=","attributes":{"ce-id":"1"},"orderingKey":"a"}]}`))
	f.Add([]byte(`{"messages":[{"data":"-_8","ordering_key":"b"},{}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		msgs, err := readMessages(bytes.NewReader(body), events.StateMutations)
		if err != nil {
			if googleOf(err, problemOf(err)).code != http.StatusBadRequest {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		for _, m := range msgs {
			if m.ID == "" || events.StateMutations.Validate(m.Data) != nil {
				t.Errorf("%q: message %+v", body, m)
			}
		}
	})
}

func FuzzLimitBody(f *testing.F) {
	f.Add("increment", []byte(`{"charges":[{"limit":"a","identifier":"u","n":1.5,"config":{"limit":1,"period":60}}],"reserve":true}`))
	f.Add("settle", []byte(`{"reservation":{"id":"r","charges":[{"limit":"a","identifier":"u","n":1}]},"actual":2}`))
	f.Add("settle", []byte(`{"reservation":{"id":"r","charges":[{},{}]},"actuals":[1,2.5]}`))
	f.Add("one check", []byte(`{"n":1e308}`))
	f.Add("increment", []byte(`{"charges":[{"n":1},{"config":{"limit":[{"a":NaN`))
	f.Fuzz(func(t *testing.T, method string, body []byte) {
		var b limitRequest
		if decodeLimitRequest(body, &b) != nil || b.only(method) != nil {
			return
		}
		charges, err := b.charges()
		if err != nil {
			if problemOf(err).Status != http.StatusBadRequest {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		for _, c := range charges {
			if ratelimit.ValidateKey(ratelimit.Key(c.Limit, c.Identifier)) != nil && utf8.ValidString(c.Limit) && !strings.ContainsFunc(c.Limit, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("%q: the charge %+v has no valid key", body, c)
			}
			if ratelimit.ValidateCharge(c.N) != nil {
				t.Errorf("%q: cost %v", body, c.N)
			}
		}
	})
}

func FuzzLogID(f *testing.F) {
	for _, id := range []string{"1.build.0", "9223372036854775807.serve.9223372036854775807", "1.build.-0", "end", ".."} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		fence, phase, offset, err := parseLogID(id)
		if err == nil && (logID(fence, phase, offset) != id || fence < 1 || offset < 0 || phase != sandbox.PhaseBuild && phase != sandbox.PhaseServe) {
			t.Errorf("%q is %d, %q, %d", id, fence, phase, offset)
		}
	})
}

// What callers say in headers never panics, and what is taken of it stays in bounds.
func FuzzCallHeaders(f *testing.F) {
	f.Add("Bearer abc", "text/event-stream;q=0.1, */*", "https://app.example.com", "websocket", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "/v1/sandboxes/x/logs?offset=1&phase=build")
	f.Add("bearer  ", "text/event-stream;q=0", "null", "WebSocket , x", "00-0-0-0", "/agents/a/b?token=x;y")
	f.Fuzz(func(t *testing.T, authorization, accept, origin, upgrade, trace, target string) {
		r := request(http.MethodGet, target, "Authorization", authorization, "Accept", accept, "Origin", origin, "Upgrade", upgrade, "Traceparent", trace)
		if r == nil {
			return
		}
		g := &Gateway{Options: Options{Origins: []string{"https://app.example.com"}}, protection: http.NewCrossOriginProtection()}
		if g.listed(origin) && !strings.EqualFold(origin, "https://app.example.com") {
			t.Errorf("origin %q is listed", origin)
		}
		if token := bearer(r); token != "" && !strings.Contains(authorization, token) && r.URL.Query().Get("token") != token {
			t.Errorf("token %q of %q", token, authorization)
		}
		if accepts(r, eventStreamType) && !strings.Contains(strings.ToLower(accept), eventStreamType) {
			t.Errorf("Accept %q", accept)
		}
		_ = g.foreign(r)
		_, _ = traced(r, nooptrace.NewTracerProvider().Tracer(""))
		if l, err := g.logRequest(r); err == nil && (l.offset < 0 || l.offset > 0 && l.only == "") {
			t.Errorf("%q: offset %d of %q", target, l.offset, l.only)
		}
	})
}

// A path leads to one row at most, and the wildcards of it are the text of the path.
func FuzzRoutes(f *testing.F) {
	for _, target := range []string{
		"/v1/sessions/a%2Fb/state", "/v1/sessions/%2F:destroy", "/v1/sessions/a:b:clone", "/v1/limits:check", "/v1/limits/x/ip:1:reset",
		"/v1/projects/p/topics/t:publish", "/agents/a/b%20c/d", "/v1//sandboxes", "/v1/sandboxes/../sessions", "/v1/sandboxes/x/files/a/b", "/instances/x/github/push",
	} {
		f.Add("POST", target)
		f.Add("GET", target)
	}
	g := &Gateway{}
	table := newTable(g.routes())
	f.Fuzz(func(t *testing.T, method, target string) {
		r := request(method, target)
		if r == nil || method == http.MethodConnect {
			return
		}
		path := r.URL.Path
		row, seen := table.find(r)
		if row == nil {
			if seen.chosen == nil && seen.status < http.StatusMultipleChoices {
				t.Errorf("%s %q has no row and the status %d", method, target, seen.status)
			}
			return
		}
		if row.path != agentRoute && row.method != method && (row.method != http.MethodGet || method != http.MethodHead) {
			t.Errorf("%s %q leads to %s %s", method, target, row.method, row.path)
		}
		if _, action := row.split(); action != "" && !strings.HasSuffix(path, ":"+action) {
			t.Errorf("%s %q leads to the method %s", method, target, action)
		}
	})
}
