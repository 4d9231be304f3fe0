package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"vibesdk-gcp/events"
	"vibesdk-gcp/gateway"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/firestoresession"
	"vibesdk-gcp/schemas"
	"vibesdk-gcp/schemas/gen"
)

// agentDeadline is when a test gives up on a frame: nothing is asserted about the time that it takes.
const agentDeadline = 30 * time.Second

// socket is a raw client.
type socket struct {
	*websocket.Conn
}

// dial connects to an agent.
func (f *fixture) dial(t testing.TB, path string, change ...func(*websocket.DialOptions)) socket {
	t.Helper()
	return dialAt(t, "ws"+strings.TrimPrefix(f.URL, "http")+path, change...)
}

func dialAt(t testing.TB, address string, change ...func(*websocket.DialOptions)) socket {
	t.Helper()
	o := &websocket.DialOptions{HTTPHeader: http.Header{}}
	for _, c := range change {
		c(o)
	}
	ctx, cancel := context.WithTimeout(t.Context(), agentDeadline)
	defer cancel()
	ws, resp, err := websocket.Dial(ctx, address, o)
	if err != nil {
		t.Fatalf("dial %s: %v (%v)", address, err, resp)
	}
	ws.SetReadLimit(-1)
	t.Cleanup(func() { ws.CloseNow() })
	return socket{ws}
}

func (s socket) send(t testing.TB, frame string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), agentDeadline)
	defer cancel()
	if err := s.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
		t.Fatalf("send: %v", err)
	}
}

func (s socket) next(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), agentDeadline)
	defer cancel()
	_, data, err := s.Read(ctx)
	if err != nil {
		t.Fatalf("no frame: %v", err)
	}
	return string(data)
}

// want reads frames and compares them as JSON values.
func (s socket) want(t testing.TB, frames ...string) {
	t.Helper()
	for _, want := range frames {
		if got := s.next(t); !sameJSON(t, got, want) {
			t.Fatalf("got frame %s\n    want %s", got, want)
		}
	}
}

func sameJSON(t testing.TB, got, want string) bool {
	t.Helper()
	return canonical(t, got) == canonical(t, want)
}

func canonical(t testing.TB, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%q is no JSON: %v", text, err)
	}
	out, _ := json.Marshal(v)
	return string(out)
}

// closed reads until the connection is closed and returns how.
func (s socket) closed(t testing.TB) websocket.CloseError {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), agentDeadline)
	defer cancel()
	for {
		if _, _, err := s.Read(ctx); err != nil {
			if ctx.Err() != nil {
				t.Fatal("the connection stays open")
			}
			var e websocket.CloseError
			if asClose(err, &e) {
				return e
			}
			return websocket.CloseError{Code: websocket.StatusAbnormalClosure}
		}
	}
}

func asClose(err error, into *websocket.CloseError) bool {
	code := websocket.CloseStatus(err)
	if code == -1 {
		return false
	}
	into.Code = code
	if i := strings.Index(err.Error(), "reason = "); i >= 0 {
		into.Reason = err.Error()[i:]
	}
	return true
}

const emptyMCP = `{"mcp":{"prompts":[],"resources":[],"servers":{},"tools":[]},"type":"cf_agent_mcp_servers"}`

func identity(agent, name string, follows bool) string {
	more := ""
	if follows {
		more = `,"stateFollows":true`
	}
	return fmt.Sprintf(`{"type":"cf_agent_identity","name":%q,"agent":%q%s}`, name, agent, more)
}

func state(text string) string { return `{"type":"cf_agent_state","state":` + text + `}` }

func call(id, method, args string) string {
	return fmt.Sprintf(`{"type":"rpc","id":%q,"method":%q,"args":%s}`, id, method, args)
}

func result(id, value string) string {
	if value != "" {
		value = `,"result":` + value
	}
	return fmt.Sprintf(`{"type":"rpc","id":%q,"success":true,"done":true%s}`, id, value)
}

func failure(id, text string) string {
	return fmt.Sprintf(`{"type":"rpc","id":%q,"success":false,"error":%q}`, id, text)
}

// put stores a state as somebody who is no client of the gateway.
func (l *live) put(t testing.TB, id string, kind gen.StateMutation_Kind, part session.PartName, payload string) {
	t.Helper()
	data, err := schemas.EncodeStateMutation(&gen.StateMutation{MutationId: fmt.Sprintf("%s-%d", t.Name(), time.Now().UnixNano()), SessionId: id, Kind: kind, Part: string(part), Payload: payload})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.bus.Publish(t.Context(), events.StateMutations, events.Message{Key: id, Data: data}); err != nil {
		t.Fatal(err)
	}
}

func TestAgentConnect(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	a := l.dial(t, "/agents/plain-agent/x?_pk=a")
	a.want(t, identity("plain-agent", "x", false), emptyMCP)
	l.put(t, "plain-agent/x", gen.StateMutation_PUT, "", ` { "n":1.0, "big":1e400 } `)
	if got, want := a.next(t), `{"type":"cf_agent_state","state": { "n":1.0, "big":1e400 } }`; got != want {
		t.Errorf("a state on the bus is shown as %s, want %s", got, want)
	}
	b := l.dial(t, "/agents//plain-agent//x?_pk=b")
	b.want(t, identity("plain-agent", "x", true))
	if got := b.next(t); !strings.Contains(got, `"n":1.0`) {
		t.Errorf("state frame %s", got)
	}
	b.want(t, emptyMCP)
	l.put(t, "plain-agent/x", gen.StateMutation_PUT, session.PartMCPServers, `{"s":{"name":"files","server_url":"https://m/","auth_url":null,"client_id":"secret"}}`)
	for _, s := range []socket{a, b} {
		s.want(t, `{"type":"cf_agent_mcp_servers","mcp":{"prompts":[],"resources":[],"tools":[],"servers":{"s":{"name":"files","server_url":"https://m/","auth_url":null,"state":"not-connected","error":null,"instructions":null,"capabilities":null}}}}`)
	}
	l.dial(t, "/agents/plain-agent/a%20b%2Fc").want(t, identity("plain-agent", "a%20b%2Fc", false))
}

func TestAgentState(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	a, b, twin := l.dial(t, "/agents/c/s?_pk=a"), l.dial(t, "/agents/c/s?_pk=b"), l.dial(t, "/agents/c/s?_pk=a")
	for _, s := range []socket{a, b, twin} {
		s.want(t, identity("c", "s", false), emptyMCP)
	}
	a.send(t, state(`{"counter":41}`))
	b.want(t, state(`{"counter":41}`))
	b.send(t, state(`null`))
	// Neither the sender nor its twin got the first; both get the second.
	a.want(t, state(`null`))
	twin.want(t, state(`null`))
	// The same value again is shown as well.
	a.send(t, state(`null`))
	b.want(t, state(`null`))
	// What a call sets is shown to its caller, too, and before the result.
	b.send(t, call("1", "setState", `[{"by":"rpc"}]`))
	for _, s := range []socket{a, twin, b} {
		s.want(t, state(`{"by":"rpc"}`))
	}
	b.want(t, result("1", ""))
	// A call sees what the same connection changed before.
	for i := range 20 {
		a.send(t, state(fmt.Sprint(i)))
		a.send(t, call("r", "getFullState", "[]"))
		a.want(t, result("r", fmt.Sprint(i)))
		b.want(t, state(fmt.Sprint(i)))
	}
	// What cannot be a state is refused to its sender alone.
	deep := strings.Repeat("[", 999) + strings.Repeat("]", 999)
	a.send(t, state(`{"a":[`+deep+`]}`)) // no frame: it nests too deep to be read
	a.send(t, state(`"`+strings.Repeat("x", session.MaxPart)+`"`))
	a.want(t, `{"type":"cf_agent_state_error","error":"State update rejected"}`)
	a.send(t, call("2", "getFullState", "[]"))
	a.want(t, result("2", "19"))
}

// TestAgentStatesConverge: clients that write against each other end with the state that is stored. All writes are received before the first
// is published: a state that is shown to a client while one of its own is on its way stays with it, as with the SDK.
func TestAgentStatesConverge(t *testing.T) {
	t.Parallel()
	received := make(chan struct{})
	l := startLive(t, func(o *gateway.Options) { o.Publisher = heldPublisher{o.Publisher, received} })
	const clients, writes = 4, 25
	sockets := make([]socket, clients)
	for i := range sockets {
		sockets[i] = l.dial(t, fmt.Sprintf("/agents/c/race?_pk=%d", i))
		sockets[i].want(t, identity("c", "race", false), emptyMCP)
	}
	local := make([]string, clients)
	var sent sync.WaitGroup
	for i, s := range sockets {
		sent.Go(func() {
			for n := range writes {
				s.send(t, state(fmt.Sprintf(`"%d-%d"`, i, n)))
			}
		})
		local[i] = fmt.Sprintf(`"%d-%d"`, i, writes-1)
	}
	sent.Wait()
	for deadline := time.Now().Add(agentDeadline); l.gateway.AgentPending("c/race") < clients*writes; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("only %d writes were received", l.gateway.AgentPending("c/race"))
		}
	}
	close(received)
	var stored []byte
	for r, err := range l.store.Watch(t.Context(), "c/race", 0) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Version == clients*writes {
			stored, _ = r.State()
			break
		}
	}
	// All states before this mark are shown before it.
	sockets[0].send(t, call("end", "setState", `["end"]`))
	for i, s := range sockets {
		for {
			var f struct {
				Type  string
				State json.RawMessage
			}
			if err := json.Unmarshal([]byte(s.next(t)), &f); err != nil {
				t.Fatal(err)
			}
			if string(f.State) == `"end"` {
				break
			}
			if f.Type == "cf_agent_state" {
				local[i] = string(f.State)
			}
		}
		if local[i] != string(stored) {
			t.Errorf("client %d ended with %s, stored is %s", i, local[i], stored)
		}
	}
}

// heldPublisher publishes nothing before it may.
type heldPublisher struct {
	events.Publisher

	may <-chan struct{}
}

func (p heldPublisher) Publish(ctx context.Context, topic events.Topic, msgs ...events.Message) error {
	select {
	case <-p.may:
		return p.Publisher.Publish(ctx, topic, msgs...)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func TestAgentCalls(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	s := l.dial(t, "/agents/c/rpc")
	s.want(t, identity("c", "rpc", false), emptyMCP)
	for _, step := range []struct{ method, args, want string }{
		{"isInitialized", `[]`, "false"},
		{"getFullState", `[]`, ""},
		{"initialize", `[{"a":1}]`, `{"a":1}`},
		{"isInitialized", `[]`, "true"},
		{"initialize", `[{"a":2}]`, "!session is initialized already at version 1 or before"},
		{"initialize", `[]`, "!initialize: the state is required"},
		{"getFullState", `[]`, `{"a":1}`},
		{"setState", `[]`, "!setState: the state is required"},
		{"nope", `[]`, "!Method nope does not exist"},
		{"__proto__", `[]`, "!Method __proto__ does not exist"},
		{"", `[]`, "!Method  does not exist"},
		{"getSchedules", `[]`, "[]"},
		{"getSchedule", `["none"]`, ""},
		{"cancelSchedule", `["none"]`, "false"},
		{"cancelSchedule", `[5]`, "!cancelSchedule: id must be a string"},
		{"schedule", `[{},"cb"]`, "!schedule: when must be a delay in seconds, a date or a cron expression"},
		{"scheduleEvery", `["x","cb"]`, "!intervalSeconds must be a positive number"},
		{"dequeue", `["none"]`, "false"},
		{"dequeueAll", `[]`, "0"},
		{"queue", `["cb",{"k":1},{"id":"q1"}]`, `"q1"`},
		{"queue", `["cb",{"k":2},{"id":"q2"}]`, `"q2"`},
		{"queue", `["other",null,{"id":"q3"}]`, `"q3"`},
		{"dequeueAllByCallback", `["other"]`, "1"},
		{"dequeue", `["q1"]`, "true"},
		{"getQueues", `["k",1]`, "[]"},
		{"dequeueAll", `[]`, "1"},
	} {
		s.send(t, call("i", step.method, step.args))
		want := result("i", step.want)
		if text, refused := strings.CutPrefix(step.want, "!"); refused {
			want = failure("i", text)
		} else if step.method == "initialize" {
			s.want(t, state(step.want))
		}
		if got := s.next(t); !sameJSON(t, got, want) {
			t.Errorf("%s%s: %s, want %s", step.method, step.args, got, want)
		}
	}
	var made struct {
		Result struct {
			ID, Callback, Type, Cron string
			Time                     int64
			DelayInSeconds           float64
			IntervalSeconds          float64
			Payload                  map[string]int
		}
	}
	for method, args := range map[string]string{"schedule": `[3600,"cb",{"p":1},{"idempotent":true}]`, "scheduleEvery": `[3600,"tick"]`} {
		s.send(t, call("i", method, args))
		if err := json.Unmarshal([]byte(s.next(t)), &made); err != nil || made.Result.ID == "" || made.Result.Time == 0 {
			t.Errorf("%s: %+v", method, made)
		}
	}
	s.send(t, call("i", "schedule", `["0 0 * * *","cron"]`))
	if err := json.Unmarshal([]byte(s.next(t)), &made); err != nil || made.Result.Type != "cron" || made.Result.Cron != "0 0 * * *" {
		t.Errorf("cron: %+v", made)
	}
	s.send(t, call("i", "getSchedules", `[{"type":"cron"}]`))
	if got := s.next(t); !strings.Contains(got, made.Result.ID) || strings.Contains(got, "tick") {
		t.Errorf("schedules: %s", got)
	}
	s.send(t, call("i", "cancelSchedule", fmt.Sprintf("[%q]", made.Result.ID)))
	s.want(t, result("i", "true"))
}

func TestAgentFramesWithoutMeaning(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	s := l.dial(t, "/agents/c/odd")
	s.want(t, identity("c", "odd", false), emptyMCP)
	for _, frame := range []string{
		"", "not json", "1", "null", `[]`, `"x"`, `{}`, `{"type":1}`, `{"type":"unknown"}`, `{"type":"cf_agent_state"}`, `{"type":"cf_agent_identity"}`,
		`{"Type":"rpc","id":"1","method":"m","args":[]}`, `{"type":"RPC","id":"1","method":"m","args":[]}`, `{"type":"rpc","id":1,"method":"m","args":[]}`,
		`{"type":"rpc","id":"1","method":null,"args":[]}`, `{"type":"rpc","id":"1","method":"m","args":{}}`, `{"type":"rpc","id":"1","method":"m"}`,
		`{"type":"rpc","type":"x","id":"1","method":"m","args":[]}`,
	} {
		s.send(t, frame)
	}
	if err := s.Write(t.Context(), websocket.MessageBinary, []byte(call("bin", "isInitialized", "[]"))); err != nil {
		t.Fatal(err)
	}
	s.send(t, " "+call("", "isInitialized", "[]")+"\n")
	s.want(t, result("", "false"))
}

func TestAgentAddresses(t *testing.T) {
	t.Parallel()
	l := startLive(t, func(o *gateway.Options) {
		o.Agents.Classes, o.Agents.Main = []string{"known-agent", "main-agent"}, "main-agent"
	})
	for path, want := range map[string]string{
		"/agents/known-agent/x": "404 Not implemented", "/agents/known-agent/x/a/b?": "404 Not implemented",
		"/agents/nope/x": "400 Invalid request", "/agents/KnownAgent/x": "400 Invalid request", "/agents/Known-Agent/x": "400 Invalid request",
		"/agents/known-agent": "404 Not found", "/agents/known-agent/": "404 Not found", "/agents//known-agent//x": "404 Not implemented",
	} {
		got := l.call(t, "GET", path, "")
		if text := fmt.Sprint(got.StatusCode, " ", got.body); text != want || got.Header.Get("Content-Type") != "text/plain;charset=UTF-8" {
			t.Errorf("%s: %s, want %s", path, text, want)
		}
	}
	l.call(t, "GET", "/Agents/known-agent/x", "").wantProblem(t, 404, "no-route")
	if got := l.call(t, "GET", "/agents/nope/x", "", with("Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")); got.StatusCode != http.StatusBadRequest || got.body != "Invalid request" {
		t.Errorf("upgrade for an unknown agent: %d %s", got.StatusCode, got.body)
	}
	if got := l.call(t, "GET", "/agents/known-agent/x", "", with("Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Version", "12", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")); got.StatusCode != http.StatusBadRequest {
		t.Errorf("upgrade of another version: %d %s", got.StatusCode, got.body)
	}
	for path, want := range map[string]string{
		"/agents/known-agent/x?__agents_transport=capnweb":      "capnweb",
		"/agents/known-agent/x/sub/known-agent/kid":             "sub-agents",
		"/agents/known-agent/" + strings.Repeat("n", 128):       "name is too long",
		"/agents/known-agent/x?_pk=" + strings.Repeat("k", 257): "_pk",
	} {
		if e := l.dial(t, path).closed(t); e.Code != websocket.StatusPolicyViolation || !strings.Contains(e.Reason, want) {
			t.Errorf("%.60s: closed %d %s, want 1008 %s", path, e.Code, e.Reason, want)
		}
	}
	// Sessions of the main agent have its name alone.
	s := l.dial(t, "/agents/main-agent/chat")
	s.want(t, identity("main-agent", "chat", false), emptyMCP)
	l.put(t, "chat", gen.StateMutation_PUT, "", "7")
	s.want(t, state("7"))
}

func TestAgentDoorIsGuarded(t *testing.T) {
	t.Parallel()
	l := startLive(t, func(o *gateway.Options) { o.APIKey = "secret-key"; o.Agents.Origins = []string{"*.app.test"} })
	for _, path := range []string{"/agents/c/x", "/agents/c/x?token=wrong"} {
		if e := l.dial(t, path).closed(t); e.Code != websocket.StatusPolicyViolation {
			t.Errorf("%s: closed %d %s, want 1008", path, e.Code, e.Reason)
		}
	}
	l.call(t, "GET", "/v1/sessions?token=secret-key", "").wantProblem(t, 401, "unauthorized")
	l.dial(t, "/agents/c/x?token=secret-key").want(t, identity("c", "x", false))
	bearer := func(origin string) func(o *websocket.DialOptions) {
		return func(o *websocket.DialOptions) {
			o.HTTPHeader.Set("Authorization", "Bearer secret-key")
			if origin != "" {
				o.HTTPHeader.Set("Origin", origin)
				o.HTTPHeader.Set("Sec-Fetch-Site", "cross-site")
			}
		}
	}
	l.dial(t, "/agents/c/x", bearer("")).want(t, identity("c", "x", false))
	l.dial(t, "/agents/c/x", bearer("https://ui.app.test")).want(t, identity("c", "x", false))
	upgrade := []string{"Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Authorization", "Bearer secret-key"}
	for _, origin := range []string{"https://evil.test", "https://app.test.evil.test"} {
		if got := l.call(t, "GET", "/agents/c/x", "", with(append(upgrade, "Origin", origin)...)); got.StatusCode != http.StatusForbidden {
			t.Errorf("origin %s: %d", origin, got.StatusCode)
		}
	}
}

func TestAgentLimits(t *testing.T) {
	t.Parallel()
	const largest = 2 << 20 // the default takes a busy machine with the race detector half a minute
	l := startLive(t, func(o *gateway.Options) {
		o.Agents.MaxSockets, o.Agents.MaxSessionSockets, o.Agents.MaxMessage = 3, 2, largest
	})
	a := l.dial(t, "/agents/c/x")
	a.want(t, identity("c", "x", false))
	b := l.dial(t, "/agents/c/x")
	b.want(t, identity("c", "x", false), emptyMCP)
	if e := l.dial(t, "/agents/c/x").closed(t); e.Code != websocket.StatusTryAgainLater {
		t.Errorf("over the limit of the session: %d", e.Code)
	}
	l.dial(t, "/agents/c/y").want(t, identity("c", "y", false))
	if e := l.dial(t, "/agents/c/z").closed(t); e.Code != websocket.StatusTryAgainLater {
		t.Errorf("over the limit of the process: %d", e.Code)
	}
	b.send(t, call("1", "x", `["`+strings.Repeat("x", largest-100)+`"]`))
	b.want(t, failure("1", "Method x does not exist"))
	go b.Write(t.Context(), websocket.MessageText, make([]byte, largest+1))
	if e := b.closed(t); e.Code != websocket.StatusMessageTooBig {
		t.Errorf("a message too large: %d %s", e.Code, e.Reason)
	}
	// The place is free again.
	for {
		s := l.dial(t, "/agents/c/x")
		if _, data, err := s.Read(t.Context()); err == nil {
			if !strings.Contains(string(data), "cf_agent_identity") {
				t.Errorf("frame %s", data)
			}
			return
		}
	}
}

func TestAgentsAreToldOfARestart(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	a, b := l.dial(t, "/agents/c/x"), l.dial(t, "/agents/c/y")
	a.want(t, identity("c", "x", false))
	b.want(t, identity("c", "y", false))
	codes := make(chan websocket.StatusCode, 2)
	for _, s := range []socket{a, b} {
		go func() { codes <- s.closed(t).Code }()
	}
	l.gateway.Drain()
	for range 2 {
		if code := <-codes; code != websocket.StatusServiceRestart {
			t.Errorf("closed with %d, want 1012", code)
		}
	}
	if e := l.dial(t, "/agents/c/x").closed(t); e.Code != websocket.StatusServiceRestart {
		t.Errorf("a new connection: %d", e.Code)
	}
}

// TestARestartWaitsForNobodyWhoConnects: a client that the host was not yet asked about is told, too, and the server stops.
func TestARestartWaitsForNobodyWhoConnects(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	l := startHost(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server would not notice that its caller left
		close(asked)
		<-r.Context().Done()
	}, func(o *gateway.Options) { o.Agents.Host.Connect, o.Agents.Host.ConnectTimeout = true, time.Hour })
	s := l.dial(t, "/agents/c/x")
	<-asked
	stopped := make(chan struct{})
	go func() { defer close(stopped); l.gateway.Drain() }()
	if e := s.closed(t); e.Code != websocket.StatusServiceRestart {
		t.Errorf("closed with %d %s, want 1012", e.Code, e.Reason)
	}
	<-stopped
}

// TestARestartIsToldToTheDeaf: to clients that do not answer the goodbye, whoever serves them, and then the server stops.
func TestARestartIsToldToTheDeaf(t *testing.T) {
	t.Parallel()
	l, conns := startProxy(t)
	var deaf []*bufio.Reader
	for _, path := range []string{"/agents/c/x", "/agents/proxied/x"} {
		conn, err := net.Dial("tcp", hostOf(l.URL))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, upgradeHead, path+"?token=secret-key")
		in := bufio.NewReader(conn)
		if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(resp, err)
		}
		deaf = append(deaf, in)
	}
	h := <-conns
	defer close(h.over)
	go drain(t, h.socket)
	l.gateway.Drain()
	for _, in := range deaf {
		if told, err := io.ReadAll(in); err != nil || !bytes.Contains(told, []byte("the server restarts")) {
			t.Errorf("told %q, %v", told, err)
		}
	}
}

// TestWhatWasSentIsPublished: a client is cut, and what it sent before is not lost.
func TestWhatWasSentIsPublished(t *testing.T) {
	t.Parallel()
	publish := make(chan struct{})
	l := startLive(t, func(o *gateway.Options) {
		o.Publisher, o.WaitFor = heldPublisher{o.Publisher, publish}, agentDeadline
		o.Agents.MessageTimeout = 10 * time.Millisecond
	})
	// The last message does not end, which it is cut for: what stands before it was read then.
	const sent = 10
	request := fmt.Appendf(nil, upgradeHead, "/agents/c/gone")
	for n := range sent {
		request = append(request, masked(state(strconv.Itoa(n)))...)
	}
	endOf(t, l, append(request, 0x81, 0xfe, 0xff, 0xff, 0, 0, 0, 0, ' '))
	close(publish)
	ctx, cancel := context.WithTimeout(t.Context(), agentDeadline)
	defer cancel()
	var version int64
	for r, err := range l.store.Watch(ctx, "c/gone", 0) {
		if err != nil {
			t.Fatal(err)
		}
		if version = r.Version; version == sent {
			break
		}
	}
	if version != sent {
		t.Errorf("%d of %d states were published", version, sent)
	}
}

// endOf connects, sends bytes, answers nothing and reads until the gateway ends the connection.
func endOf(t *testing.T, l *live, request []byte) {
	t.Helper()
	conn, err := net.Dial("tcp", hostOf(l.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(request); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(agentDeadline)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the connection stays open")
	}
}

func TestDestroyedAgents(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	s := l.dial(t, "/agents/c/x")
	s.want(t, identity("c", "x", false), emptyMCP)
	s.send(t, call("1", "setState", "[1]"))
	s.want(t, state("1"), result("1", ""))
	l.put(t, "c/x", gen.StateMutation_DESTROY, "", "")
	if e := s.closed(t); e.Code != websocket.StatusGoingAway {
		t.Errorf("closed with %d %s, want 1001", e.Code, e.Reason)
	}
	l.dial(t, "/agents/c/x").want(t, identity("c", "x", false), emptyMCP)
}

// TestSlowReadersAreClosed: what waits for a client is bounded, and the others go on.
func TestSlowReadersAreClosed(t *testing.T) {
	t.Parallel()
	l := startLive(t, func(o *gateway.Options) { o.Agents.QueueFrames = 8; o.WriteTimeout = agentDeadline })
	slow, quick := l.dial(t, "/agents/c/x?_pk=slow"), l.dial(t, "/agents/c/x?_pk=quick")
	quick.want(t, identity("c", "x", false), emptyMCP)
	// Random text, since a compressed one fits the buffers of the system.
	for n := 0; ; n++ {
		text := fmt.Sprintf(`"%d %s"`, n, randomText(1<<20))
		quick.send(t, call("1", "setState", "["+text+"]"))
		quick.want(t, state(text), result("1", ""))
		if got := l.gateway.AgentSockets(); got == 1 {
			break
		} else if n > 200 {
			t.Fatal("a client that does not read is still connected")
		}
	}
	slow.CloseNow()
}

func randomText(n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(rand.Text())
	}
	return b.String()[:n]
}

// TestMessagesThatDoNotEnd: a message that was begun must end in time, while a silent connection stays.
func TestMessagesThatDoNotEnd(t *testing.T) {
	t.Parallel()
	l := startLive(t, func(o *gateway.Options) { o.Agents.MessageTimeout = 50 * time.Millisecond })
	silent, s := l.dial(t, "/agents/c/x"), l.dial(t, "/agents/c/x")
	w, err := s.Writer(t.Context(), websocket.MessageText)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(`{"type":`)); err != nil {
		t.Fatal(err)
	}
	// A part of it leaves the buffer of the client with the next one.
	if _, err := w.Write([]byte(strings.Repeat(" ", 64<<10))); err != nil {
		t.Fatal(err)
	}
	s.closed(t)
	silent.send(t, call("1", "isInitialized", "[]"))
	silent.want(t, identity("c", "x", false), emptyMCP, result("1", "false"))
}

// TestClientsThatDoNotAnswerPings are closed, and those that answer stay.
func TestClientsThatDoNotAnswerPings(t *testing.T) {
	t.Parallel()
	const often = 10 * time.Millisecond
	endOf(t, startLive(t, func(o *gateway.Options) { o.Agents.PingEvery, o.Agents.PongTimeout = often, often }), fmt.Appendf(nil, upgradeHead, "/agents/c/x"))

	patient := startLive(t, func(o *gateway.Options) { o.Agents.PingEvery, o.Agents.PongTimeout = often, agentDeadline })
	pings := make(chan struct{}, 3)
	s := patient.dial(t, "/agents/c/x", func(o *websocket.DialOptions) {
		o.OnPingReceived = func(context.Context, []byte) bool {
			select {
			case pings <- struct{}{}:
			default:
			}
			return true
		}
	})
	ended := make(chan websocket.CloseError, 1)
	go func() { ended <- s.closed(t) }() // a client that reads answers pings
	for n := range 3 {
		select {
		case <-pings:
		case e := <-ended:
			t.Fatalf("the client that answers was closed after %d pings: %d %s", n, e.Code, e.Reason)
		}
	}
	s.CloseNow()
	<-ended
}

// TestTwoGateways: clients of two processes over one database see each other's states.
func TestTwoGateways(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	broadcastToEachOther(t, startLiveOn(t, url), startLiveOn(t, url))
}

// TestTwoGatewaysOverFirestore is the same with sessions in Firestore, and a bus for each.
func TestTwoGatewaysOverFirestore(t *testing.T) {
	t.Parallel()
	endpoint, project := testenv.Firestore(t)
	gateways := make([]*live, 2)
	for i := range gateways {
		driver, err := firestoresession.New(t.Context(), firestoresession.Options{Endpoint: endpoint, Project: project})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { driver.Close() })
		gateways[i] = startLiveWith(t, "sqlite:"+filepath.Join(t.TempDir(), "bus.db"), driver)
	}
	broadcastToEachOther(t, gateways[0], gateways[1])
}

func broadcastToEachOther(t *testing.T, first, second *live) {
	t.Helper()
	a, b := first.dial(t, "/agents/c/x?_pk=a"), second.dial(t, "/agents/c/x?_pk=b")
	a.want(t, identity("c", "x", false), emptyMCP)
	b.want(t, identity("c", "x", false), emptyMCP)
	for n := range 10 {
		mine, yours := fmt.Sprintf(`{"a":%d}`, n), fmt.Sprintf(`{"b":%d}`, n)
		a.send(t, state(mine))
		b.want(t, state(mine))
		b.send(t, state(yours))
		a.want(t, state(yours))
	}
	a.send(t, call("1", "setState", `["end"]`))
	a.want(t, state(`"end"`), result("1", ""))
	b.want(t, state(`"end"`))
}
