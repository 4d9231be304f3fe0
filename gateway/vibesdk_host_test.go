package gateway_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/schemas/gen"
)

// hosted is a gateway with VibeSDK's routes and a host that does as the test says with each call.
func hosted(t testing.TB, does func(w http.ResponseWriter, r *http.Request, call gateway.HostCall), change ...func(*gateway.Options)) *vibe {
	t.Helper()
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the gateway is gone
		}
		var call gateway.HostCall
		if len(body) > 0 {
			if err := json.Unmarshal(body, &call); err != nil {
				t.Errorf("the host got %q: %v", body, err)
			}
		}
		does(w, r, call)
	}))
	t.Cleanup(host.Close)
	return startVibe(t, append([]func(*gateway.Options){func(o *gateway.Options) {
		o.Agents.Host.URL, o.Agents.Host.ConnectTimeout = host.URL, agentDeadline // a busy machine is none of the test's business
	}}, change...)...)
}

// TestVibeSDKMessagesGoToTheHost: all but states and calls, with the address that the client came with and none of its secrets.
func TestVibeSDKMessagesGoToTheHost(t *testing.T) {
	t.Parallel()
	v := hosted(t, func(w http.ResponseWriter, r *http.Request, call gateway.HostCall) {
		if call.SessionID != "mine" || call.Agent != "code-generator-agent" || call.Name != "mine" || call.Connection.ID != "a" ||
			call.Connection.URL != "/api/agent/mine/ws?_pk=a&x=1" || call.Text == nil || !strings.HasPrefix(r.URL.Path, "/messages/") {
			t.Errorf("the host got %s %+v", r.URL, call)
		}
		if tells(strings.Join(r.Header.Values("Cookie"), ""), "ey") || r.Header.Get("Authorization") != "" {
			t.Errorf("the host got %v", r.Header)
		}
		text, err := json.Marshal(`{"type":"echo","text":` + string(must(json.Marshal(*call.Text))) + `}`)
		if err != nil {
			t.Error(err)
		}
		stream(w, `{"text":`+string(text)+`}`, `{"done":true}`)
	})
	mine := ownedBy("u1", "")
	v.own(t, "mine", mine)
	s := v.page(t, "u1", "mine", "?_pk=a&token="+tokenFor("u1")+"&x=1&access_token=y")
	s.introduced(t, "code-generator-agent", "mine", mine)
	for _, message := range []string{`{"type":"generate_all"}`, `{"type":"get_conversation_state"}`, `{"type":"nonsense"}`, `no JSON`, ""} {
		s.send(t, message)
		s.want(t, `{"type":"echo","text":`+string(must(json.Marshal(message)))+`}`)
	}
	s.send(t, call("1", "increment", "[]"))
	s.want(t, failure("1", "Method increment does not exist"))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestVibeSDKHostGreets: a host that is asked about connections says itself that the agent is connected, with what only it knows, and
// may make the connection readonly or refuse it.
func TestVibeSDKHostGreets(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	answer := `{"readonly":true,"messages":["{\"type\":\"agent_connected\",\"templateDetails\":{}}"]}`
	v := hosted(t, func(w http.ResponseWriter, _ *http.Request, _ gateway.HostCall) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, answer)
	}, func(o *gateway.Options) { o.Agents.Host.Connect = true })
	mine := ownedBy("u1", "")
	v.own(t, "mine", mine)
	s := v.page(t, "u1", "mine", "?_pk=a")
	s.want(t, identity("code-generator-agent", "mine", false), state(mine), emptyMCP, `{"type":"agent_connected","templateDetails":{}}`)
	s.send(t, state(mine))
	s.want(t, vibeError("Error setting state: Connection is readonly"))
	v.put(t, "mine", gen.StateMutation_PUT, "", ownedBy("u1", `,"n":1`))
	s.want(t, nested(t, state(ownedBy("u1", `,"n":1`)), ""))
	mu.Lock()
	answer = `{"refuse":{"code":4001,"reason":"not now"}}`
	mu.Unlock()
	if e := v.page(t, "u1", "mine", "").closed(t); e.Code != 4001 || !strings.Contains(e.Reason, "not now") {
		t.Errorf("refused: closed %d %s", e.Code, e.Reason)
	}
	mu.Lock()
	answer = `{"protocol":false,"messages":["hello"]}`
	mu.Unlock()
	quiet := v.page(t, "u1", "mine", "")
	if got := quiet.next(t); got != "hello" {
		t.Errorf("a connection without the protocol gets %s", got)
	}
}

// TestVibeSDKPagesDoNotLoopWithAHost is the whole circle: the page begins the generation, the host's agent sets its state before it
// looks whether it generates already, and the page sees the change.
func TestVibeSDKPagesDoNotLoopWithAHost(t *testing.T) {
	t.Parallel()
	const changes = 10
	stored := func(n string) string { return ownedBy("u1", `,"shouldBeGenerating":true,"n":`+n) }
	var v *vibe
	var begun sync.Map
	v = hosted(t, func(w http.ResponseWriter, _ *http.Request, call gateway.HostCall) {
		if *call.Text == `{"type":"generate_all"}` {
			if _, again := begun.LoadOrStore(call.SessionID, true); again {
				t.Error("the page began the generation again")
			}
			for n := range changes {
				v.put(t, call.SessionID, gen.StateMutation_PUT, "", stored(strconv.Itoa(n+1)))
			}
		}
		stream(w, `{"done":true}`)
	})
	for name, october := range map[string]bool{"october": true, "august": false} {
		v.own(t, name, stored("0"))
		s := v.page(t, "u1", name, "")
		p := &browser{october: october}
		for last := false; !last; {
			frame := s.next(t)
			for _, kind := range p.sends(t, frame) {
				s.send(t, `{"type":"`+kind+`"}`)
			}
			last = sameJSON(t, frame, nested(t, state(stored(strconv.Itoa(changes))), ""))
		}
		if _, ok := begun.Load(name); !ok {
			t.Errorf("the page of %s began no generation", name)
		}
	}
}

// TestVibeSDKSocketsOfTheHost: an agent whose sockets are the host's altogether. Who may connect is decided here.
func TestVibeSDKSocketsOfTheHost(t *testing.T) {
	t.Parallel()
	seen := make(chan *http.Request, 1)
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.CloseNow()
		_ = ws.Write(r.Context(), websocket.MessageText, []byte("from the host")) // the client may be gone
		_, _, _ = ws.Read(r.Context())
	}))
	t.Cleanup(host.Close)
	v := startVibe(t, func(o *gateway.Options) {
		o.Agents.Host.URL, o.Agents.Host.Proxy = host.URL, []string{"code-generator-agent"}
	})
	v.own(t, "mine", ownedBy("u1", ""))
	refused := v.call(t, "GET", "/api/agent/mine/ws", "", with(append([]string{"Authorization", bearer(tokenFor("u2"))}, upgradeHeaders...)...))
	refused.want(t, "another user", http.StatusForbidden, vibeForbidden)
	ticket := v.ticket(t, "u1", "mine")
	s := v.dial(t, "/api/agent/mine/ws?ticket="+ticket+"&x=1", dialing("Origin", "https://anywhere.example.com", "Cookie", "accessToken="+tokenFor("u1")))
	if got := s.next(t); got != "from the host" {
		t.Errorf("got %s", got)
	}
	r := <-seen
	if r.URL.Path != "/api/agent/mine/ws" || r.URL.RawQuery != "x=1" || r.Header.Get("Cookie") != "" || r.Header.Get("Agent-Session") != "mine" {
		t.Errorf("the host got %s %v", r.URL, r.Header)
	}
}

// TestVibeSDKPreviewOfTheHost: when deployToSandbox is the host's, so is the preview.
func TestVibeSDKPreviewOfTheHost(t *testing.T) {
	t.Parallel()
	answers := make(chan string, 1)
	v := hosted(t, func(w http.ResponseWriter, r *http.Request, call gateway.HostCall) {
		if r.URL.Path != "/calls/mine/deployToSandbox" || call.SessionID != "mine" || call.Name != "mine" || call.Method != "deployToSandbox" || call.Version == 0 ||
			len(call.Args) != 0 || r.Header.Get("Idempotency-Key") == "" {
			t.Errorf("the host got %s %+v", r.URL, call)
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, <-answers)
	}, func(o *gateway.Options) { o.Agents.Host.Methods = []string{"deployToSandbox"} })
	v.own(t, "mine", ownedBy("u1", `,"agentId":"mine"`))
	ask := func() answer {
		return v.call(t, http.MethodGet, "/api/agent/mine/preview", "", with("Authorization", bearer(tokenFor("u1"))))
	}
	answers <- `{"runId":"r1","previewURL":"https://preview.test/","tunnelURL":"x"}`
	if got := ask(); got.StatusCode != http.StatusOK || !sameJSON(t, got.body, `{"success":true,"data":{"runId":"r1","previewURL":"https://preview.test/"}}`) {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	for _, odd := range []string{"null", `{"runId":"r1"}`, "7"} {
		answers <- odd
		ask().want(t, "the host answers "+odd, http.StatusInternalServerError, vibeRefusal("Failed to deploy preview"))
	}
}
