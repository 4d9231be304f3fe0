package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/gateway"
)

const labKey = "key-of-the-agent-host"

// lab is an agent host with the agent that the recordings were made with. What it keeps of a session, it keeps in the session, by
// the ordinary API.
type lab struct {
	*httptest.Server

	gateway string   // the address of the API
	turn    sync.Map // by session: a lock
	// seen are the headers of all calls, by path.
	mu   sync.Mutex
	seen []labRequest
	// late delays the answers about new connections of the agent slow-start-agent.
	late chan struct{}
}

type labRequest struct {
	path   string
	header http.Header
	call   gateway.HostCall
}

// newLab starts the host. Its gateway is set before the first call.
func newLab(t testing.TB) *lab {
	t.Helper()
	h := &lab{late: make(chan struct{})}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Server.Close)
	return h
}

// withLab is the setting of a gateway that has the host.
func withLab(h *lab, change ...func(*gateway.AgentHostOptions)) func(*gateway.Options) {
	return func(o *gateway.Options) {
		o.Agents.Host.URL, o.Agents.Host.Key, o.Agents.Host.Connect = h.URL, labKey, true
		o.Agents.Host.ConnectTimeout = agentDeadline // a busy machine is none of the test's business
		for _, c := range change {
			c(&o.Agents.Host)
		}
	}
}

// startLab is a gateway with the host behind it.
func startLab(t testing.TB, change ...func(*gateway.AgentHostOptions)) (*live, *lab) {
	t.Helper()
	h := newLab(t)
	l := startLive(t, withLab(h, change...))
	h.gateway = l.URL
	return l, h
}

func (h *lab) requests(kind string) (list []labRequest) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.seen {
		if strings.HasPrefix(r.path, "/"+kind+"/") {
			list = append(list, r)
		}
	}
	return list
}

func (h *lab) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+labKey {
		http.Error(w, `{"error":"the key is wrong"}`, http.StatusUnauthorized)
		return
	}
	c := &labCall{lab: h, w: w, r: r}
	path := strings.Split(r.URL.EscapedPath(), "/")
	if path[1] == "agents" {
		h.note(r, gateway.HostCall{})
		c.request()
		return
	}
	if err := json.NewDecoder(r.Body).Decode(&c.HostCall); err != nil || url.PathEscape(c.SessionID) != path[2] || r.Header.Get("Idempotency-Key") == "" {
		http.Error(w, `{"error":"no such call"}`, http.StatusBadRequest)
		return
	}
	h.note(r, c.HostCall)
	switch path[1] {
	case "connections":
		c.connect()
	case "messages":
		c.message()
	case "calls":
		method, ok := labMethods[c.Method]
		switch {
		case ok:
			method(c)
		case labPrivate[c.Method]:
			w.WriteHeader(http.StatusMethodNotAllowed)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}
}

func (h *lab) note(r *http.Request, c gateway.HostCall) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen = append(h.seen, labRequest{r.URL.EscapedPath(), r.Header.Clone(), c})
}

// labCall is one call of the gateway.
type labCall struct {
	*lab
	gateway.HostCall

	w http.ResponseWriter
	r *http.Request
}

// api calls the gateway as anybody would.
func (c *labCall) api(method, path, body string, headers ...string) (*http.Response, string) {
	req, err := http.NewRequestWithContext(c.r.Context(), method, c.gateway+"/v1/sessions/"+url.PathEscape(c.SessionID)+path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(http.ErrAbortHandler) // the caller is gone
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return resp, string(data)
}

// set stores a state and returns its version; a readonly connection's call may not.
func (c *labCall) set(state string, headers ...string) (version string, ok bool) {
	if c.Connection.Readonly {
		c.fail("Connection is readonly")
		return "", false
	}
	if strings.Contains(state, `"reject":true`) {
		c.fail("validator said no")
		return "", false
	}
	resp, body := c.api("PUT", "/state", state, append(headers, "Content-Type", "application/json")...)
	if resp.StatusCode != http.StatusOK {
		c.fail(body)
		return "", false
	}
	return strings.Trim(resp.Header.Get("ETag"), `"`), true
}

func (c *labCall) state() string {
	resp, body := c.api("GET", "/state", "")
	if resp.StatusCode == http.StatusNotFound {
		return labInitial["counter-agent"]
	}
	return body
}

func (c *labCall) counter() int {
	var s struct{ Counter int }
	_ = json.Unmarshal([]byte(c.state()), &s) // no counter is 0
	return s.Counter
}

// alone runs the calls of one session one after the other, as an agent does.
func (c *labCall) alone() (done func()) {
	lock, _ := c.turn.LoadOrStore(c.SessionID, &sync.Mutex{})
	lock.(*sync.Mutex).Lock()
	return lock.(*sync.Mutex).Unlock
}

// answer is a result that comes behind a version; "" is any.
func (c *labCall) answer(result any, version string) {
	c.w.Header().Set("Content-Type", "application/json")
	if version != "" {
		c.w.Header().Set("Session-Version", version)
	}
	_ = json.NewEncoder(c.w).Encode(result) // a gateway that is gone needs no answer
}

func (c *labCall) fail(text string) {
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(http.StatusInternalServerError)
	_ = json.NewEncoder(c.w).Encode(map[string]string{"error": text}) // as above
}

// lines streams lines.
func (c *labCall) lines(lines ...string) {
	c.w.Header().Set("Content-Type", "application/x-ndjson")
	for _, line := range lines {
		fmt.Fprintln(c.w, line)
		_ = http.NewResponseController(c.w).Flush() // as above
	}
}

func (c *labCall) arg(i int, into any) {
	if i < len(c.Args) {
		_ = json.Unmarshal(c.Args[i], into) // a wrong argument is none
	}
}

// pause waits as long as an argument says, in milliseconds.
func (c *labCall) pause(ms int) {
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
	case <-c.r.Context().Done():
	}
}

// labInitial are the states that agents begin with.
var labInitial = map[string]string{"counter-agent": `{"counter":0}`, "thrower-agent": `{"n":0}`, "slow-start-agent": `{"started":true}`}

// connect is what the agent's hooks do: the query says what.
func (c *labCall) connect() {
	if c.Agent == "slow-start-agent" {
		<-c.late
	}
	initial := labInitial[c.Agent]
	version := ""
	if c.Version == 0 && initial != "" {
		resp, body := c.api("PUT", "/state", initial, "If-None-Match", "*")
		version = strings.Trim(resp.Header.Get("ETag"), `"`)
		if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPreconditionFailed {
			c.fail(body)
			return
		}
	}
	u, err := url.Parse(c.Connection.URL)
	if err != nil {
		c.fail(err.Error())
		return
	}
	query := u.Query()
	if query.Get("throwOnConnect") != "" {
		c.fail("onConnect failed")
		return
	}
	if deny := query.Get("deny"); deny != "" {
		code, _ := strconv.Atoi(deny)
		http.Error(c.w, `{"error":"denied"}`, code)
		return
	}
	greeting := map[string]any{"readonly": query.Get("readonly") == "1", "protocol": query.Get("noproto") != "1"}
	if query.Get("hello") != "" {
		greeting["messages"] = []string{fmt.Sprintf(`{"type":"lab_onConnect","id":%q}`, c.Connection.ID)}
	}
	if code, err := strconv.Atoi(query.Get("closeOnConnect")); err == nil {
		greeting["close"] = map[string]any{"code": code, "reason": "closed in onConnect"}
	}
	if code, err := strconv.Atoi(query.Get("refuse")); err == nil {
		greeting["refuse"] = map[string]any{"code": code, "reason": "not you"}
	}
	c.answer(greeting, version)
}

// message says what the agent got.
func (c *labCall) message() {
	switch {
	case c.Agent == "thrower-agent":
		c.fail("onMessage failed")
	case c.Agent != "counter-agent":
		c.w.WriteHeader(http.StatusNoContent)
	default:
		told := map[string]any{"type": "lab_onMessage", "kind": "text", "got": c.Text}
		if c.Text == nil {
			numbers := make([]int, len(c.Binary))
			for i, b := range c.Binary {
				numbers[i] = int(b)
			}
			told["kind"], told["got"] = "binary", numbers
		}
		text, _ := json.Marshal(told)
		line, _ := json.Marshal(map[string]any{"text": string(text), "done": true})
		c.lines(string(line))
	}
}

// request is onRequest.
func (c *labCall) request() {
	path := c.r.URL.Path
	session, err := url.PathUnescape(c.r.Header.Get("Agent-Session"))
	if err != nil {
		session = ""
	}
	c.SessionID = session
	agent, name, _ := strings.Cut(session, "/")
	switch {
	case agent == "thrower-agent" || strings.HasSuffix(path, "/throw"):
		http.Error(c.w, "onRequest failed", http.StatusInternalServerError)
		return
	case agent == "plain-agent" || strings.Contains(path, "/sub/"):
		c.w.Header().Set("Content-Type", "text/plain;charset=UTF-8")
		c.w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(c.w, "Not implemented") // a caller that is gone needs no answer
		return
	case strings.HasSuffix(path, "/state"):
		c.answer(map[string]json.RawMessage{"state": json.RawMessage(c.state())}, "")
		return
	}
	var body any
	if c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
		data, _ := io.ReadAll(c.r.Body)
		body = string(data)
	}
	search := ""
	if c.r.URL.RawQuery != "" {
		search = "?" + c.r.URL.RawQuery
	}
	var told bytes.Buffer
	encoder := json.NewEncoder(&told)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(map[string]any{"method": c.r.Method, "pathname": path, "search": search, "body": body, "name": name})
	c.w.Header().Set("Content-Type", "application/json")
	_, _ = c.w.Write(bytes.TrimSpace(told.Bytes())) // as above
}

// labPrivate are methods of the agent that nobody may call.
var labPrivate = map[string]bool{"privateMethod": true, "setState": true, "destroy": true, "constructor": true, "toString": true, "sql": true, "onMessage": true}

var labMethods = map[string]func(*labCall){
	"ping":       func(c *labCall) { c.answer("pong", "") },
	"echo":       func(c *labCall) { c.answer(c.Args, "") },
	"voidMethod": func(c *labCall) { c.w.WriteHeader(http.StatusNoContent) },
	"returnNull": func(c *labCall) { c.answer(nil, "") },
	"returnDate": func(c *labCall) { c.answer("1970-01-01T00:00:00.000Z", "") },
	"returnNaN":  func(c *labCall) { c.answer(nil, "") },
	"returnMap":  func(c *labCall) { c.answer(map[string]int{}, "") },
	"asyncAdd": func(c *labCall) {
		var a, b, ms int
		c.arg(0, &a)
		c.arg(1, &b)
		c.arg(2, &ms)
		c.pause(ms)
		c.answer(a+b, "")
	},
	"throwError":   func(c *labCall) { c.fail("boom") },
	"throwString":  func(c *labCall) { c.w.WriteHeader(http.StatusInternalServerError) },
	"returnBigInt": func(c *labCall) { c.fail("Do not know how to serialize a BigInt") },
	"returnCircular": func(c *labCall) {
		c.fail("Converting circular structure to JSON\n    --> starting at object with constructor 'Object'\n    --- property 'self' closes the circle")
	},
	"getCounter": func(c *labCall) { c.answer(c.counter(), "") },
	"getState":   func(c *labCall) { c.answer(json.RawMessage(c.state()), "") },
	"setWhole": func(c *labCall) {
		if version, ok := c.set(string(c.Args[0])); ok {
			c.lines(`{"done":true,"version":` + version + `}`)
		}
	},
	"increment": func(c *labCall) {
		defer c.alone()()
		n := 1
		c.arg(0, &n)
		n += c.counter()
		if version, ok := c.set(fmt.Sprintf(`{"counter":%d}`, n)); ok {
			c.answer(n, version)
		}
	},
	"setThenThrow": func(c *labCall) {
		if version, ok := c.set(fmt.Sprintf(`{"counter":%d}`, c.counter()+1)); ok {
			c.lines(`{"error":"after set","version":` + version + `}`)
		}
	},
	"streamNumbers": func(c *labCall) {
		n := 0
		c.arg(0, &n)
		for i := range n {
			c.lines(fmt.Sprintf(`{"done":false,"result":%d}`, i))
		}
		c.lines(fmt.Sprintf(`{"done":true,"result":%d}`, n))
	},
	"streamSlow": func(c *labCall) {
		var items []json.RawMessage
		var ms int
		c.arg(0, &items)
		c.arg(1, &ms)
		for _, item := range items {
			c.pause(ms)
			c.lines(`{"done":false,"result":` + string(item) + `}`)
		}
		c.lines(`{"done":true}`)
	},
	"streamThrow":     func(c *labCall) { c.lines(`{"done":false,"result":"chunk1"}`, `{"error":"stream failed"}`) },
	"streamErr":       func(c *labCall) { c.lines(`{"done":false,"result":"chunk1"}`, `{"error":"graceful"}`) },
	"streamUndefined": func(c *labCall) { c.lines(`{"done":false}`, `{"done":true}`) },
	"streamNoEnd": func(c *labCall) {
		c.lines(`{"done":false,"result":"only"}`)
		<-c.r.Context().Done()
	},
	"whoami": func(c *labCall) {
		data := json.RawMessage("null")
		if c.Connection.Data != nil {
			data = c.Connection.Data
		}
		tags := []string{c.Connection.ID}
		if u, err := url.Parse(c.Connection.URL); err == nil && u.Query().Get("tag") != "" {
			tags = append(tags, u.Query().Get("tag"))
		}
		c.answer(map[string]any{
			"id": c.Connection.ID, "tags": tags, "uri": c.Connection.URL, "state": data,
			"readonly": c.Connection.Readonly, "protocol": c.Connection.Protocol,
		}, "")
	},
	"setConnState": func(c *labCall) { c.lines(fmt.Sprintf(`{"data":%s,"done":true,"result":%s}`, c.Args[0], c.Args[0])) },
	"closeMe": func(c *labCall) {
		c.lines(fmt.Sprintf(`{"done":true,"result":"closing","close":{"code":%s,"reason":%s}}`, c.Args[0], c.Args[1]))
	},
	"destroyMe": func(c *labCall) {
		c.api("DELETE", "", "")
		<-c.r.Context().Done() // the connections end with the session
	},
}
