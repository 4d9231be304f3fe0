package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/internal/httpserver"
	"vibesdk-gcp/platform/session"
)

// door serves a gateway on a real socket as the program does, and returns its address.
func door(t *testing.T, connections int, change ...func(*gateway.Options)) (*fixture, string) {
	t.Helper()
	f := start(t, change...)
	ln, err := httpserver.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := httpserver.New(httpserver.Limit(ln, connections), f.gateway, slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		f.gateway.Drain()
		_ = s.Stop(t.Context()) // a test's context has ended here: whoever is left is cut off
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f, s.Addr()
}

// line is a connection whose every byte the test sends.
type line struct {
	net.Conn

	in *bufio.Reader
}

func dial(t *testing.T, addr string) *line {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &line{conn, bufio.NewReader(conn)}
}

func (l *line) send(t *testing.T, format string, args ...any) {
	t.Helper()
	if _, err := fmt.Fprintf(l, format, args...); err != nil {
		t.Fatal(err)
	}
}

// status reads one answer and its body.
func (l *line) answer(t *testing.T) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(l.in, nil)
	if err != nil {
		t.Fatalf("answer: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("body of the answer: %v", err)
	}
	resp.Body.Close()
	return resp, string(body)
}

// ended waits for the server to hang up.
func (l *line) ended(t *testing.T) {
	t.Helper()
	if _, err := io.Copy(io.Discard, l.in); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the connection is not ended: %v", err)
	}
}

func TestABodyThatDripsIsGivenUp(t *testing.T) {
	t.Parallel()
	pace := gateway.Pace{Grace: 300 * time.Millisecond, Rate: 1 << 10}
	_, addr := door(t, 100, func(o *gateway.Options) { o.BodyPace = pace })
	for _, path := range []string{"/v1/sessions/chat/state", "/v1/sandboxes/sbx-aaaaaaaaaaaaaaaa/files/a"} {
		l := dial(t, addr)
		l.send(t, "PUT %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{", path)
		resp, body := l.answer(t) // without another byte of ours
		if path == "/v1/sessions/chat/state" && (resp.StatusCode != http.StatusRequestTimeout || !strings.Contains(body, "urn:vibesdk:problem:too-slow")) {
			t.Errorf("%s: %s %s, want 408", path, resp.Status, body)
		}
		l.ended(t)
	}
	// Refused calls hold nothing either: their body is not waited for.
	l := dial(t, addr)
	l.send(t, "POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{")
	if resp, _ := l.answer(t); resp.StatusCode != http.StatusNotFound {
		t.Errorf("no route: %s", resp.Status)
	}
	l.ended(t)
}

func TestALargeBodyMayTakeItsTime(t *testing.T) {
	t.Parallel()
	// The deadline moves with what has arrived: the body takes longer than the grace, and each piece earns a minute.
	const grace, chunk, chunks = time.Second, 64 << 10, 4
	f, addr := door(t, 100, func(o *gateway.Options) {
		o.BodyPace = gateway.Pace{Grace: grace, Rate: 1 << 10}
		o.WaitFor = time.Millisecond
	})
	l := dial(t, addr)
	piece := strings.Repeat("x", chunk)
	l.send(t, "PUT /v1/sessions/chat/state HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nPrefer: respond-async\r\n\r\n\"%s", chunk*chunks+2, piece)
	for range chunks - 1 {
		time.Sleep(grace / 2) // together more than the grace
		l.send(t, "%s", piece)
	}
	l.send(t, "\"")
	if resp, body := l.answer(t); resp.StatusCode != http.StatusAccepted {
		t.Fatalf("%s %s", resp.Status, body)
	}
	if len(f.outbox.sent) != 1 {
		t.Errorf("%d messages", len(f.outbox.sent))
	}
	l.send(t, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if resp, _ := l.answer(t); resp.StatusCode != http.StatusOK {
		t.Errorf("the next call: %s", resp.Status)
	}
}

func TestAStreamOutlivesTheDeadlineOfItsRequest(t *testing.T) {
	t.Parallel()
	f, addr := door(t, 100, func(o *gateway.Options) {
		o.BodyPace, o.AnswerTimeout = gateway.Pace{Grace: 500 * time.Millisecond}, 500*time.Millisecond
	})
	record := f.sandbox(t, "one")
	l := dial(t, addr)
	l.send(t, "GET /v1/sandboxes/%s/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", record.ID)
	resp, err := http.ReadResponse(l.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	defer l.Close() // first: a body that is closed is read to its end, which this one does not have
	events := bufio.NewReader(resp.Body)
	next := func() string {
		for {
			text, err := events.ReadString('\n')
			if err != nil {
				t.Fatalf("stream: %v", err)
			}
			if data, ok := strings.CutPrefix(text, "data: "); ok {
				return data
			}
		}
	}
	next()
	time.Sleep(time.Second) // longer than either
	f.move(t, record.ID, "building", nil)
	if data := next(); !strings.Contains(data, `"building"`) {
		t.Errorf("event %s", data)
	}
}

func TestAReaderThatDoesNotReadIsCutOff(t *testing.T) {
	t.Parallel()
	var log lines
	f, addr := door(t, 100, logTo(&log), func(o *gateway.Options) { o.AnswerTimeout = 200 * time.Millisecond })
	text := strings.Repeat("a line that nobody reads\n", 4<<20/25)
	f.runtime.logs["build"], f.runtime.logs["serve"] = text, text
	record := f.sandbox(t, "one", "building")
	l := dial(t, addr)
	for range 8 { // more than any buffer between us
		f.runtime.print("build", text)
	}
	l.send(t, "GET /v1/sandboxes/%s/logs HTTP/1.1\r\nHost: localhost\r\n\r\n", record.ID)
	for deadline := time.Now().Add(time.Minute); !strings.Contains(log.String(), `/logs"`); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server still waits for the reader")
		}
	}
	n, err := io.Copy(io.Discard, l.in)
	if whole := int64(9 * len(text)); n >= whole {
		t.Errorf("the reader got all of the %d bytes, %v", whole, err)
	}
}

func TestOversizeIsRefusedBeforeItIsRead(t *testing.T) {
	t.Parallel()
	f, addr := door(t, 100)
	for path, limit := range map[string]int64{
		"PUT /v1/sessions/chat/state": session.MaxPart, "POST /v1/sources": gateway.MaxSource, "POST /v1/limits:check": 64 << 10,
		"POST /v1/sessions/chat:destroy": 4 << 10, "GET /v1/sandboxes": 4 << 10,
	} {
		l := dial(t, addr)
		l.send(t, "%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", path, limit+1)
		resp, body := l.answer(t)
		if resp.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(body, "urn:vibesdk:problem:too-large") || !strings.Contains(body, fmt.Sprint(limit)) {
			t.Errorf("%s: %s %s, want 413 naming %d", path, resp.Status, body, limit)
		}
	}
	// One that does not say its size is refused where it is over.
	l := dial(t, addr)
	l.send(t, "POST /v1/sessions/chat/schedules HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", 513<<10, strings.Repeat(" ", 513<<10))
	if resp, body := l.answer(t); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("chunked: %s %s", resp.Status, body)
	}
	l = dial(t, addr)
	l.send(t, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: ")
	for range 70 {
		if _, err := l.Write([]byte(strings.Repeat("h", 1<<10))); err != nil {
			break // the server has hung up
		}
	}
	if resp, err := http.ReadResponse(l.in, nil); err == nil {
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("a large header: %s, want 431", resp.Status)
		}
	}
	if len(f.outbox.sent) != 0 {
		t.Errorf("%d messages were published", len(f.outbox.sent))
	}
}

func TestMalformedRequestsAndUpgradesHoldNothing(t *testing.T) {
	t.Parallel()
	_, addr := door(t, 100)
	for name, c := range map[string]struct {
		text string
		want []int
	}{
		"no HTTP":             {"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n", []int{400}},
		"no host":             {"GET /healthz HTTP/1.1\r\n\r\n", []int{400}},
		"two lengths":         {"POST /v1/sandboxes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", []int{400}},
		"length and chunks":   {"POST /v1/sandboxes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", []int{400}},
		"a wrong chunk":       {"PUT /v1/sessions/a/state HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", []int{400}},
		"a control character": {"GET /v1/sessions/a%00b HTTP/1.1\r\nHost: localhost\r\n\r\n", []int{400}},
		"a bad escape":        {"GET /v1/sessions/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", []int{400}},
		"upgrade without key": {"GET /agents/a/b HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n", []int{400}},
		"upgrade of old":      {"GET /agents/a/b HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 7\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", []int{400, 426}},
		"upgrade by POST":     {"POST /agents/a/b HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", []int{400, 404, 405, 426}},
		"upgrade elsewhere":   {"GET /v1/sandboxes HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", []int{200}},
		"h2c":                 {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{400, 404, 405, 421, 505}},
	} {
		l := dial(t, addr)
		l.send(t, "%s", c.text)
		resp, _ := l.answer(t)
		found := false
		for _, status := range c.want {
			found = found || resp.StatusCode == status
		}
		if !found {
			t.Errorf("%s: %s, want one of %v", name, resp.Status, c.want)
		}
	}
	l := dial(t, addr) // and it serves on
	l.send(t, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if resp, _ := l.answer(t); resp.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %s", resp.Status)
	}
}

func TestConnectionsOverTheLimitWait(t *testing.T) {
	t.Parallel()
	_, addr := door(t, 2)
	first, second, third := dial(t, addr), dial(t, addr), dial(t, addr)
	for _, l := range []*line{first, second} {
		l.send(t, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if resp, _ := l.answer(t); resp.StatusCode != http.StatusOK {
			t.Fatalf("within the limit: %s", resp.Status)
		}
	}
	third.send(t, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if err := third.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := third.in.Peek(1); err == nil {
		t.Fatal("a connection over the limit was served")
	}
	first.Close()
	if err := third.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if resp, _ := third.answer(t); resp.StatusCode != http.StatusOK {
		t.Errorf("once there is room: %s", resp.Status)
	}
}
