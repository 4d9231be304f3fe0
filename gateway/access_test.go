package gateway_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/gateway/auth"
)

// lines keeps what is logged.
type lines struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}

// requests are the lines of the access log.
func (l *lines) requests(t *testing.T) []map[string]any {
	t.Helper()
	var found []map[string]any
	for line := range strings.Lines(l.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		if fields["msg"] == "request" && fields["path"] != "/openapi.json" {
			found = append(found, fields)
		}
	}
	return found
}

func logTo(l *lines) func(*gateway.Options) {
	return func(o *gateway.Options) {
		o.Logger = slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
}

func TestEachRequestIsOneLineOfTheLog(t *testing.T) {
	t.Parallel()
	var log lines
	f := start(t, logTo(&log), callersOf(t, map[string]auth.Scope{"ci": auth.SandboxesRead}))
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	f.call(t, "GET", "/v1/sandboxes?limit=1&after=in-the-query", "", as("ci"), header("Traceparent", "00-"+trace+"-00f067aa0ba902b7-01"),
		header("Cookie", "session=in-the-cookie"), header("User-Agent", "tester/1"))
	f.call(t, "GET", "/v1/sandboxes", "", header("Authorization", "Bearer a-wrong-key"))
	f.call(t, "POST", "/v1/sandboxes", `{"env":{"KEY":"in-the-body"}}`, as("ci"))
	f.call(t, "GET", "/agents/counter/x?token=in-the-query", "", header("Upgrade", "websocket"), header("Connection", "Upgrade"))
	f.call(t, "GET", "/healthz", "")
	f.Close() // a line is written after its answer
	want := []map[string]any{
		{"method": "GET", "path": "/v1/sandboxes", "route": "GET /v1/sandboxes", "status": 200.0, "caller": "ci", "remote": "127.0.0.1", "user_agent": "tester/1", "trace_id": trace},
		{"status": 401.0, "caller": "", "route": "GET /v1/sandboxes"},
		{"status": 403.0, "caller": "ci", "route": "POST /v1/sandboxes"},
		{"path": "/agents/counter/x", "route": "GET /agents/{agent}/{name}"},
	}
	got := log.requests(t)
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d: %s", len(got), len(want), log.String())
	}
	for i := range want {
		for field, value := range want[i] {
			if got[i][field] != value {
				t.Errorf("line %d: %s = %v, want %v", i, field, got[i][field], value)
			}
		}
		if id, _ := got[i]["trace_id"].(string); len(id) != 32 || id == strings.Repeat("0", 32) {
			t.Errorf("line %d: trace_id %q", i, id)
		}
		if size, _ := got[i]["bytes"].(float64); i < 3 && size == 0 {
			t.Errorf("line %d: %v bytes", i, got[i]["bytes"])
		}
	}
	for _, secret := range []string{"in-the-query", "in-the-cookie", "in-the-body", "a-wrong-key", "ci key", auth.Digest("ci key")} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has %q: %s", secret, log.String())
		}
	}
}

func TestLongTextsAreCutInTheLog(t *testing.T) {
	t.Parallel()
	var log lines
	f := start(t, logTo(&log))
	f.call(t, "GET", "/v1/"+strings.Repeat("x", 5000), "", header("User-Agent", strings.Repeat("y", 5000)))
	f.Close()
	if n := len(log.String()); n > 2000 {
		t.Errorf("the line has %d bytes", n)
	}
}

func TestEveryAnswerHasTheHeadersOfSecurity(t *testing.T) {
	t.Parallel()
	f := start(t)
	for _, path := range []string{"/v1/sandboxes", "/v1/nothing", "/healthz", "/openapi.json", "/agents/x/y", "/instances"} {
		h := f.call(t, http.MethodGet, path, "").Header
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
			"Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "no-referrer",
		} {
			if h.Get(name) != want {
				t.Errorf("%s: %s = %q, want %q", path, name, h.Get(name), want)
			}
		}
	}
}
