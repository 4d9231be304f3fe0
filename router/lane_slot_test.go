//go:build linux

package router_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/router"
)

// TestUpstreamsGoRound: a connection that one client's request has left is there for the next request, whichever client's and however soon.
func TestUpstreamsGoRound(t *testing.T) {
	t.Parallel()
	l := newLaneWorld(t, echoPath)
	address, conns := rawUpstream(t, func(_ int32, conn net.Conn, in *bufio.Reader) {
		for awaitHead(in) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	l.deploy("raw", deployment.TargetProcess, address)
	const raw = "GET / HTTP/1.1\r\nHost: raw.localhost\r\n"
	start := time.Now()
	clients := make([]net.Conn, 4)
	answers := make([]*bufio.Reader, len(clients))
	for i := range clients {
		clients[i], answers[i] = l.open(raw + "\r\n")
		l.want(answers[i], 200, "ok")
	}
	for n := range 40 {
		i := n * 7 % len(clients)
		_, _ = io.WriteString(clients[i], raw+"\r\n")
		l.want(answers[i], 200, "ok")
	}
	// A client that turns to another app leaves the connection to others, and so does one that ends.
	_, _ = io.WriteString(clients[0], raw+"\r\nGET /shop HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
	l.want(answers[0], 200, "ok")
	l.want(answers[0], 200, "GET /shop ")
	for range 5 {
		_, in := l.open(raw + "Connection: close\r\n\r\n")
		l.want(in, 200, "ok")
	}
	if n := conns.Load(); n != 1 && time.Since(start) < 3*time.Second { // later some may have been idle for too long
		t.Errorf("requests one after the other took %d connections", n)
	}
	l.wantHandled(0)
}

// TestLaneTellsNoInstantTwice: with the lane's own clock a connection tells of its sandbox, but not the same thing for each of its requests.
func TestLaneTellsNoInstantTwice(t *testing.T) {
	t.Parallel()
	l := newLaneWorld(t, echoPath, func(o *router.Options) { o.Now = nil })
	request := fmt.Sprintf("GET /1 HTTP/1.1\r\nHost: %s\r\n\r\n", l.previewHost())
	conn, in := l.open(request)
	for range 100 {
		l.want(in, http.StatusOK, "GET /1 ")
		_, _ = io.WriteString(conn, request)
	}
	l.want(in, http.StatusOK, "GET /1 ")
	l.wantHandled(0)
	l.activity.mu.Lock()
	defer l.activity.mu.Unlock()
	if len(l.activity.at) == 0 {
		t.Error("nobody heard of it")
	}
	for i, at := range l.activity.at {
		if at.IsZero() || i > 0 && at.Equal(l.activity.at[i-1]) {
			t.Errorf("touch %d is at %v, the one before at %v", i, at, l.activity.at[max(0, i-1)])
		}
	}
}
