package gateway_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"vibesdk-gcp/gateway"
)

// startProxy is a gateway whose agent proxied is the host's altogether. Each connection that the host gets is given to the test.
func startProxy(t *testing.T, change ...func(*gateway.Options)) (*live, chan proxied) {
	t.Helper()
	conns := make(chan proxied, 10)
	l := startHost(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/denied") {
			http.Error(w, "denied", http.StatusForbidden)
			return
		}
		if r.Header.Get("Upgrade") == "" {
			io.WriteString(w, "over HTTP")
			return
		}
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		ws.SetReadLimit(-1)
		over := make(chan struct{})
		conns <- proxied{socket{ws}, r, over}
		<-over
	}, append([]func(*gateway.Options){func(o *gateway.Options) {
		o.Agents.Host.Key, o.Agents.Host.Proxy, o.APIKey = labKey, []string{"proxied"}, "secret-key"
	}}, change...)...)
	return l, conns
}

// proxied is the host's side of a connection.
type proxied struct {
	socket

	request *http.Request
	over    chan struct{}
}

func TestProxiedSockets(t *testing.T) {
	t.Parallel()
	const largest = 4 << 20
	l, conns := startProxy(t, func(o *gateway.Options) { o.Agents.MaxMessage = largest })
	dial := func() (socket, proxied) {
		s := l.dial(t, "/agents/proxied/x/sub/a%2Fb/kid?_pk=me&token=secret-key&__agents_transport=capnweb", func(o *websocket.DialOptions) {
			o.HTTPHeader.Set("Cookie", "secret")
			o.HTTPHeader.Set("X-Own", "1")
		})
		h := <-conns
		t.Cleanup(func() { close(h.over) })
		return s, h
	}
	s, h := dial()
	if got := h.request; got.RequestURI != "/agents/proxied/x/sub/a%2Fb/kid?_pk=me&__agents_transport=capnweb" || got.Header.Get("Authorization") != "Bearer "+labKey ||
		got.Header.Get("X-Own") != "1" || got.Header.Get("Cookie") != "" || got.Header.Get("Agent-Session") != "proxied%2Fx" {
		t.Errorf("the host got %s %v", got.RequestURI, got.Header)
	}
	if n := l.gateway.AgentSockets(); n != 1 {
		t.Errorf("%d connections are counted", n)
	}
	// Messages pass as they are, both ways.
	for _, text := range []string{"", "not json", `{"type":"rpc","id":"1","method":"setState","args":[1]}`, state("1"), strings.Repeat("ü", 1<<20)} {
		for _, way := range [][2]socket{{s, h.socket}, {h.socket, s}} {
			go way[0].Write(t.Context(), websocket.MessageText, []byte(text))
			if got := way[1].next(t); got != text {
				t.Fatalf("sent %.50q, got %.50q", text, got)
			}
		}
	}
	raw := []byte{0, 1, 255}
	if err := s.Write(t.Context(), websocket.MessageBinary, raw); err != nil {
		t.Fatal(err)
	}
	if kind, got, err := h.Read(t.Context()); err != nil || kind != websocket.MessageBinary || !bytes.Equal(got, raw) {
		t.Fatalf("%v %v %v", kind, got, err)
	}
	// So do the codes of their end.
	go h.Close(4321, "because")
	if e := s.closed(t); e.Code != 4321 || !strings.Contains(e.Reason, "because") {
		t.Errorf("closed by the host: %d %s", e.Code, e.Reason)
	}
	s, h = dial()
	go s.Close(3000, "enough")
	if e := h.closed(t); e.Code != 3000 || !strings.Contains(e.Reason, "enough") {
		t.Errorf("closed by the client: %d %s", e.Code, e.Reason)
	}
	s, h = dial()
	s.CloseNow()
	if e := h.closed(t); e.Code != websocket.StatusAbnormalClosure {
		t.Errorf("a client that is gone: %d %s", e.Code, e.Reason)
	}
	s, h = dial()
	h.CloseNow()
	if e := s.closed(t); e.Code != websocket.StatusAbnormalClosure {
		t.Errorf("a host that is gone: %d %s", e.Code, e.Reason)
	}
	s, h = dial()
	go drain(t, h.socket)
	go s.Write(t.Context(), websocket.MessageText, make([]byte, largest+1))
	if e := s.closed(t); e.Code != websocket.StatusMessageTooBig {
		t.Errorf("a message that is too large: %d %s", e.Code, e.Reason)
	}
	// What the host answers instead of an upgrade is the client's answer.
	_, resp, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(l.URL, "http")+"/agents/proxied/denied?token=secret-key", nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("a refusal of the host: %v %v", resp, err)
	}
	if got := l.call(t, "GET", "/agents/proxied/x", "", with("Authorization", "Bearer secret-key")); got.body != "over HTTP" {
		t.Errorf("HTTP: %d %s", got.StatusCode, got.body)
	}
	upgrade := []string{"Upgrade", "websocket", "Connection", "Upgrade", "Authorization", "Bearer secret-key", "Sec-WebSocket-Version"}
	if got := l.call(t, "GET", "/agents/proxied/x", "", with(append(upgrade, "12")...)); got.StatusCode != http.StatusBadRequest {
		t.Errorf("an upgrade of another version: %d", got.StatusCode)
	}
	if got := l.call(t, "GET", "/agents/proxied/x", "", with(append(upgrade, "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Origin", "https://evil.test")...)); got.StatusCode != http.StatusForbidden {
		t.Errorf("an upgrade of another page: %d", got.StatusCode)
	}
	// Other agents are served here, and strangers nowhere.
	l.dial(t, "/agents/other/x?token=secret-key").want(t, identity("other", "x", false))
	if e := l.dial(t, "/agents/proxied/x?token=wrong").closed(t); e.Code != websocket.StatusPolicyViolation {
		t.Errorf("a wrong key: %d", e.Code)
	}
	select {
	case h := <-conns:
		t.Errorf("the host got %s", h.request.RequestURI)
	default:
	}
	s, h = dial()
	go drain(t, h.socket)
	go l.gateway.Drain()
	if e := s.closed(t); e.Code != websocket.StatusServiceRestart {
		t.Errorf("a server that stops: %d %s", e.Code, e.Reason)
	}
}

func TestProxiedSocketsAreCounted(t *testing.T) {
	t.Parallel()
	l, conns := startProxy(t, func(o *gateway.Options) { o.Agents.MaxSockets, o.Agents.MaxSessionSockets = 2, 1 })
	refused := func(name, why string) {
		_, resp, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(l.URL, "http")+"/agents/proxied/"+name+"?token=secret-key", nil)
		if err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %v %v", why, resp, err)
		}
	}
	first := l.dial(t, "/agents/proxied/x?token=secret-key")
	host := <-conns
	refused("x", "over the limit of the session")
	second := l.dial(t, "/agents/proxied/y?token=secret-key")
	other := <-conns
	refused("z", "over the limit of the process")
	for _, s := range []socket{first, second} {
		s.CloseNow()
	}
	for _, h := range []proxied{host, other} {
		h.closed(t)
		close(h.over)
	}
	for l.gateway.AgentSockets() > 0 {
		time.Sleep(time.Millisecond)
	}
	l.dial(t, "/agents/proxied/x?token=secret-key")
	close((<-conns).over)
}

// drain reads to the end: who reads answers pings and closes.
func drain(t *testing.T, s socket) {
	for {
		if _, _, err := s.Read(t.Context()); err != nil {
			return
		}
	}
}
