package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/schemas/gen"
)

// open opens a page whose agent is connected and identified.
func (n *nodeClients) open(t *testing.T, conn, host, agent, name string) {
	t.Helper()
	n.do(t, "connect", conn, map[string]any{
		"host": host, "agent": agent, "name": name, "minReconnectionDelay": 50, "maxReconnectionDelay": 200,
		"connectionTimeout": agentDeadline.Milliseconds(), // a busy machine is none of the page's business
	})
	if e, _ := n.until(t, conn, "identity"); e.Name != name {
		t.Errorf("identity %+v", e)
	}
}

// TestReactPages: pages with the unmodified React hook, in a browser. The gateway goes in between, and nothing that was
// written is lost.
func TestReactPages(t *testing.T) {
	t.Parallel()
	n := runNode(t, "testdata/agents-page", "drive.mjs", testenv.Chromium(t))
	n.until(t, "", "ready")
	l, h := startLab(t)
	options := l.gateway.Options
	options.Agents.Origins = []string{"127.0.0.1:*"}
	first, err := gateway.New(options)
	if err != nil {
		t.Fatal(err)
	}
	server := serveAt(t, testenv.Address(t), first)
	host := hostOf(server.URL)

	n.open(t, "A", host, "counter-agent", "page")
	n.open(t, "B", host, "counter-agent", "page")
	n.wantState(t, "A", "server", `{"counter":0}`)
	n.wantState(t, "B", "server", `{"counter":0}`)
	n.do(t, "setState", "A", map[string]any{"state": map[string]any{"counter": 41}})
	n.wantState(t, "B", "server", `{"counter":41}`)
	n.do(t, "setState", "B", map[string]any{"state": map[string]any{"counter": 42}})
	n.wantState(t, "A", "server", `{"counter":42}`)
	l.put(t, "counter-agent/page", gen.StateMutation_PUT, "", `{"counter":50,"bus":true}`)
	for _, conn := range []string{"A", "B"} {
		n.wantState(t, conn, "server", `{"counter":50,"bus":true}`)
		n.do(t, "show", conn, map[string]any{"call": 1})
		if e, _ := n.until(t, conn, "shown"); !sameJSON(t, e.Data, `{"counter":50,"bus":true}`) {
			t.Errorf("%s shows %s", conn, e.Data)
		}
	}
	for i, c := range []struct{ op, method, args, event, want, chunks string }{
		{"call", "increment", `[1]`, "result", "51", "[]"},
		{"call", "getFullState", `[]`, "result", `{"counter":51}`, "[]"},
		{"call", "throwError", `[]`, "failure", "boom", "[]"},
		{"stream", "streamNumbers", `[3]`, "result", "3", "[0,1,2]"},
		{"stream", "streamThrow", `[]`, "failure", "stream failed", `["chunk1"]`},
	} {
		n.do(t, c.op, "A", map[string]any{"call": 10 + i, "method": c.method, "args": json.RawMessage(c.args)})
		e, _ := n.until(t, "A", c.event)
		chunks, err := json.Marshal(append([]json.RawMessage{}, e.Chunks...))
		got := string(e.Result)
		if c.event == "failure" {
			got = e.Error
		}
		if err != nil || e.Call != 10+i || got != c.want || string(chunks) != c.chunks {
			t.Errorf("%s%s: %+v with chunks %s", c.method, c.args, e, chunks)
		}
	}
	n.wantState(t, "B", "server", `{"counter":51}`)
	n.do(t, "get", "A", map[string]any{"call": 19})
	if e, _ := n.until(t, "A", "fetched"); e.Code != http.StatusOK || !strings.Contains(e.Data, `"name":"page"`) {
		t.Errorf("agentFetch from another origin: %+v", e)
	}

	first.Drain()
	server.Close()
	for _, conn := range []string{"A", "B"} {
		if e, _ := n.until(t, conn, "close"); e.Code != 1012 {
			t.Errorf("%s is closed with %d %s, want 1012", conn, e.Code, e.Reason)
		}
	}
	l.put(t, "counter-agent/page", gen.StateMutation_PUT, "", `{"counter":60}`)
	// What the pages do meanwhile is kept by the client, and done when it is connected again.
	n.do(t, "call", "A", map[string]any{"call": 20, "method": "increment", "args": []any{2}})
	for r, err := range l.store.Watch(t.Context(), "counter-agent/page", 0) {
		if state, _ := r.State(); err != nil || string(state) == `{"counter":60}` {
			break
		}
	}
	second, err := gateway.New(options)
	if err != nil {
		t.Fatal(err)
	}
	again := serveAt(t, host, second)
	defer again.Close()
	defer second.Drain()
	if e, _ := n.until(t, "A", "result"); string(e.Result) != "62" {
		t.Errorf("a call that waited for the restart: %+v", e)
	}
	n.wantState(t, "A", "server", `{"counter":62}`)
	n.wantState(t, "B", "server", `{"counter":62}`)
	ids := map[string]int{}
	for _, r := range h.requests("connections") {
		ids[r.call.Connection.ID]++
	}
	if len(ids) != 2 {
		t.Errorf("pages came with the connection ids %v, each must come again with its own", ids)
	}
	if n := len(h.requests("connections")); n < 4 {
		t.Errorf("%d connections", n)
	}
	if got := l.call(t, "GET", "/healthz", ""); got.StatusCode != http.StatusOK {
		t.Errorf("health: %d", got.StatusCode)
	}
}
