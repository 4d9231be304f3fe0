//go:build linux

package router_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/router"
)

// laneWorld is a front server that counts what its lane leaves to net/http.
type laneWorld struct {
	*world
	handled atomic.Int32
	server  *http.Server
	served  chan error
}

func newLaneWorld(t *testing.T, app http.HandlerFunc, change ...func(*router.Options)) *laneWorld {
	t.Helper()
	l := &laneWorld{world: newWorld(t, app, change...), served: make(chan error, 1)}
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.lane = l.router.Lane(ln)
	l.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.handled.Add(1)
		l.router.ServeHTTP(w, r)
	})}
	go func() { l.served <- l.server.Serve(l.lane) }()
	t.Cleanup(func() {
		_ = l.server.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := l.lane.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return l
}

// open connects and sends.
func (l *laneWorld) open(send string) (net.Conn, *bufio.Reader) {
	l.t.Helper()
	front := &httptest.Server{Listener: l.lane}
	return dialRaw(l.t, front, send)
}

func (l *laneWorld) want(in *bufio.Reader, status int, body string) *http.Response {
	l.t.Helper()
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	wantAnswer(l.t, res, status, body)
	_ = res.Body.Close()
	return res
}

func (l *laneWorld) wantHandled(n int32) {
	l.t.Helper()
	if got := l.handled.Load(); got != n {
		l.t.Errorf("net/http has %d requests, want %d", got, n)
	}
}

func echoPath(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, _ = io.WriteString(w, r.Method+" "+r.RequestURI+" "+string(body))
}

// TestLaneTakesWhatIsPlain: requests that stand behind each other are answered in their order, and the first one that is not plain takes its
// connection to net/http, for good.
func TestLaneTakesWhatIsPlain(t *testing.T) {
	t.Parallel()
	l := newLaneWorld(t, echoPath)
	host := "Host: shop.localhost\r\n"
	conn, in := l.open("GET /1 HTTP/1.1\r\n" + host + "\r\nGET /2 HTTP/1.1\r\n" + host + "\r\nGET /3 HT")
	l.want(in, 200, "GET /1 ")
	l.want(in, 200, "GET /2 ")
	_, _ = io.WriteString(conn, "TP/1.1\r\nHost: "+l.previewHost()+"\r\n\r\n")
	l.want(in, 200, "GET /3 ")
	l.wantHandled(0)
	_, _ = io.WriteString(conn, "POST /4 HTTP/1.1\r\n"+host+"Content-Length: 4\r\n\r\nbodyGET /5 HTTP/1.1\r\n"+host+"\r\n")
	l.want(in, 200, "POST /4 body")
	l.want(in, 200, "GET /5 ")
	l.wantHandled(2)

	// A large head, in pieces.
	conn, in = l.open("GET /big HTTP/1.1\r\n" + host)
	for i := range 60 {
		_, _ = fmt.Fprintf(conn, "X-%d: %s\r\n", i, strings.Repeat("x", 100))
	}
	_, _ = io.WriteString(conn, "\r\n")
	l.want(in, 200, "GET /big ")
	l.wantHandled(2)
	_, in = l.open("GET /huge HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 20_000) + "\r\n\r\n")
	l.want(in, 200, "GET /huge ")
	l.wantHandled(3)

	// The end of a connection that the client asks for.
	_, in = l.open("GET /last HTTP/1.1\r\n" + host + "Connection: close\r\n\r\nGET /never HTTP/1.1\r\n" + host + "\r\n")
	if res := l.want(in, 200, "GET /last "); !res.Close {
		t.Error("the answer does not say that the connection ends")
	}
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		t.Errorf("after the end: %q, %v", rest, err)
	}
}

// TestLaneLeavesTheRest: refusals and everything that needs more than a place are net/http's.
func TestLaneLeavesTheRest(t *testing.T) {
	t.Parallel()
	l := newLaneWorld(t, echoPath)
	l.put(deployment.App{Name: "mine", Place: deployment.Place{Target: deployment.TargetProcess, Endpoint: l.upstreamHost()}, Visibility: deployment.Private, Owner: "u"})
	l.put(deployment.App{
		Name: "split", Place: deployment.Place{Target: deployment.TargetProcess, Endpoint: l.upstreamHost()},
		Rollout: &deployment.Rollout{Place: deployment.Place{Target: deployment.TargetCloudRun, Endpoint: l.upstreamHost()}, Weight: 50},
	})
	l.deploy("dead", deployment.TargetProcess, "127.0.0.1:1")
	for i, test := range []struct {
		request string
		status  int
	}{
		{"GET / HTTP/1.1\r\nHost: nobody.localhost\r\n", 404},
		{"GET / HTTP/1.1\r\nHost: example.com\r\n", 404},
		{"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", 403},
		{"GET / HTTP/1.1\r\nHost: mine.localhost\r\n", 404},
		{"GET / HTTP/1.1\r\nHost: split.localhost\r\n", 200},
		{"GET / HTTP/1.1\r\nHost: dead.localhost\r\n", 500},
		{"GET /.sandbox/v1 HTTP/1.1\r\nHost: shop.localhost\r\n", 404},
		{"GET /%2e HTTP/1.1\r\nHost: shop.localhost\r\n", 200},
		{"GET / HTTP/1.1\r\nHost: " + sandboxID + "-" + otherKey + ".preview.localhost\r\n", 404},
		{"OPTIONS / HTTP/1.1\r\nHost: shop.localhost\r\n", 200},
		{"GET / HTTP/1.1\r\nHost: shop.localhost\r\nCookie: __vibesdk_owner=x\r\n", 200},
		{"GET / HTTP/1.0\r\nHost: shop.localhost\r\n", 200},
		{"GET / HTTP/1.1\nHost: shop.localhost\n", 200},
		{"GET / HTTP/1.1\r\nHost: shop.localhost\r\nHost: x.localhost\r\n", 400},
	} {
		_, in := l.open(test.request + "\r\n")
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%q: %v", test.request, err)
		}
		if res.StatusCode != test.status {
			t.Errorf("%q: %d, want %d", test.request, res.StatusCode, test.status)
		}
		if test.status != 400 && l.handled.Load() != int32(i+1) {
			t.Fatalf("%q: net/http has %d requests of %d", test.request, l.handled.Load(), i+1)
		}
	}
}

// rawUpstream is an app that says what it is told, for each connection.
func rawUpstream(t *testing.T, serve func(n int32, conn net.Conn, in *bufio.Reader)) (address string, conns *atomic.Int32) {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	conns = &atomic.Int32{}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				serve(conns.Add(1), conn, bufio.NewReader(conn))
			}()
		}
	}()
	return ln.Addr().String(), conns
}

func awaitHead(in *bufio.Reader) bool {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		if line == "\r\n" {
			return true
		}
	}
}

// TestAnswersThatAreNone: a malformed answer is the upstream's failure, whoever reads it, and poisons no later one.
func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(http.ResponseWriter, *http.Request) {})
	for name, answer := range map[string]string{
		"no HTTP":             "hello\r\n\r\n",
		"bad status":          "HTTP/1.1 2x0 OK\r\n\r\n",
		"two lengths":         "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"signed length":       "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
		"two codings":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"no name":             "HTTP/1.1 200 OK\r\n: 1\r\n\r\na",
		"no end of the head":  "HTTP/1.1 200 OK\r\nX: 1\r\n",
		"nothing":             "",
		"unasked switch":      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: evil\r\n\r\n",
		"hints without end":   strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: "+strings.Repeat("x", 30_000)+"\r\n\r\n", 12),
		"a head of no bounds": "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 300) + "\r\n",
	} {
		address, _ := rawUpstream(t, func(_ int32, conn net.Conn, in *bufio.Reader) {
			if awaitHead(in) {
				_, _ = io.WriteString(conn, answer)
			}
		})
		w.deploy("bad", deployment.TargetProcess, address)
		conn, in := dialRaw(t, w.front, "GET / HTTP/1.1\r\nHost: bad.localhost\r\nOrigin: http://localhost:1\r\n\r\n")
		var res *http.Response
		var err error
		for res, err = http.ReadResponse(in, nil); err == nil && res.StatusCode == http.StatusEarlyHints; res, err = http.ReadResponse(in, nil) {
			t.Logf("%s: hints", name)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		t.Log(name)
		wantAnswer(t, res, http.StatusInternalServerError, "An error occurred while loading this application.")
		wantBare(t, res)
		_ = conn.Close()
	}
	if !strings.Contains(w.log.String(), "app=bad") {
		t.Errorf("log: %s", w.log)
	}
}

// TestBodiesThatEndWrongly break the client's connection: it must not take them for whole.
func TestBodiesThatEndWrongly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(http.ResponseWriter, *http.Request) {})
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, answer := range map[string]string{
		"short":                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
		"short and large":      "HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n" + strings.Repeat("x", 100_000),
		"no last chunk":        chunked + "3\r\nabc\r\n",
		"within a chunk":       chunked + "5\r\nabc",
		"no size":              chunked + "3\r\nabc\r\nzz\r\n\r\n",
		"chunk of wrong size":  chunked + "2\r\nabc\r\n0\r\n\r\n",
		"size of no bounds":    chunked + "3\r\nabc\r\nfffffffffffffffff\r\nx",
		"no end of trailers":   chunked + "3\r\nabc\r\n0\r\nX: 1\r\n",
		"a size of many bytes": chunked + "3\r\nabc\r\n" + strings.Repeat("0", 10_000) + "1\r\na\r\n0\r\n\r\n",
	} {
		address, _ := rawUpstream(t, func(_ int32, conn net.Conn, in *bufio.Reader) {
			if awaitHead(in) {
				_, _ = io.WriteString(conn, answer)
			}
		})
		w.deploy("bad", deployment.TargetProcess, address)
		_, in := dialRaw(t, w.front, "GET / HTTP/1.1\r\nHost: bad.localhost\r\n\r\n")
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			continue // broken off before the head
		}
		if body, err := io.ReadAll(res.Body); err == nil && res.StatusCode == http.StatusOK {
			t.Errorf("%s: the client takes %d bytes for the whole answer", name, len(body))
		}
		_ = res.Body.Close()
	}
}

// TestKeptConnectionsAreQuiet: one that was closed meanwhile is not used, nor one on which the app said something that nobody asked for.
func TestKeptConnectionsAreQuiet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(http.ResponseWriter, *http.Request) {})
	said := make(chan struct{}, 10)
	var stray atomic.Bool
	address, conns := rawUpstream(t, func(n int32, conn net.Conn, in *bufio.Reader) {
		for awaitHead(in) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"+fmt.Sprintf("%02d", n))
			if stray.Load() {
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray")
			} else {
				_ = conn.Close()
			}
			said <- struct{}{}
		}
	})
	w.deploy("raw", deployment.TargetProcess, address)
	_, in := dialRaw(t, w.front, "")
	_ = in
	ask := func(want string) {
		t.Helper()
		wantAnswer(t, w.get("raw.localhost", "/"), http.StatusOK, want)
		await(t, "the upstream", said)
	}
	for n := 1; n <= 3; n++ {
		ask(fmt.Sprintf("%02d", n))
	}
	stray.Store(true)
	for n := 4; n <= 6; n++ {
		ask(fmt.Sprintf("%02d", n))
	}
	if n := conns.Load(); n != 6 {
		t.Errorf("%d connections for 6 requests", n)
	}
}

func TestUpstreamIsTooSlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, func(o *router.Options) { o.HeaderTimeout = 10 * time.Millisecond })
	wantAnswer(t, w.get("shop.localhost", "/"), http.StatusInternalServerError, "An error occurred while loading this application.")
	wantAnswer(t, w.get(w.previewHost(), "/"), http.StatusInternalServerError, "Proxy routing error")
	if log := w.log.String(); !strings.Contains(log, "app=shop") || !strings.Contains(log, "sandbox="+sandboxID) {
		t.Errorf("log: %s", log)
	}
}

// TestLaneEnds: idle connections end at once, a request under way comes to its end, and what does not is cut.
func TestLaneEnds(t *testing.T) {
	t.Parallel()
	started, next := make(chan struct{}, 2), make(chan struct{})
	l := newLaneWorld(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			started <- struct{}{}
			select {
			case <-next:
			case <-r.Context().Done():
			}
		}
		echoPath(w, r)
	})
	request := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: shop.localhost\r\n\r\n" }
	_, idle := l.open(request("/"))
	l.want(idle, 200, "GET / ")
	_, slow := l.open(request("/slow"))
	await(t, "the slow request", started)

	ended := make(chan error, 1)
	go func() { ended <- l.server.Shutdown(t.Context()) }()
	if rest, err := io.ReadAll(idle); err != nil || len(rest) > 0 {
		t.Errorf("the idle connection: %q, %v", rest, err)
	}
	if err := await(t, "Serve", l.served); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
	if _, err := l.lane.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	next <- struct{}{}
	l.want(slow, 200, "GET /slow ")
	if rest, err := io.ReadAll(slow); err != nil || len(rest) > 0 {
		t.Errorf("the connection of the slow request: %q, %v", rest, err)
	}
	if err := await(t, "Shutdown", ended); err != nil {
		t.Error(err)
	}
	if err := l.lane.Shutdown(t.Context()); err != nil || l.lane.Lanes() != 0 {
		t.Errorf("the lane's Shutdown: %v, %d connections left", err, l.lane.Lanes())
	}
}

func TestLaneIsCut(t *testing.T) {
	t.Parallel()
	started, ended := make(chan struct{}), make(chan struct{})
	l := newLaneWorld(t, func(_ http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
		close(ended)
	})
	_, in := l.open("GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
	await(t, "the request", started)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.lane.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	await(t, "the upstream to hear of it", ended)
	if res, err := http.ReadResponse(in, nil); err == nil {
		t.Errorf("the client got %d", res.StatusCode)
	}
}

// TestLaneLeadsNowhereElse: the rules about addresses hold here as well, for connections that are kept, too.
func TestLaneLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(http.ResponseWriter, *http.Request) {})
	table := rows{
		"process": {Place: deployment.Place{Target: deployment.TargetProcess, Endpoint: w.upstreamHost()}},
		"service": {Place: deployment.Place{Target: deployment.TargetCloudRun, Endpoint: w.upstreamHost()}},
		"self":    {Place: deployment.Place{Target: deployment.TargetProcess, Endpoint: "127.0.0.2:1"}},
	}
	w.serve(router.Options{
		Domain: "localhost", PreviewDomain: "preview.localhost", Lookup: table, Endpoints: deployment.Endpoints{Hosts: []string{"127.0.0.1"}},
		Self: netip.MustParseAddrPort("0.0.0.0:1"), Logger: slog.New(slog.NewTextHandler(w.log, nil)),
	})
	for range 3 { // process leaves an open connection to the same address behind
		wantAnswer(t, w.get("process.localhost", "/"), http.StatusOK, "")
		for _, name := range []string{"service", "self"} {
			wantAnswer(t, w.get(name+".localhost", "/"), http.StatusInternalServerError, "An error occurred while loading this application.")
		}
	}
}
