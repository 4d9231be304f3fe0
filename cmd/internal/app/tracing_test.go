package app_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/internal/testenv"
)

// TestATraceGoesFromTheRequestToTheCommit follows one write through the gateway, the bus, the state writer and the connections of the
// session by what a collector gets.
func TestATraceGoesFromTheRequestToTheCommit(t *testing.T) {
	t.Parallel()
	to := testenv.NewCollector(t)
	c := config(t)
	c.Telemetry.Endpoint, c.Telemetry.SampleRatio = to.URL, 1
	w := start(t, c)

	ws, _, err := websocket.Dial(within(t), "ws://"+w.Addr()+"/agents/traced/s", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	for range 2 { // what a client is told first
		if _, _, err := ws.Read(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(within(t), http.MethodPut, "http://"+w.Addr()+"/v1/sessions/traced%2Fs/state?token=secret-query", strings.NewReader(`{"secret":"state"}`))
	if err != nil {
		t.Fatal(err)
	}
	const trace, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Traceparent", "00-"+trace+"-"+caller+"-01")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode >= 300 {
		t.Fatalf("the write got %s", resp.Status)
	}
	if _, frame, err := ws.Read(within(t)); err != nil || !strings.Contains(string(frame), "secret") {
		t.Fatalf("the client got %q, %v", frame, err)
	}
	_, _, metrics := w.get(t, "http://"+w.Addr(), "/metrics")
	for _, want := range []string{
		`events_waiting{state="ready",subscription="statewriter"} 0`, `sandbox_records{state="ready"} 0`, "session_commits_total", "gateway_request_duration_seconds",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("a scrape lacks %s", want)
		}
	}
	w.stop() // sends what is left

	spans := to.Spans()
	find := func(name string, ok func(testenv.Span) bool) testenv.Span {
		t.Helper()
		i := slices.IndexFunc(spans, func(s testenv.Span) bool { return s.Name == name && ok(s) })
		if i < 0 {
			t.Fatalf("no span %q of the right parent; there are %+v", name, spans)
		}
		return spans[i]
	}
	request := find("PUT /v1/sessions/{id}/state", func(s testenv.Span) bool { return s.TraceID == trace && s.Parent == caller })
	publish := find("publish state-mutations", func(s testenv.Span) bool { return s.Parent == request.ID })
	process := find("process statewriter", func(s testenv.Span) bool { return slices.Contains(s.Links, publish.ID) })
	find("commit session", func(s testenv.Span) bool { return s.Parent == process.ID })
	find("broadcast session", func(s testenv.Span) bool { return s.Parent == request.ID })
	for _, s := range spans {
		for key, value := range s.Attributes {
			if strings.Contains(value, "secret") {
				t.Errorf("span %s tells %s=%s", s.Name, key, value)
			}
		}
	}
	if !strings.HasPrefix(to.Resource("service.name"), "vibed") {
		t.Errorf("the spans come from %q", to.Resource("service.name"))
	}
	for _, want := range []string{"events.settled", "session.commits", "gateway.request.duration"} {
		if !slices.Contains(to.Metrics(), want) {
			t.Errorf("the collector did not get %s: %q", want, to.Metrics())
		}
	}
}

// TestStopsWithoutItsCollector: what was not exported is lost, and the stop is as good as any other.
func TestStopsWithoutItsCollector(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Telemetry.Endpoint, c.Telemetry.SampleRatio = "http://127.0.0.1:1", 1 // nothing listens there
	w := start(t, c, app.RoleGateway)
	if _, err := w.client.Limits().List(within(t)); err != nil {
		t.Error(err)
	}
	w.stop()
}
