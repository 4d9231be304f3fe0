package router_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

func dialWebSocket(t *testing.T, w *world, host string, h http.Header) *websocket.Conn {
	t.Helper()
	// Whatever the host, the connection goes to the front server.
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, w.front.Listener.Addr().String())
	}}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, res, err := websocket.Dial(ctx, "ws://"+host+"/hmr?token=1", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, HTTPHeader: h, Subprotocols: []string{"vite-hmr"},
	})
	if err != nil {
		t.Fatalf("%v (response %v)", err, res)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

func write(t *testing.T, conn *websocket.Conn, message string) {
	t.Helper()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, conn *websocket.Conn, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, got, err := conn.Read(ctx); err != nil || string(got) != want {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

func echoWebSocket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, Subprotocols: []string{"vite-hmr"}})
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(1 << 20)
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		if err := conn.Write(r.Context(), kind, message); err != nil {
			return
		}
	}
}

func TestWebSockets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, echoWebSocket)
	for _, host := range []string{w.previewHost(), "shop.localhost"} {
		conn := dialWebSocket(t, w, host, nil)
		conn.SetReadLimit(1 << 20)
		if conn.Subprotocol() != "vite-hmr" {
			t.Errorf("%s: subprotocol %q", host, conn.Subprotocol())
		}
		for _, message := range []string{"hello", "", strings.Repeat("x", 300_000)} {
			write(t, conn, message)
			read(t, conn, message)
		}
		if err := conn.Close(websocket.StatusNormalClosure, "bye"); err != nil {
			t.Errorf("%s: close handshake: %v", host, err)
		}
	}
}

func TestWebSocketRequestHeaders(t *testing.T) {
	t.Parallel()
	got := make(chan *http.Request, 2)
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		got <- r
		http.Error(w, "no", http.StatusTeapot)
	})
	handshake := func(host string) (*http.Response, *http.Request) {
		r := w.request(http.MethodGet, host, "/hmr?token=1", nil)
		everything(r.Header)
		r.Header.Set("Connection", "keep-alive, Upgrade")
		r.Header.Set("Upgrade", "WebSocket") // the original missed any but the lower-case spelling
		for name, value := range map[string]string{"Key": "dGhlIHNhbXBsZSBub25jZQ==", "Version": "13", "Protocol": "vite-hmr", "Extensions": "permessage-deflate"} {
			r.Header.Set("Sec-WebSocket-"+name, value)
		}
		return w.do(r), await(t, "the handshake", got)
	}
	res, in := handshake(w.previewHost())
	want := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"WebSocket"}, "Range": {"bytes=0-3"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Protocol": {"vite-hmr"}, "Sec-Websocket-Extensions": {"permessage-deflate"},
	}
	for _, name := range []string{"Accept", "Accept-Language", "Accept-Encoding", "Content-Type", "User-Agent", "If-None-Match",
		"If-Modified-Since", "Cache-Control", "Pragma", "Referer", "Origin"} {
		want.Set(name, "sent-"+name)
	}
	if diff := cmp.Diff(want, in.Header); diff != "" {
		t.Errorf("headers at the preview (-want +got):\n%s", diff)
	}
	if in.RequestURI != "/hmr?token=1" {
		t.Errorf("target %s", in.RequestURI)
	}
	if res.StatusCode != http.StatusTeapot || res.Header.Get("X-Preview-Type") != "sandbox" {
		t.Errorf("a refused handshake is an answer as any: %d, %v", res.StatusCode, res.Header)
	}
	if _, in = handshake("shop.localhost"); in.Header.Get("Cookie") == "" || in.Header.Get("Upgrade") == "" {
		t.Errorf("headers at the app: %v", in.Header)
	}
}

func TestWebSocketWrongToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(http.ResponseWriter, *http.Request) { t.Error("contacted") })
	res := rawExchange(t, w.front, "GET / HTTP/1.1\r\nHost: "+sandboxID+"-"+otherKey+".preview.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	wantAnswer(t, res, http.StatusNotFound, "Not found")
	if w.activity.count() != 0 {
		t.Error("a wrong token counted as activity")
	}
}

func TestWebSocketAcceptIsUntouched(t *testing.T) {
	t.Parallel()
	w := newWorld(t, echoWebSocket)
	res := rawExchange(t, w.front, "GET / HTTP/1.1\r\nHost: "+w.previewHost()+"\r\nOrigin: http://localhost:1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("got %d %v", res.StatusCode, res.Header)
	}
	wantBare(t, res)
}

// TestWebSocketEnds: each side hears when the other goes.
func TestWebSocketEnds(t *testing.T) {
	t.Parallel()
	serverGone := make(chan struct{}, 1)
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		echoWebSocket(w, r)
		serverGone <- struct{}{}
	})
	conn := dialWebSocket(t, w, w.previewHost(), nil)
	_ = conn.CloseNow()
	await(t, "the server to hear that the client went", serverGone)

	conn = dialWebSocket(t, w, w.previewHost(), nil)
	write(t, conn, "x")
	read(t, conn, "x")
	w.upstream.CloseClientConnections() // does not know hijacked ones
	_ = w.router.Close()
	if _, _, err := conn.Read(t.Context()); err == nil {
		t.Error("the socket outlives Close")
	}
	await(t, "the server to hear of Close", serverGone)
}

// TestCloseLetsRequestsFinish ends event streams, and nothing that ends by itself.
func TestCloseLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	started, next := make(chan string, 2), make(chan struct{})
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		}
		_, _ = io.WriteString(w, "first\n")
		_ = http.NewResponseController(w).Flush()
		started <- r.URL.Path
		select {
		case <-next:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, "second\n")
	})
	page, events := bufio.NewReader(w.get(w.previewHost(), "/page").Body), bufio.NewReader(w.get(w.previewHost(), "/events").Body)
	await(t, "one", started)
	await(t, "the other", started)
	for _, lines := range []*bufio.Reader{page, events} {
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.router.Close(); err != nil {
		t.Fatal(err)
	}
	if line, err := events.ReadString('\n'); err == nil {
		t.Errorf("the event stream goes on with %q", line)
	}
	close(next)
	if line, err := page.ReadString('\n'); err != nil || line != "second\n" {
		t.Errorf("the page ends with %q, %v", line, err)
	}
}
