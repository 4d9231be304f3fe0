package router_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// dialRaw sends bytes as they are.
func dialRaw(t *testing.T, front *httptest.Server, send string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(send)); err != nil {
		t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

func rawExchange(t *testing.T, front *httptest.Server, send string) *http.Response {
	t.Helper()
	_, r := dialRaw(t, front, send)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// TestSmugglingShapes sends requests whose end two servers could see in different places. Each is refused, or
// reaches the app as exactly one request.
func TestSmugglingShapes(t *testing.T) {
	t.Parallel()
	var contacts, hidden atomic.Int32
	w := newWorld(t, func(_ http.ResponseWriter, r *http.Request) {
		contacts.Add(1)
		if r.URL.Path == "/hidden" {
			hidden.Add(1)
		}
	})
	const inner = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
	host := "Host: " + w.previewHost() + "\r\n"
	for name, request := range map[string]string{
		"two lengths":           "POST / HTTP/1.1\r\n" + host + "Content-Length: 0\r\nContent-Length: 34\r\n\r\n" + inner,
		"bad length":            "POST / HTTP/1.1\r\n" + host + "Content-Length: +34\r\n\r\n" + inner,
		"space before colon":    "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + inner,
		"folded header":         "POST / HTTP/1.1\r\n" + host + "X: 1\r\n Transfer-Encoding: chunked\r\nContent-Length: 0\r\nTransfer-Encoding: x\r\n\r\n" + inner,
		"unknown encoding":      "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + inner,
		"two encodings":         "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + inner,
		"no host":               "GET / HTTP/1.1\r\n\r\n",
		"two hosts":             "GET / HTTP/1.1\r\n" + host + "Host: shop.localhost\r\n\r\n",
		"bad version":           "GET / HTTP/1.9x\r\n" + host + "\r\n",
		"bare name":             "GET / HTTP/1.1\r\n" + host + "Foo\r\n\r\n",
		"null in header":        "GET / HTTP/1.1\r\n" + host + "X: a\x00b\r\n\r\n",
		"target without slash":  "GET x HTTP/1.1\r\n" + host + "\r\n",
		"opaque target":         "GET x:%2f.sandbox/v1 HTTP/1.1\r\n" + host + "\r\n",
		"star":                  "GET * HTTP/1.1\r\n" + host + "\r\n",
		"connect":               "CONNECT " + w.previewHost() + ":80 HTTP/1.1\r\n" + host + "\r\n",
		"host of another shape": "GET / HTTP/1.1\r\nHost: x@" + w.previewHost() + "\r\n\r\n",
	} {
		t.Log(name)
		res := rawExchange(t, w.front, request)
		if res.StatusCode < 400 || res.StatusCode == http.StatusInternalServerError || res.Header.Get("X-Preview-Type") != "" {
			t.Errorf("%s: status %d, %v", name, res.StatusCode, res.Header)
		}
	}
	if n := contacts.Load(); n != 0 {
		t.Errorf("refused requests made %d contacts", n)
	}

	// Both a length and an encoding: the encoding counts (RFC 9112 §6.3), and the app gets one framing, not both.
	both := "POST / HTTP/1.1\r\n" + host + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + fmt.Sprintf("%x", len(inner)) + "\r\n" + inner + "\r\n0\r\n\r\n"
	wantAnswer(t, rawExchange(t, w.front, both), http.StatusOK, "")
	if contacts.Load() != 1 || hidden.Load() != 0 {
		t.Errorf("%d contacts, %d hidden", contacts.Load(), hidden.Load())
	}
}

func TestBrokenUploadIsTheClientsFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ http.ResponseWriter, r *http.Request) {
		for {
			if _, err := r.Body.Read(make([]byte, 1024)); err != nil {
				return
			}
		}
	})
	res := rawExchange(t, w.front, "POST / HTTP/1.1\r\nHost: "+w.previewHost()+"\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\nzz\r\n")
	wantAnswer(t, res, http.StatusBadRequest, "Bad request body")
	if strings.Contains(w.log.String(), "not served") {
		t.Errorf("log blames the sandbox: %s", w.log)
	}
}

// TestURLUserIsNoCredential covers a request line that carries a user: a client library would make it a header.
func TestURLUserIsNoCredential(t *testing.T) {
	t.Parallel()
	got := make(chan http.Header, 1)
	w := newWorld(t, func(_ http.ResponseWriter, r *http.Request) { got <- r.Header })
	rawExchange(t, w.front, "GET http://user:secret@"+w.previewHost()+"/ HTTP/1.1\r\nHost: ignored\r\n\r\n")
	if h := await(t, "the request", got); h.Get("Authorization") != "" || strings.Contains(h.Get("X-Original-Url"), "secret") {
		t.Errorf("headers at the app: %v", h)
	}
}

// TestOnlyWebSocketUpgrades keeps a client from speaking another protocol to the upstream past the rules.
func TestOnlyWebSocketUpgrades(t *testing.T) {
	t.Parallel()
	got := make(chan http.Header, 1)
	w := newWorld(t, func(_ http.ResponseWriter, r *http.Request) { got <- r.Header })
	for _, host := range []string{w.previewHost(), "shop.localhost"} {
		for _, request := range []string{
			"GET / HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nConnection: Upgrade, HTTP2-Settings, close\r\n",
			"POST / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\nContent-Length: 0\r\n",
			"GET / HTTP/1.1\r\nUpgrade: websocket, h2c\r\nConnection: Upgrade, close\r\n",
			"GET / HTTP/1.1\r\nUpgrade: \xff\xfe\r\nConnection: Upgrade, close\r\n",
			"GET / HTTP/1.0\r\nUpgrade: websocket\r\n",
		} {
			res := rawExchange(t, w.front, request+"Host: "+host+"\r\n\r\n")
			h := await(t, "the request", got)
			if res.StatusCode != http.StatusOK || h.Get("Upgrade") != "" || h.Get("Connection") != "" || h.Get("Http2-Settings") != "" {
				t.Errorf("%q: status %d, headers at the app: %v", request, res.StatusCode, h)
			}
		}
	}
}

func TestUpstreamSwitchesUnasked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: evil\r\n\r\n"))
	})
	wantAnswer(t, w.get(w.previewHost(), "/"), http.StatusInternalServerError, "Proxy routing error")
}
