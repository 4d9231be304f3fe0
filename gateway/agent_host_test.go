package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/schemas/gen"
)

// startHost is a gateway with a host that does as the test says.
func startHost(t testing.TB, does http.HandlerFunc, change ...func(*gateway.Options)) *live {
	t.Helper()
	host := httptest.NewServer(does)
	t.Cleanup(host.Close)
	return startLive(t, append([]func(*gateway.Options){func(o *gateway.Options) {
		o.Agents.Host.URL, o.Agents.Host.ConnectTimeout = host.URL, agentDeadline // a busy machine is none of the test's business
	}}, change...)...)
}

func stream(w http.ResponseWriter, lines ...string) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	for _, line := range lines {
		fmt.Fprintln(w, line)
		_ = http.NewResponseController(w).Flush() // the gateway may be gone
	}
}

func (l *live) agent(t testing.TB, path string) socket {
	t.Helper()
	s := l.dial(t, path)
	for {
		if strings.Contains(s.next(t), "cf_agent_mcp_servers") {
			return s
		}
	}
}

// TestAgentHostContract: what the host is told, and how.
func TestAgentHostContract(t *testing.T) {
	t.Parallel()
	l, h := startLab(t, func(o *gateway.AgentHostOptions) { o.State = true; o.Timeout = 7 * time.Second })
	s := l.dial(t, "/agents/counter-agent/a%2Fb?x=1&token=secret&_pk=me&ticket=secret", func(o *websocket.DialOptions) {
		o.HTTPHeader.Set("Authorization", "Bearer client-secret")
		o.HTTPHeader.Set("Cookie", "session=secret")
		o.HTTPHeader.Set("X-Own", "yes")
	})
	s.want(t, identity("counter-agent", "a%2Fb", true), state(`{"counter":0}`), emptyMCP)
	s.send(t, `{"type":"rpc","id":"1","method":"../echo?","args":[ 1.0, "<ü>" ]}`)
	s.want(t, failure("1", "Method ../echo? does not exist"))
	s.send(t, call("2", "echo", `[1.50,"<é>",{"b":1,"a":1e400}]`))
	if got, want := s.next(t), `{"type":"rpc","id":"2","success":true,"done":true,"result":[1.50,"\u003cé\u003e",{"b":1,"a":1e400}]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	s.send(t, "hello")
	s.want(t, `{"type":"lab_onMessage","kind":"text","got":"hello"}`)

	connect := h.requests("connections")[0]
	if connect.path != "/connections/counter-agent%2Fa%252Fb" || connect.call.Headers["x-own"] != "yes" || connect.call.Version != 0 || connect.call.Seq != 0 {
		t.Errorf("connection: %s %+v", connect.path, connect.call)
	}
	calls := h.requests("calls")
	if len(calls) != 2 || calls[0].path != "/calls/counter-agent%2Fa%252Fb/..%2Fecho%3F" {
		t.Fatalf("calls %+v", calls)
	}
	c := calls[1].call
	if c.SessionID != "counter-agent/a%2Fb" || c.Agent != "counter-agent" || c.Name != "a%2Fb" || c.Version != 1 || string(c.State) != `{"counter":0}` ||
		c.ID != "2" || c.Method != "echo" || c.Seq != 2 || len(c.Args) != 3 || string(c.Args[0]) != "1.50" {
		t.Errorf("call %+v", c)
	}
	if got := c.Connection; got.ID != "me" || got.URL != "/agents/counter-agent/a%2Fb?x=1&_pk=me" || got.Readonly || !got.Protocol || got.Data != nil {
		t.Errorf("connection %+v", got)
	}
	keys := map[string]bool{}
	for _, r := range append(append(h.requests("connections"), calls...), h.requests("messages")...) {
		keys[r.header.Get("Idempotency-Key")] = true
		if strings.Contains(fmt.Sprintf("%+v", r), "secret") {
			t.Errorf("the host learns what the client signed in with: %+v", r)
		}
		want := "7000"
		if strings.HasPrefix(r.path, "/connections") {
			want = strconv.FormatInt(agentDeadline.Milliseconds(), 10)
		}
		if r.header.Get("Agent-Timeout-Ms") != want {
			t.Errorf("%s: timeout %s, want %s", r.path, r.header.Get("Agent-Timeout-Ms"), want)
		}
	}
	if len(keys) != 4 {
		t.Errorf("4 calls have %d idempotency keys", len(keys))
	}
}

// TestAgentHostErrors: what clients are told when a call fails.
func TestAgentHostErrors(t *testing.T) {
	t.Parallel()
	var does sync.Map
	handler := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // or the server would not notice that its caller left
		f, _ := does.Load(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
		f.(func(http.ResponseWriter, *http.Request))(w, r)
	}
	patient := startHost(t, handler).agent(t, "/agents/c/errors")
	// What stands before a stall must come in time, also on a busy machine.
	hasty := startHost(t, handler, func(o *gateway.Options) { o.Agents.Host.Timeout = 3 * time.Second }).agent(t, "/agents/c/errors")
	endless := startHost(t, handler, func(o *gateway.Options) { o.Agents.Host.StreamTimeout = 500 * time.Millisecond }).agent(t, "/agents/c/errors")
	status := func(code int, body string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code); io.WriteString(w, body) }
	}
	media := func(kind, body string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			io.WriteString(w, body)
		}
	}
	const odd, lost, slow = "The agent host's answer is not understood", "The agent host's answer broke off", "The agent host did not answer in time"
	for name, c := range map[string]struct {
		does func(http.ResponseWriter, *http.Request)
		want []string // the text of the failure last
	}{
		"notFound":    {status(404, ""), []string{"Method notFound does not exist"}},
		"notCallable": {status(405, "<html>"), []string{"Method notCallable is not callable"}},
		"busy":        {status(503, "no"), []string{"The agent host is busy"}},
		"limited":     {status(429, ""), []string{"The agent host is busy"}},
		"own":         {status(400, `{"error":"you \u0000 may not\n<b>"}`), []string{"you \x00 may not\n<b>"}},
		"empty":       {status(500, `{"error":""}`), []string{"Unknown error occurred"}},
		"number":      {status(500, `{"error":5}`), []string{"Unknown error occurred"}},
		"longText":    {status(500, `{"error":"`+strings.Repeat("é", 5000)+`"}`), []string{strings.Repeat("é", 2048)}},
		"redirect":    {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, []string{"Unknown error occurred"}},
		"html":        {media("text/html", "<html>"), []string{odd}},
		"noJSON":      {media("application/json", "{"), []string{odd}},
		"large":       {media("application/json", `"`+strings.Repeat("x", 10<<20)+`"`), []string{odd}},
		"noLine":      {media("application/x-ndjson", "nope\n"), []string{odd}},
		"noDone":      {media("application/x-ndjson", `{"done":1}`), []string{odd}},
		"ends":        {media("application/x-ndjson", `{"done":false,"result":1}`), []string{"1", lost}},
		"nothing":     {media("application/x-ndjson", ""), []string{lost}},
		"longLine":    {media("application/x-ndjson", `{"done":true,"result":"`+strings.Repeat("x", 10<<20)+`"}`), []string{odd}},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			stream(w, `{"done":false,"result":1}`)
			panic(http.ErrAbortHandler)
		}, []string{"1", lost}},
		"hangs": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, []string{slow}},
		"stalls": {func(w http.ResponseWriter, r *http.Request) {
			stream(w, `{"done":false,"result":1}`)
			<-r.Context().Done()
		}, []string{"1", slow}},
		"dropped": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, []string{"The agent host was not reached"}},
	} {
		does.Store(name, c.does)
		s := patient
		if c.want[len(c.want)-1] == slow {
			s = hasty
		}
		s.send(t, call(name, name, "[]"))
		for i, want := range c.want {
			var frame string
			if i < len(c.want)-1 {
				frame = fmt.Sprintf(`{"type":"rpc","id":%q,"success":true,"done":false,"result":%s}`, name, want)
			} else {
				text, _ := json.Marshal(want)
				frame = fmt.Sprintf(`{"type":"rpc","id":%q,"success":false,"error":%s}`, name, text)
			}
			if got := s.next(t); !sameJSON(t, got, frame) {
				t.Errorf("%s: %.300s, want %.300s", name, got, frame)
			}
		}
	}
	// A call that never stalls ends nevertheless, and messages fail in silence.
	does.Store("forever", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			stream(w, `{"done":false}`)
			time.Sleep(20 * time.Millisecond)
		}
	})
	does.Store("errors", status(500, `{"error":"unseen"}`))
	endless.send(t, "a message")
	endless.send(t, call("f", "forever", "[]"))
	for {
		if got := endless.next(t); strings.Contains(got, `"success":false`) {
			if !sameJSON(t, got, failure("f", slow)) {
				t.Errorf("a call without an end: %s", got)
			}
			return
		}
	}
}

func TestAgentHostIsAway(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(nil)
	gone.Close()
	away := func(o *gateway.Options) { o.Agents.Host.URL, o.Agents.Host.Key = gone.URL, labKey }
	l := startLive(t, away)
	s := l.agent(t, "/agents/c/away")
	s.send(t, call("1", "own", "[]"))
	s.want(t, failure("1", "The agent host was not reached"))
	s.send(t, "a message")
	s.send(t, call("2", "setState", "[1]")) // what is built in goes on
	s.want(t, state("1"), result("2", ""))
	if got := l.call(t, "GET", "/agents/c/away", ""); got.StatusCode != http.StatusBadGateway || got.body != "The agent host was not reached" {
		t.Errorf("HTTP: %d %s", got.StatusCode, got.body)
	}
	asked := startLive(t, away, func(o *gateway.Options) { o.Agents.Host.Connect = true })
	if e := asked.dial(t, "/agents/c/x").closed(t); e.Code != websocket.StatusTryAgainLater {
		t.Errorf("a connection that the host is to be asked about: %d %s", e.Code, e.Reason)
	}
	for _, o := range []gateway.AgentHostOptions{{Connect: true}, {Proxy: []string{"a"}}, {Methods: []string{"setState"}}, {URL: "ftp://x"}, {URL: "http://x", Methods: []string{"own"}}} {
		options := l.gateway.Options
		options.Agents.Host = o
		if _, err := gateway.New(options); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

func TestAgentHostRefusesConnections(t *testing.T) {
	t.Parallel()
	l, h := startLab(t)
	l.put(t, "counter-agent/r", gen.StateMutation_PUT, "", `{"secret":1}`)
	for query, want := range map[string]websocket.CloseError{
		"deny=401":    {Code: websocket.StatusPolicyViolation, Reason: "denied"},
		"deny=403":    {Code: websocket.StatusPolicyViolation, Reason: "denied"},
		"refuse=4003": {Code: 4003, Reason: "not you"},
		"refuse=1005": {Code: websocket.StatusPolicyViolation},
	} {
		s := l.dial(t, "/agents/counter-agent/r?"+query)
		_, frame, err := s.Read(t.Context())
		var e websocket.CloseError
		if !asClose(err, &e) || e.Code != want.Code || !strings.Contains(e.Reason, want.Reason) {
			t.Errorf("%s: %s, %v; want %d %s", query, frame, err, want.Code, want.Reason)
		}
	}
	// One that fails may come again.
	if e := l.dial(t, "/agents/counter-agent/r?deny=500").closed(t); e.Code != websocket.StatusInternalError {
		t.Errorf("a failing host: %d %s", e.Code, e.Reason)
	}
	if got := l.gateway.AgentSockets(); got > 5 {
		t.Errorf("%d connections are counted", got)
	}
	if len(h.requests("connections")) != 5 {
		t.Errorf("%d questions", len(h.requests("connections")))
	}
}

// TestReadonlyConnections: what may not change the state, also of the methods that are built in.
func TestReadonlyConnections(t *testing.T) {
	t.Parallel()
	l, _ := startLab(t)
	r, w := l.agent(t, "/agents/counter-agent/ro?readonly=1"), l.agent(t, "/agents/counter-agent/ro")
	const no = "Connection is readonly"
	r.send(t, state(`{"counter":9}`))
	r.want(t, `{"type":"cf_agent_state_error","error":"`+no+`"}`)
	for _, method := range []string{"setState", "initialize", "deployToSandbox", "increment", "setWhole"} {
		r.send(t, call("1", method, `[{"counter":9}]`))
		r.want(t, failure("1", no))
	}
	for method, want := range map[string]string{"getFullState": `{"counter":0}`, "isInitialized": "false", "getCounter": "0"} {
		r.send(t, call("2", method, "[]"))
		r.want(t, result("2", want))
	}
	w.send(t, state(`{"counter":5}`))
	r.want(t, state(`{"counter":5}`))
}

// TestAgentHostCalls: what a host may do with an answer.
func TestAgentHostCalls(t *testing.T) {
	t.Parallel()
	l, _ := startLab(t)
	a, b := l.agent(t, "/agents/counter-agent/x?_pk=a"), l.agent(t, "/agents/counter-agent/x?_pk=b")
	// The state that a call makes is shown before its result, to all, and a call sees what its client changed before.
	for i := range 10 {
		a.send(t, state(fmt.Sprintf(`{"counter":%d}`, i*10)))
		a.send(t, call("r", "increment", "[3]"))
		a.want(t, state(fmt.Sprintf(`{"counter":%d}`, i*10+3)), result("r", strconv.Itoa(i*10+3)))
		b.want(t, state(fmt.Sprintf(`{"counter":%d}`, i*10)), state(fmt.Sprintf(`{"counter":%d}`, i*10+3)))
	}
	a.send(t, call("v", "setWhole", `[{"counter":1,"reject":true}]`))
	a.want(t, failure("v", "validator said no"))
	a.send(t, call("v", "setWhole", `[{"counter":1}]`))
	a.want(t, state(`{"counter":1}`), result("v", ""))
	b.want(t, state(`{"counter":1}`))
	a.send(t, call("d", "setConnState", `["`+strings.Repeat("x", 20_000)+`"]`))
	a.want(t, failure("d", "The agent host's answer is not understood"))
}

func TestAgentHostMessages(t *testing.T) {
	t.Parallel()
	l := startHost(t, func(w http.ResponseWriter, r *http.Request) {
		var c gateway.HostCall
		if json.NewDecoder(r.Body).Decode(&c) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if c.Text != nil && *c.Text == "readonly" {
			stream(w, `{"readonly":true,"data":{"a":1},"done":true}`)
			return
		}
		stream(w, ``, `{"done":false,"result":"unseen"}`, `{"text":"one","binary":"AQL/"}`,
			fmt.Sprintf(`{"text":%q,"done":true,"result":"unseen"}`, fmt.Sprintf("%d%s", c.Binary, c.Connection.Data)))
	})
	s := l.agent(t, "/agents/c/m")
	s.send(t, "readonly")
	if err := s.Write(t.Context(), websocket.MessageBinary, []byte{7, 8}); err != nil {
		t.Fatal(err)
	}
	if got := s.next(t); got != "one" {
		t.Fatalf("got %q", got)
	}
	kind, data, err := s.Read(t.Context())
	if err != nil || kind != websocket.MessageBinary || string(data) != "\x01\x02\xff" {
		t.Fatalf("%v %q, %v", kind, data, err)
	}
	if got := s.next(t); got != `[7 8]{"a":1}` && got != `[7 8]` { // the two messages are under way at once
		t.Errorf("got %q", got)
	}
	for {
		s.send(t, state("1"))
		s.send(t, call("1", "isInitialized", "[]"))
		if got := s.next(t); strings.Contains(got, "readonly") {
			break
		}
	}
}

// TestAgentHostCallsInOrder: no more calls are under way than is set, and all are answered. They are numbered in the order of their
// messages; where one is under way at a time, that is the order in which the host gets them.
func TestAgentHostCallsInOrder(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 3} {
		var under, most atomic.Int32
		var mu sync.Mutex
		var order []uint64
		l := startHost(t, func(w http.ResponseWriter, r *http.Request) {
			defer under.Add(-1)
			n := under.Add(1)
			for m := most.Load(); n > m; m = most.Load() {
				if most.CompareAndSwap(m, n) {
					break
				}
			}
			var c gateway.HostCall
			_ = json.NewDecoder(r.Body).Decode(&c) // a wrong call fails the test below
			mu.Lock()
			order = append(order, c.Seq)
			mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, c.Seq)
		}, func(o *gateway.Options) { o.Agents.Host.MaxCalls = limit })
		s := l.agent(t, "/agents/c/order")
		const calls = 100
		for i := range calls {
			s.send(t, call(strconv.Itoa(i+1), "m", "[]"))
		}
		seen := map[string]bool{}
		for range calls {
			var f struct {
				ID     string
				Result int
			}
			if err := json.Unmarshal([]byte(s.next(t)), &f); err != nil || strconv.Itoa(f.Result) != f.ID || seen[f.ID] {
				t.Fatalf("%+v, %v", f, err)
			}
			seen[f.ID] = true
		}
		if limit == 1 && !slices.IsSorted(order) {
			t.Errorf("calls came in the order %d", order)
		}
		if n := most.Load(); n > int32(limit) {
			t.Errorf("%d calls at once, the limit is %d", n, limit)
		}
	}
}

func TestAgentHostCallsLoseNoUpdate(t *testing.T) {
	t.Parallel()
	l, _ := startLab(t)
	const clients, each = 5, 10
	var all sync.WaitGroup
	for i := range clients {
		s := l.agent(t, fmt.Sprintf("/agents/counter-agent/sum?_pk=%d", i))
		all.Go(func() {
			for n := range each {
				s.send(t, call(strconv.Itoa(n), "increment", "[1]"))
			}
			shown := 0
			for left := each; left > 0; {
				var f struct {
					Type   string
					Result int
					State  struct{ Counter int }
				}
				if err := json.Unmarshal([]byte(s.next(t)), &f); err != nil {
					t.Error(err)
					return
				}
				switch {
				case f.Type == "cf_agent_state":
					shown = f.State.Counter
				case f.Result > shown || f.Result == 0:
					t.Errorf("result %d comes when %d was shown", f.Result, shown)
					left--
				default:
					left--
				}
			}
		})
	}
	all.Wait()
	s := l.agent(t, "/agents/counter-agent/sum")
	s.send(t, call("1", "getFullState", "[]"))
	s.want(t, result("1", `{"counter":50}`))
}

// TestAgentHostCallsEndWithTheClient: when it goes, and when the server stops.
func TestAgentHostCallsEndWithTheClient(t *testing.T) {
	t.Parallel()
	began, ended := make(chan string), make(chan string)
	l := startHost(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		name := r.URL.Path
		if strings.HasSuffix(name, "stream") {
			stream(w, `{"done":false}`)
		}
		began <- name
		<-r.Context().Done()
		ended <- name
	}, func(o *gateway.Options) { o.Agents.Host.MaxCalls = 2 })
	for _, end := range []func(socket){
		func(s socket) { s.CloseNow() },
		func(s socket) { go s.Close(websocket.StatusNormalClosure, "") },
		func(socket) { go l.gateway.Drain() },
	} {
		s := l.agent(t, "/agents/c/end")
		s.send(t, call("1", "stream", "[]"))
		s.send(t, call("2", "one", "[]"))
		<-began
		<-began
		end(s)
		<-ended
		<-ended
	}
}

// TestAgentHostStreams: a client that reads slowly slows the host down and loses nothing; one that does not read at all is
// closed, and what waits for it is bounded all the time.
func TestAgentHostStreams(t *testing.T) {
	t.Parallel()
	var written atomic.Int64
	stopped := make(chan struct{})
	l := startHost(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/numbers") {
			for i := range 2000 {
				stream(w, fmt.Sprintf(`{"done":false,"result":%d}`, i))
			}
			stream(w, `{"done":true}`)
			return
		}
		defer close(stopped)
		for r.Context().Err() == nil {
			stream(w, `{"done":false,"result":"`+randomText(1<<20)+`"}`)
			written.Add(1)
		}
	}, func(o *gateway.Options) {
		o.Agents.QueueFrames, o.Agents.QueueBytes, o.WriteTimeout = 8, 8<<20, time.Second
		o.Logger = slog.New(slog.DiscardHandler)
	})
	slow := l.agent(t, "/agents/c/slow")
	slow.send(t, call("n", "numbers", "[]"))
	for i := range 2000 {
		if got, want := slow.next(t), fmt.Sprintf(`{"type":"rpc","id":"n","success":true,"done":false,"result":%d}`, i); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	slow.want(t, result("n", ""))

	deaf := l.agent(t, "/agents/c/deaf")
	deaf.send(t, call("1", "flood", "[]"))
	<-stopped
	// Half of the queue, and what the buffers of two connections and of the compression hold.
	if mib := written.Load(); mib > 32 {
		t.Errorf("the host wrote %d MiB to a client that does not read", mib)
	}
	deaf.CloseNow()
}

// TestAgentHostRequests: requests that are no WebSockets reach the host as they are, but for what the caller signed in with.
func TestAgentHostRequests(t *testing.T) {
	t.Parallel()
	var got *http.Request
	handler := func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(context.Background())
		switch {
		case strings.HasSuffix(r.URL.Path, "/both"):
			// Answers each byte before the next is sent.
			http.NewResponseController(w).EnableFullDuplex()
			http.NewResponseController(w).Flush()
			b := make([]byte, 1)
			for {
				if _, err := r.Body.Read(b); err != nil {
					return
				}
				w.Write(b)
				http.NewResponseController(w).Flush()
			}
		case strings.HasSuffix(r.URL.Path, "/hangs"):
			<-r.Context().Done()
		default:
			w.Header().Set("Set-Cookie", "a=b")
			w.Header().Set("X-Own", "yes")
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(http.StatusCreated)
		}
	}
	within := func(timeout time.Duration) *live {
		return startHost(t, handler, func(o *gateway.Options) {
			o.APIKey = "secret-key"
			o.Agents.Host.Key, o.Agents.Host.Timeout = labKey, timeout
		})
	}
	l := within(agentDeadline)
	a := l.call(t, "PATCH", "/agents/c//x/a%2Fb?q=%zz;1&token=mine", "body", with("Authorization", "Bearer secret-key", "Cookie", "secret-cookie", "X-Own", "1", "X-Forwarded-For", "6.6.6.6", "Agent-Session", "other"))
	if a.StatusCode != http.StatusCreated || a.Header.Get("X-Own") != "yes" || a.Header.Get("Set-Cookie") != "" || a.Header.Get("Location") != "/elsewhere" {
		t.Errorf("answer %d %v", a.StatusCode, a.Header)
	}
	if got.Method != http.MethodPatch || got.RequestURI != "/agents/c//x/a%2Fb?q=%zz;1&token=mine" || got.Header.Get("Agent-Session") != "c%2Fx" ||
		got.Header.Get("Authorization") != "Bearer "+labKey || got.Header.Get("X-Own") != "1" || got.Header.Get("X-Forwarded-For") != "127.0.0.1" || got.Header.Get("Agent-Timeout-Ms") != "30000" {
		t.Errorf("request %s %s %v", got.Method, got.RequestURI, got.Header)
	}
	if strings.Contains(fmt.Sprint(got.Header), "secret") {
		t.Errorf("the host learns what the caller signed in with: %v", got.Header)
	}
	l.call(t, "GET", "/agents/c/x", "").wantProblem(t, 401, "unauthorized")
	if a := within(100*time.Millisecond).call(t, "GET", "/agents/c/hangs/hangs", "", with("Authorization", "Bearer secret-key")); a.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("a host that does not answer: %d %s", a.StatusCode, a.body)
	}

	body, write := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.URL+"/agents/c/x/both", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer secret-key")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, b := range []byte("stream") {
		if _, err := write.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
		one := make([]byte, 1)
		if _, err := io.ReadFull(resp.Body, one); err != nil || one[0] != b {
			t.Fatalf("sent %c, got %c, %v", b, one[0], err)
		}
	}
	write.Close()

	let := startHost(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Set-Cookie", r.Header.Get("Cookie")) }, func(o *gateway.Options) { o.Agents.Host.Headers = []string{"cookie"} })
	if a := let.call(t, "GET", "/agents/c/x", "", with("Cookie", "a=b")); a.Header.Get("Set-Cookie") != "a=b" {
		t.Errorf("cookies that the operator let through: %v", a.Header)
	}
}
