package gateway_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/schemas/gen"
)

// nodeClients is a Node process with unmodified clients of the agents package.
type nodeClients struct {
	in     io.Writer
	events chan nodeEvent
	kept   []nodeEvent // read and not asked for yet
}

// nodeEvent is what testdata/agents/client.mjs tells, and testdata/agents-page/drive.mjs.
type nodeEvent struct {
	Conn, Event, Name, Agent, Source, Reason, Data, Error string
	Call                                                  int
	Code                                                  int
	State, Result                                         json.RawMessage
	Chunks                                                []json.RawMessage
}

func startNode(t *testing.T) *nodeClients {
	t.Helper()
	return runNode(t, "testdata/agents", "client.mjs")
}

// runNode runs a script of a folder that is driven by commands.
func runNode(t *testing.T, dir, script string, args ...string) *nodeClients {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", append([]string{script}, args...)...)
	cmd.Dir = testenv.NodeProject(t, dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n := &nodeClients{in: in, events: make(chan nodeEvent, 1000)}
	go func() {
		defer close(n.events)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 64<<20)
		for lines.Scan() {
			var e nodeEvent
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				t.Errorf("event %s: %v", lines.Bytes(), err)
			}
			n.events <- e
		}
	}()
	t.Cleanup(func() {
		in.Close()
		for range n.events { // to the end of the process
		}
		if err := cmd.Wait(); err != nil && t.Context().Err() == nil {
			t.Errorf("node: %v", err)
		}
		if t.Failed() {
			t.Logf("node: %s", complaints.String())
		}
	})
	return n
}

func (n *nodeClients) do(t *testing.T, op, conn string, more map[string]any) {
	t.Helper()
	command := map[string]any{"op": op, "conn": conn}
	for k, v := range more {
		command[k] = v
	}
	line, err := json.Marshal(command)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.in.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
}

// until returns the first event of a client with this name that was not returned yet, and what the client told before it and nobody
// asked for. Events of other clients are kept: they come in any order.
func (n *nodeClients) until(t *testing.T, conn, event string) (found nodeEvent, before []nodeEvent) {
	t.Helper()
	limit := time.After(2 * agentDeadline)
	for i := 0; ; i++ {
		if i == len(n.kept) {
			select {
			case e, ok := <-n.events:
				if !ok {
					t.Fatalf("node ended before %s of %s", event, conn)
				}
				n.kept = append(n.kept, e)
			case <-limit:
				t.Fatalf("no %s of %s; before it: %+v", event, conn, n.kept)
			}
		}
		e := n.kept[i]
		if e.Conn != conn {
			continue
		}
		if e.Event == event {
			n.kept = slices.Delete(n.kept, i, i+1)
			return e, before
		}
		before = append(before, e)
	}
}

func (n *nodeClients) connect(t *testing.T, conn, host, agent, name string) []nodeEvent {
	t.Helper()
	n.do(t, "connect", conn, map[string]any{"host": host, "agent": agent, "name": name})
	_, before := n.until(t, conn, "ready")
	return before
}

func (n *nodeClients) wantState(t *testing.T, conn, source, want string) {
	t.Helper()
	for {
		e, _ := n.until(t, conn, "state")
		if e.Source == source && sameJSON(t, string(e.State), want) {
			return
		}
	}
}

func hostOf(url string) string { return strings.TrimPrefix(url, "http://") }

func TestUnmodifiedClients(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	l := startLive(t)
	host := hostOf(l.URL)
	n.connect(t, "A", host, "CounterAgent", "x")
	n.do(t, "call", "A", map[string]any{"call": 1, "method": "initialize", "args": []any{map[string]int{"counter": 0}}})
	n.wantState(t, "A", "server", `{"counter":0}`)
	if e, _ := n.until(t, "A", "result"); e.Call != 1 || !sameJSON(t, string(e.Result), `{"counter":0}`) {
		t.Errorf("initialize: %+v", e)
	}
	// With a state, identity and ready come behind it.
	var order []string
	for _, e := range n.connect(t, "B", host, "CounterAgent", "x") {
		if e.Conn == "B" && e.Event != "message" {
			order = append(order, e.Event)
		}
		if e.Event == "identity" && (e.Agent != "counter-agent" || e.Name != "x") {
			t.Errorf("identity %+v", e)
		}
	}
	if got := strings.Join(order, " "); got != "open state identity" {
		t.Errorf("on connect: %s, then ready", got)
	}
	n.do(t, "setState", "A", map[string]any{"state": map[string]any{"counter": 41, "from": "A"}})
	n.wantState(t, "B", "server", `{"counter":41,"from":"A"}`)
	n.do(t, "setState", "B", map[string]any{"state": 42})
	n.wantState(t, "A", "server", `42`)
	l.put(t, "counter-agent/x", gen.StateMutation_PUT, "", `{"bus":true}`)
	n.wantState(t, "B", "server", `{"bus":true}`)
	n.wantState(t, "A", "server", `{"bus":true}`)
	n.do(t, "call", "A", map[string]any{"call": 2, "method": "nope", "args": []any{}})
	if e, _ := n.until(t, "A", "failure"); e.Error != "Method nope does not exist" {
		t.Errorf("unknown method: %+v", e)
	}
	n.do(t, "call", "A", map[string]any{"call": 3, "method": "setState", "args": []any{7}})
	if e, _ := n.until(t, "A", "result"); string(e.Result) != `"<undefined>"` {
		t.Errorf("setState: %+v", e)
	}
	n.do(t, "get", "", map[string]any{"call": 4, "host": host, "agent": "CounterAgent", "name": "x"})
	if e, _ := n.until(t, "", "fetched"); e.Code != http.StatusNotFound || e.Data != "Not implemented" {
		t.Errorf("agentFetch: %+v", e)
	}
}

// TestUnmodifiedClientsCallAHost: methods of an agent host, as calls and as streams, and what they do to the state.
func TestUnmodifiedClientsCallAHost(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	l, _ := startLab(t)
	host := hostOf(l.URL)
	n.connect(t, "A", host, "CounterAgent", "x")
	n.connect(t, "B", host, "CounterAgent", "x")
	n.wantState(t, "A", "server", `{"counter":0}`)
	n.do(t, "call", "A", map[string]any{"call": 1, "method": "increment", "args": []any{5}})
	n.wantState(t, "B", "server", `{"counter":5}`)
	if e, before := n.until(t, "A", "result"); string(e.Result) != "5" || !slices.ContainsFunc(before, func(e nodeEvent) bool { return e.Event == "state" && strings.Contains(string(e.State), "5") }) {
		t.Errorf("increment: %+v after %+v", e, before)
	}
	l.put(t, "counter-agent/x", gen.StateMutation_PUT, "", `{"counter":9}`)
	n.wantState(t, "A", "server", `{"counter":9}`)
	for i, c := range []struct{ op, method, args, event, want, chunks string }{
		{"call", "echo", `[1,{"a":[null]}]`, "result", `[1,{"a":[null]}]`, "[]"},
		{"call", "voidMethod", `[]`, "result", `"<undefined>"`, "[]"},
		{"call", "throwError", `[]`, "failure", "boom", "[]"},
		{"call", "privateMethod", `[]`, "failure", "Method privateMethod is not callable", "[]"},
		{"call", "nope", `[]`, "failure", "Method nope does not exist", "[]"},
		{"stream", "streamNumbers", `[3]`, "result", "3", "[0,1,2]"},
		{"stream", "streamSlow", `[["x","y"],1]`, "result", `"<undefined>"`, `["x","y"]`},
		{"stream", "streamThrow", `[]`, "failure", "stream failed", `["chunk1"]`},
		{"call", "streamNumbers", `[2]`, "result", "2", "[]"},
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
	n.do(t, "get", "", map[string]any{"call": 30, "host": host, "agent": "CounterAgent", "name": "x"})
	if e, _ := n.until(t, "", "fetched"); e.Code != http.StatusOK || !strings.Contains(e.Data, `"name":"x"`) {
		t.Errorf("agentFetch: %+v", e)
	}
	// Who the host refuses does not come again.
	n.do(t, "connect", "C", map[string]any{"host": host, "agent": "CounterAgent", "name": "x", "query": map[string]string{"refuse": "4003"}})
	if e, _ := n.until(t, "C", "connectionError"); !strings.Contains(e.Error, "not you") {
		t.Errorf("refused: %+v", e)
	}
	n.do(t, "connect", "R", map[string]any{"host": host, "agent": "CounterAgent", "name": "x", "query": map[string]string{"readonly": "1"}})
	n.until(t, "R", "ready")
	n.do(t, "setState", "R", map[string]any{"state": 1})
	if e, _ := n.until(t, "R", "stateError"); e.Error != "Connection is readonly" {
		t.Errorf("readonly: %+v", e)
	}
}

// TestUnmodifiedClientsReconnect: the gateway goes and another comes at the same address; what was written meanwhile is shown.
func TestUnmodifiedClientsReconnect(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	l := startLive(t)
	first := serveAt(t, testenv.Address(t), l.gateway)
	host := hostOf(first.URL)
	n.connect(t, "A", host, "plain-agent", "x")
	n.do(t, "setState", "A", map[string]any{"state": "before"})
	n.do(t, "call", "A", map[string]any{"call": 1, "method": "getFullState", "args": []any{}})
	if e, _ := n.until(t, "A", "result"); string(e.Result) != `"before"` {
		t.Errorf("state %s", e.Result)
	}
	l.gateway.Drain()
	first.Close()
	if e, _ := n.until(t, "A", "close"); e.Code != 1012 {
		t.Errorf("closed with %d %s, want 1012", e.Code, e.Reason)
	}
	l.put(t, "plain-agent/x", gen.StateMutation_PUT, "", `"meanwhile"`)
	for r, err := range l.store.Watch(t.Context(), "plain-agent/x", 0) {
		if err != nil || r.Version == 2 {
			break
		}
	}
	next, err := gateway.New(l.gateway.Options)
	if err != nil {
		t.Fatal(err)
	}
	second := serveAt(t, host, next)
	defer second.Close()
	defer next.Drain()
	n.wantState(t, "A", "server", `"meanwhile"`)
	n.do(t, "setState", "A", map[string]any{"state": "after"})
	n.do(t, "call", "A", map[string]any{"call": 2, "method": "getFullState", "args": []any{}})
	if e, _ := n.until(t, "A", "result"); string(e.Result) != `"after"` {
		t.Errorf("state %s", e.Result)
	}
}

// TestUnmodifiedClientsThatAreRefused do not come again.
func TestUnmodifiedClientsThatAreRefused(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	l := startLive(t, func(o *gateway.Options) { o.APIKey = "secret-key" })
	n.do(t, "connect", "A", map[string]any{"host": hostOf(l.URL), "agent": "a", "name": "x", "query": map[string]string{"token": "wrong"}})
	if e, _ := n.until(t, "A", "connectionError"); e.Error == "" {
		t.Errorf("%+v", e)
	}
	n.do(t, "connect", "B", map[string]any{"host": hostOf(l.URL), "agent": "a", "name": "x", "query": map[string]string{"token": "secret-key"}})
	n.until(t, "B", "ready")
}

func serveAt(t *testing.T, address string, h http.Handler) *httptest.Server {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(fmt.Errorf("listen again: %w", err))
	}
	s := httptest.NewUnstartedServer(h)
	s.Listener.Close()
	s.Listener = listener
	s.Start()
	t.Cleanup(s.Close)
	return s
}
