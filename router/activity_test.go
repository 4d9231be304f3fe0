package router_test

import (
	"bufio"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

// TestActivityOfARequest: a request counts at its start and its end, and a long one while bytes move, at most once
// a second. Server-sent events are the server's talk and do not count while they last.
func TestActivityOfARequest(t *testing.T) {
	t.Parallel()
	const first, rest = 1100 * time.Millisecond, 10 * time.Second
	for kind, during := range map[string][]time.Duration{
		"application/x-ndjson": {first, first + rest}, "text/event-stream": nil,
	} {
		next := make(chan struct{})
		w := newWorld(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_ = http.NewResponseController(w).Flush()
			for range next {
				_, _ = io.WriteString(w, "part\n")
				_ = http.NewResponseController(w).Flush()
			}
		})
		start := w.clock.Now()
		res := w.get(w.previewHost(), "/")
		lines := bufio.NewReader(res.Body)
		for _, pause := range []time.Duration{0, 400 * time.Millisecond, first - 400*time.Millisecond, rest} {
			w.clock.advance(pause)
			next <- struct{}{}
			if _, err := lines.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		close(next)
		_, _ = io.Copy(io.Discard, lines)
		w.serving.Wait()

		want := []time.Time{start}
		for _, d := range during {
			want = append(want, start.Add(d))
		}
		want = append(want, start.Add(first+rest))
		if diff := cmp.Diff(want, w.activity.at); diff != "" {
			t.Errorf("%s: touches (-want +got):\n%s", kind, diff)
		}
		for _, id := range w.activity.id {
			if id != sandboxID {
				t.Errorf("touched %s", id)
			}
		}
	}
}

// TestActivityOfAWebSocket: what the client sends counts. What the server sends does not, nor how long the
// socket is open, nor that it closes.
func TestActivityOfAWebSocket(t *testing.T) {
	t.Parallel()
	echo := make(chan string)
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer func() { _ = conn.CloseNow() }()
		go func() {
			for message := range echo {
				_ = conn.Write(r.Context(), websocket.MessageText, []byte(message))
			}
		}()
		for {
			kind, message, err := conn.Read(r.Context())
			if err != nil {
				return
			}
			_ = conn.Write(r.Context(), kind, message)
		}
	})
	defer close(echo)
	conn := dialWebSocket(t, w, w.previewHost(), nil)
	wantTouches := func(want int, why string) {
		t.Helper()
		if got := w.activity.count(); got != want {
			t.Errorf("%d touches, want %d: %s", got, want, why)
		}
	}
	wantTouches(1, "the handshake")

	for range 5 {
		w.clock.advance(time.Minute)
		echo <- "from the server"
		read(t, conn, "from the server")
	}
	wantTouches(1, "only the server spoke")

	for i := range 3 {
		w.clock.advance(time.Minute)
		for range 4 { // at most one touch a second
			write(t, conn, "from the client")
			read(t, conn, "from the client")
		}
		wantTouches(2+i, "the client spoke")
	}
	w.clock.advance(time.Minute)
	_ = conn.CloseNow()
	w.serving.Wait()
	wantTouches(4, "the socket closed")
}
