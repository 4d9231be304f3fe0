package gateway

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

// wired is a WebSocket whose messages are written past the library, and the client at its other end.
func wired(t *testing.T, packs bool) (client, server *websocket.Conn, wire *agentWire) {
	t.Helper()
	type ends struct {
		ws   *websocket.Conn
		wire *agentWire
	}
	accepted, over := make(chan ends, 1), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, wire, err := (&Gateway{}).upgradeWire(w, r, &websocket.AcceptOptions{})
		if err != nil {
			t.Error(err)
			close(accepted)
			return
		}
		accepted <- ends{ws, wire}
		<-over
	}))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(over) })
	o := &websocket.DialOptions{CompressionMode: websocket.CompressionDisabled}
	if packs {
		o.CompressionMode = websocket.CompressionNoContextTakeover
	}
	client, _, err := websocket.Dial(t.Context(), s.URL, o)
	if err != nil {
		t.Fatal(err)
	}
	client.SetReadLimit(-1)
	t.Cleanup(func() { client.CloseNow() })
	e, ok := <-accepted
	if !ok {
		t.FailNow()
	}
	t.Cleanup(func() { e.ws.CloseNow() })
	return client, e.ws, e.wire
}

func batchOf(packs bool, messages ...*agentMessage) *batch {
	b := &batch{messages: slices.Clone(messages), buffer: make([]byte, 0, batchSize)}
	b.encode(packs)
	return b
}

// TestMessagesAreReadByOthers: what is encoded here, another implementation reads, at all sizes at which a head changes its form, alone and
// several at once, compressed and not.
func TestMessagesAreReadByOthers(t *testing.T) {
	t.Parallel()
	for _, packs := range []bool{false, true} {
		client, _, wire := wired(t, packs)
		if wire.packs != packs {
			t.Fatalf("the client takes compressed messages: %v, want %v", wire.packs, packs)
		}
		var all []*agentMessage
		for _, size := range []int{0, 1, 125, 126, packFrom - 1, packFrom, 5000, batchSize - maxHead, batchSize, 0xffff, 0x10000, 1 << 20} {
			all = append(all, text([]byte(strings.Repeat("ab", size)[:size])), newMessage(websocket.MessageBinary, noise(size)))
		}
		var sending sync.WaitGroup
		sending.Go(func() {
			for _, m := range all {
				if err := wire.send(batchOf(wire.packs, m), time.Minute); err != nil {
					t.Error(err)
				}
			}
			if err := wire.send(batchOf(wire.packs, all...), time.Minute); err != nil {
				t.Error(err)
			}
		})
		for i, m := range append(all, all...) {
			kind, got, err := client.Read(t.Context())
			if err != nil || kind != m.kind || !bytes.Equal(got, m.payload) {
				t.Fatalf("message %d, %d bytes: got %v of %d bytes, %v", i, len(m.payload), kind, len(got), err)
			}
		}
		sending.Wait()
	}
}

// noise is bytes that no compression makes fewer.
func noise(n int) []byte {
	out, x := make([]byte, n), uint32(1)
	for i := range out {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		out[i] = byte(x)
	}
	return out
}

// TestMessagesArePackedOnce, and only when that makes them smaller.
func TestMessagesArePackedOnce(t *testing.T) {
	t.Parallel()
	m := text(bytes.Repeat([]byte("a"), packFrom))
	first, packed := m.body(true)
	if !packed || len(first) >= packFrom/2 {
		t.Errorf("%d bytes, packed: %v", len(first), packed)
	}
	if again, _ := m.body(true); &again[0] != &first[0] {
		t.Error("it was packed twice")
	}
	if plain, packed := m.body(false); packed || len(plain) != packFrom {
		t.Error("it is packed for clients that do not take that")
	}
	if body, packed := newMessage(websocket.MessageBinary, noise(packFrom)).body(true); packed || len(body) != packFrom {
		t.Errorf("noise was packed to %d bytes", len(body))
	}
	if _, packed := text(bytes.Repeat([]byte("a"), packFrom-1)).body(true); packed {
		t.Error("a small message was packed")
	}
}

// TestTryDoesNotWait: a client that does not read leaves a part of a batch, which stays in one piece although a control frame comes in between.
func TestTryDoesNotWait(t *testing.T) {
	t.Parallel()
	client, server, wire := wired(t, false)
	if wire.raw == nil {
		t.Skip("writes cannot be tried here")
	}
	payload := noise(1 << 20)
	var left *batch
	n := 0
	for left == nil {
		b := batchOf(false, newMessage(websocket.MessageBinary, payload))
		all, err := wire.try(b)
		if err != nil {
			t.Fatal(err)
		}
		n++
		if !all {
			left = b
		}
	}
	if !left.begun {
		t.Fatal("the connection was not kept for the rest of the batch")
	}
	var writing sync.WaitGroup
	pinged := make(chan struct{})
	writing.Go(func() {
		close(pinged)
		_ = server.Ping(t.Context()) // nobody reads its answer
	})
	<-pinged
	// Nobody else gets between, and nobody waits for that.
	if all, err := wire.try(batchOf(false, text(nil))); all || err != nil {
		t.Errorf("another batch: %v %v", all, err)
	}
	writing.Go(func() {
		if err := wire.send(left, time.Minute); err != nil {
			t.Error(err)
		}
	})
	for range n {
		if _, got, err := client.Read(t.Context()); err != nil || !bytes.Equal(got, payload) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	server.CloseNow()
	writing.Wait()
}

// TestNothingFollowsTheEnd: behind the frame that closes a connection no other is written.
func TestNothingFollowsTheEnd(t *testing.T) {
	t.Parallel()
	client, server, wire := wired(t, false)
	closed := make(chan error, 1)
	go func() {
		_, _, err := client.Read(t.Context())
		closed <- err
	}()
	if err := server.Close(4000, "over"); err != nil {
		t.Fatal(err)
	}
	if all, err := wire.try(batchOf(false, text([]byte("more")))); all || err == nil {
		t.Errorf("try: %v, %v", all, err)
	}
	if err := wire.send(batchOf(false, text([]byte("more"))), time.Minute); err == nil {
		t.Error("send took more")
	}
	if err := <-closed; websocket.CloseStatus(err) != 4000 {
		t.Errorf("the client got %v", err)
	}
}

// TestSendEndsInTime: a client that takes nothing is given up.
func TestSendEndsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		w := newWire(near)
		if all, err := w.try(batchOf(false, text([]byte("a")))); all || err != nil {
			t.Errorf("a connection that cannot be tried: %v %v", all, err)
		}
		start := time.Now()
		if err := w.send(batchOf(false, text([]byte("a"))), time.Second); err == nil || time.Since(start) != time.Second {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
	})
}

// TestTheEndWaitsForNoGoodbye: a client that does not answer one holds nobody up.
func TestTheEndWaitsForNoGoodbye(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		go io.Copy(io.Discard, client)
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		for name, value := range map[string]string{
			"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
		} {
			r.Header.Set(name, value)
		}
		ws, wire, err := new(Gateway).upgradeWire(&pipeAnswer{httptest.NewRecorder(), server}, r, &websocket.AcceptOptions{})
		if err != nil {
			t.Fatal(err)
		}
		c := &agentConn{ws: ws, wire: wire, cancel: func() {}}
		var said sync.WaitGroup
		said.Go(func() { c.close(websocket.StatusServiceRestart, "the server restarts") })
		synctest.Wait()
		start := time.Now()
		c.end()
		said.Wait()
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %s", took)
		}
	})
}

// pipeAnswer is an answer whose connection is one end of a pipe.
type pipeAnswer struct {
	*httptest.ResponseRecorder

	conn net.Conn
}

// Hijack implements http.Hijacker.
func (a *pipeAnswer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return a.conn, bufio.NewReadWriter(bufio.NewReader(a.conn), bufio.NewWriter(a.conn)), nil
}
