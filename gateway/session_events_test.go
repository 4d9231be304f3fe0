package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/gateway"
)

// sse is an event stream that a test reads.
type sse struct {
	t    *testing.T
	body *http.Response
	in   *bufio.Reader
}

// event is one event of a stream.
type event struct {
	id   string
	name string
	gateway.SessionEvent
}

func (f *fixture) events(t *testing.T, path, last string) *sse {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := f.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s: %s, %v", path, resp.Status, resp.Header)
	}
	return &sse{t, resp, bufio.NewReader(resp.Body)}
}

// next reads one event; false at the end of the stream.
func (s *sse) next() (event, bool) {
	s.t.Helper()
	var e event
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return e, false
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			if err := json.Unmarshal([]byte(value), &e.SessionEvent); err != nil {
				s.t.Fatalf("%q: %v", value, err)
			}
		case "":
			if value == "" && e.name != "" {
				return e, true
			}
		}
	}
}

// until reads events up to the one at a version.
func (s *sse) until(version int64) event {
	s.t.Helper()
	for {
		e, ok := s.next()
		if !ok {
			s.t.Fatalf("the stream ended before version %d", version)
		}
		if e.name != "state" || e.id != strconv.FormatInt(e.Commit, 10) || e.Version > version {
			s.t.Fatalf("event %+v while waiting for version %d", e, version)
		}
		if e.Version == version {
			return e
		}
	}
}

func TestEventsFollowASession(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	first := l.applied(t, "PUT", "/v1/sessions/e%2F1/state", "{ \"x\": \"<&>\",\r\n\"n\":1.0 }")
	s := l.events(t, "/v1/sessions/e%2F1/events", "")
	e := s.until(first.Version)
	if string(e.State) != `{"x":"<&>","n":1.0}` || !e.Present || e.UpdatedAt.IsZero() {
		t.Errorf("first event %+v with %s", e, e.State)
	}
	heads := l.events(t, "/v1/sessions/e%2F1/events?state=false", "")
	if e := heads.until(first.Version); e.State != nil {
		t.Errorf("a stream of heads has state %s", e.State)
	}
	second := l.applied(t, "PUT", "/v1/sessions/e%2F1/state", `2`)
	seen := s.until(second.Version)
	if string(seen.State) != "2" {
		t.Errorf("second event %s", seen.State)
	}
	heads.until(second.Version)
	s.body.Body.Close()

	// Whoever comes back gets what is newer, and only that.
	third := l.applied(t, "PUT", "/v1/sessions/e%2F1/state", `3`)
	resumed := l.events(t, "/v1/sessions/e%2F1/events", seen.id)
	if e, ok := resumed.next(); !ok || e.Version != third.Version || string(e.State) != "3" {
		t.Errorf("first event after coming back: %+v, %t", e, ok)
	}
	upToDate := l.events(t, "/v1/sessions/e%2F1/events", strconv.FormatInt(seen.Commit+1, 10))
	gone := l.applied(t, "DELETE", "/v1/sessions/e%2F1", "")
	for name, s := range map[string]*sse{"resumed": resumed, "up to date": upToDate, "heads": heads} {
		for {
			e, ok := s.next()
			if !ok {
				t.Fatalf("%s: the stream ended", name)
			}
			if name == "up to date" && e.Version != gone.Version {
				t.Errorf("%s: saw version %d again", name, e.Version)
			}
			if e.Version == gone.Version {
				if e.Present || e.State != nil {
					t.Errorf("%s: event of the end %+v", name, e)
				}
				break
			}
		}
	}
	// The end can still be seen by who was away, and the session begin again.
	late := l.events(t, "/v1/sessions/e%2F1/events", seen.id)
	if e, ok := late.next(); !ok || e.Present || e.Version != gone.Version {
		t.Errorf("after the end: %+v, %t", e, ok)
	}
	l.call(t, "GET", "/v1/sessions/e%2F1/events", "").wantProblem(t, 404, "not-found")
	again := l.applied(t, "PUT", "/v1/sessions/e%2F1/state", `"again"`)
	if e := late.until(again.Version); !e.Present || string(e.State) != `"again"` {
		t.Errorf("begun again: %+v", e)
	}
	l.gateway.Drain()
	for range 100 {
		if _, ok := late.next(); !ok {
			return
		}
	}
	t.Error("the stream goes on while the server stops")
}

func TestEventsRefuseWhatTheyDoNotUnderstand(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	l.applied(t, "PUT", "/v1/sessions/a/state", `1`)
	for _, last := range []string{"x", "-1", "1.5"} {
		if p := l.call(t, "GET", "/v1/sessions/a/events", "", with("Last-Event-ID", last)).wantProblem(t, 400, "invalid"); p.Faults[0].Field != "Last-Event-ID" {
			t.Errorf("faults %+v", p.Faults)
		}
	}
	if p := l.call(t, "GET", "/v1/sessions/a/events?state=maybe", "").wantProblem(t, 400, "invalid"); p.Faults[0].Field != "state" {
		t.Errorf("faults %+v", p.Faults)
	}
}

// TestASlowReaderIsDropped reads nothing of a stream of large states. The server must give up, and writers not notice.
func TestASlowReaderIsDropped(t *testing.T) {
	t.Parallel()
	dropped := logged{text: "too slow", seen: make(chan struct{}, 1)}
	l := startLive(t, func(o *gateway.Options) { o.WriteTimeout, o.Logger = 50*time.Millisecond, slog.New(dropped) })
	l.applied(t, "PUT", "/v1/sessions/slow/state", `0`)
	conn, err := net.Dial("tcp", l.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// What the system holds for a reader is bounded: less than half of the event below.
	if err := conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /v1/sessions/slow/events HTTP/1.1\r\nHost: %s\r\n\r\n", l.Listener.Addr())
	in := bufio.NewReaderSize(conn, 16)
	if _, err := in.ReadString('\n'); err != nil { // the stream is open
		t.Fatal(err)
	}
	large := `"` + strings.Repeat("x", 9<<20) + `"`
	l.applied(t, "PUT", "/v1/sessions/slow/state", large)
	<-dropped.seen
	// The rest of the connection ends: the server closed it in the middle of an event.
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	n, err := in.WriteTo(discard{})
	if err != nil && !strings.Contains(err.Error(), "reset") {
		t.Fatalf("after %d bytes: %v, want the end", n, err)
	}
	if n >= int64(len(large)) {
		t.Errorf("%d bytes were sent to a reader that took none", n)
	}
}

// logged is a log handler that tells when a line with a text was logged.
type logged struct {
	text string
	seen chan struct{}
}

func (logged) Enabled(context.Context, slog.Level) bool { return true }
func (l logged) WithAttrs([]slog.Attr) slog.Handler     { return l }
func (l logged) WithGroup(string) slog.Handler          { return l }
func (l logged) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, l.text) {
		select {
		case l.seen <- struct{}{}:
		default:
		}
	}
	return nil
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
