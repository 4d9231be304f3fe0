package gateway_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"vibesdk-gcp/gateway"
)

// TestRecordedFrames plays what a real client and a real agent said to each other, in order, and compares each frame. The agent's
// own methods and hooks are those of an agent host.
func TestRecordedFrames(t *testing.T) {
	t.Parallel()
	scenarios := readRecordings(t)
	h := newLab(t)
	l := startLive(t, withLab(h, func(o *gateway.AgentHostOptions) { o.Methods = []string{"setState"} }), func(o *gateway.Options) {
		o.Agents.Classes = []string{"counter-agent", "plain-agent", "thrower-agent", "slow-start-agent"}
	})
	h.gateway = l.URL
	known := map[string]bool{}
	for name, left := range replayed {
		known[name] = true
		if len(scenarios[name]) == 0 {
			t.Errorf("%s is not recorded", name)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := player{live: l, host: h, left: left, dropped: map[string]bool{}, conns: map[string]*played{}, actual: map[string]string{}}
			p.play(t, scenarios[name])
			for what := range left {
				if !p.dropped[what] {
					t.Errorf("%q is left out and not recorded", what)
				}
			}
		})
	}
	for name := range notReplayed {
		if known[name] || scenarios[name] == nil {
			t.Errorf("%s is in both tables, or not recorded", name)
		}
		known[name] = true
	}
	for name := range scenarios {
		if !known[name] {
			t.Errorf("%s is recorded and in no table", name)
		}
	}
}

// played is a connection of a recording.
type played struct {
	socket

	closed bool
	// many are the ids of the calls that a call of the recording was split into.
	many map[string]int
}

// player plays one recording.
type player struct {
	*live

	host    *lab
	left    map[string]string
	dropped map[string]bool
	conns   map[string]*played
	// actual are the ids that were given out this time, by those of the recording.
	actual map[string]string
	seen   int
	answer answer
}

func (p *player) play(t *testing.T, recorded []recordedEvent) {
	t.Helper()
	release := sync.OnceFunc(func() {
		if recorded[0].URL != "" && strings.Contains(recorded[0].URL, "slow-start") {
			close(p.host.late)
		}
	})
	defer release()
	for _, e := range recorded {
		c := p.conns[e.Conn]
		switch e.Dir {
		case "connect":
			p.conns[e.Conn] = &played{socket: p.dial(t, e.URL), many: map[string]int{}}
		case "c2s":
			if !p.leaves(e) {
				p.send(t, c, e)
			}
			release()
		case "s2c":
			if !p.leaves(e) {
				p.want(t, c, e)
			}
		case "c2s-close":
			code := websocket.StatusNormalClosure
			if e.Code != nil {
				code = websocket.StatusCode(*e.Code)
			}
			if err := c.Close(code, e.Reason); err != nil {
				t.Errorf("close %d is not answered: %v", code, err)
			}
			c.closed = true
		case "close-frame":
			if e.From == "server" && !c.closed {
				if got := c.socket.closed(t); int(got.Code) != *e.Code || !strings.Contains(got.Reason, e.Reason) {
					t.Errorf("%s is closed with %d %s, recorded is %d %s", e.Conn, got.Code, got.Reason, *e.Code, e.Reason)
				}
				c.closed = true
				p.seen++
			}
		case "request":
			p.request(t, e)
		case "response":
			p.response(t, e)
		}
	}
	if p.seen < 2 {
		t.Errorf("only %d frames were compared", p.seen)
	}
}

// leaves reports whether a frame, or the answer to it, is left out.
func (p *player) leaves(e recordedEvent) bool {
	what := e.JSON.ID
	if e.JSON.Type == "cf_agent_state" {
		what = e.JSON.Type + " " + string(e.JSON.State)
	}
	_, left := p.left[what]
	if left {
		p.dropped[what] = true
	}
	return left
}

// builtIn are methods here that the agent of the recordings had under other names.
var builtIn = map[string]string{
	"scheduleDelay": "schedule", "scheduleDate": "schedule", "scheduleCron": "schedule", "scheduleInterval": "scheduleEvery",
	"schedulesList": "getSchedules", "scheduleGet": "getSchedule", "scheduleCancel": "cancelSchedule",
	"queuePeek": "getQueue", "queueFind": "getQueues", "queueDrop": "dequeue", "queueDropAll": "dequeueAll",
}

var milliseconds = regexp.MustCompile(`\b[0-9]{13}\b`)

func (p *player) send(t *testing.T, c *played, e recordedEvent) {
	t.Helper()
	if e.Binary {
		data, err := base64.StdEncoding.DecodeString(e.Base64)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Write(t.Context(), websocket.MessageBinary, data); err != nil {
			t.Fatal(err)
		}
		return
	}
	text := e.Text
	if e.JSON.Method == "queueMany" {
		var items []json.RawMessage
		if err := json.Unmarshal(e.JSON.Args[1], &items); err != nil {
			t.Fatal(err)
		}
		for i, item := range items {
			c.send(t, fmt.Sprintf(`{"type":"rpc","id":"%s-%d","method":"queue","args":[%s,%s]}`, e.JSON.ID, i, e.JSON.Args[0], item))
		}
		c.many[e.JSON.ID] = len(items)
		return
	}
	if name, ok := builtIn[e.JSON.Method]; ok {
		text = strings.Replace(text, `"method":"`+e.JSON.Method+`"`, `"method":"`+name+`"`, 1)
		// Dates are texts in JSON.
		text = milliseconds.ReplaceAllStringFunc(text, func(ms string) string {
			n, _ := json.Number(ms).Int64()
			return time.UnixMilli(n).UTC().Format(`"2006-01-02T15:04:05.000Z"`)
		})
	}
	for recorded, actual := range p.actual {
		text = strings.ReplaceAll(text, `"`+recorded+`"`, `"`+actual+`"`)
	}
	c.send(t, text)
}

func (p *player) want(t *testing.T, c *played, e recordedEvent) {
	t.Helper()
	p.seen++
	if n := c.many[e.JSON.ID]; n > 0 {
		var recorded struct{ Result []string }
		if err := json.Unmarshal([]byte(e.Text), &recorded); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			var got struct{ ID, Result string }
			if err := json.Unmarshal([]byte(c.next(t)), &got); err != nil || got.ID != fmt.Sprintf("%s-%d", e.JSON.ID, i) {
				t.Fatalf("%+v, %v", got, err)
			}
			p.actual[recorded.Result[i]] = got.Result
		}
		return
	}
	got := c.next(t)
	var a, b any
	if json.Unmarshal([]byte(e.Text), &a) != nil {
		if got != e.Text {
			t.Fatalf("%s got %q, recorded is %q", e.Conn, got, e.Text)
		}
		return
	}
	if err := json.Unmarshal([]byte(got), &b); err != nil || !p.same("", a, b) {
		t.Fatalf("%s got frame %s\n     recorded %s", e.Conn, got, e.Text)
	}
}

var (
	madeUp  = regexp.MustCompile(`^[A-Za-z0-9_-]{9}$|^[A-Za-z0-9_-]{21}$`)
	address = regexp.MustCompile(`^http://[^/]*`)
	// stack is what follows the message of an error that the recorded agent told its clients whole.
	stack = regexp.MustCompile(`(?s)^Error: ([^\n]*)\n.*`)
)

// same compares values. Ids that were made up are the same when they always stand for each other; times are not compared.
func (p *player) same(key string, recorded, got any) bool {
	switch a := recorded.(type) {
	case map[string]any:
		b, ok := got.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k := range a {
			if v, ok := b[k]; !ok || !p.same(k, a[k], v) {
				return false
			}
		}
		return true
	case []any:
		b, ok := got.([]any)
		return ok && len(a) == len(b) && p.sameItems(key, a, b)
	case float64:
		b, ok := got.(float64)
		return ok && (a == b || (key == "time" || key == "createdAt") && b > 1e9 && b < 1e11)
	case string:
		b, ok := got.(string)
		switch {
		case !ok:
			return false
		case key == "uri":
			return address.ReplaceAllString(a, "") == b
		case key == "error":
			a = stack.ReplaceAllString(a, "$1")
		case (key == "id" || key == "tags") && madeUp.MatchString(a):
			if p.actual[a] == "" && b != "" {
				p.actual[a] = b
			}
			a = p.actual[a]
		}
		return a == b
	default:
		return recorded == got
	}
}

func (p *player) sameItems(key string, a, b []any) bool {
	for i := range a {
		if !p.same(key, a[i], b[i]) {
			return false
		}
	}
	return true
}

func (p *player) request(t *testing.T, e recordedEvent) {
	t.Helper()
	path, method, body, headers := e.Path, e.Method, e.Body, e.Headers
	if path == "" { // by agentFetch
		path, method, body, headers = e.URL, e.Init.Method, e.Init.Body, e.Init.Headers
	}
	if method == "" {
		method = http.MethodGet
	}
	p.answer = answer{}
	if _, left := p.left[path]; left {
		p.dropped[path] = true
		return
	}
	p.answer = p.call(t, method, path, body, func(r *http.Request) {
		for name, value := range headers {
			r.Header.Set(name, value)
		}
	})
}

func (p *player) response(t *testing.T, e recordedEvent) {
	t.Helper()
	got := p.answer
	if got.Response == nil {
		return
	}
	p.seen++
	path := got.Request.URL.Path
	switch {
	case got.Request.Header.Get("Upgrade") != "":
		// The next release of the runtime answers 426 to the first of the two.
		if got.StatusCode != e.Status && got.StatusCode != http.StatusUpgradeRequired {
			t.Errorf("%s: %d, recorded is %d", path, got.StatusCode, e.Status)
		}
		return
	case got.StatusCode != e.Status:
		t.Errorf("%s %s: %d %s, recorded is %d", got.Request.Method, path, got.StatusCode, got.body, e.Status)
		return
	case !strings.HasPrefix(path, "/agents/"):
		return // problems have a form of their own there
	}
	if kind := e.Headers["content-type"]; kind != "" && !strings.EqualFold(strings.ReplaceAll(got.Header.Get("Content-Type"), " ", ""), kind) {
		t.Errorf("%s: media type %s, recorded is %s", path, got.Header.Get("Content-Type"), kind)
	}
	switch {
	case e.Status == http.StatusInternalServerError: // a stack
	case strings.HasPrefix(e.Body, "{"):
		if !sameJSON(t, got.body, e.Body) {
			t.Errorf("%s: %s, recorded is %s", path, got.body, e.Body)
		}
	case got.body != e.Body:
		t.Errorf("%s: %q, recorded is %q", path, got.body, e.Body)
	}
}
