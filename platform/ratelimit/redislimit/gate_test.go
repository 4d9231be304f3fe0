package redislimit_test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// gate passes connections on to a server and holds its replies back while shut.
type gate struct {
	address string
	delay   atomic.Int64 // of each piece of a reply, in nanoseconds

	mu     sync.Mutex
	opened *sync.Cond
	closed bool
	conns  map[net.Conn]struct{}
	ended  bool
}

func newGate(t *testing.T, server string) *gate {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{address: listener.Addr().String(), conns: map[net.Conn]struct{}{}}
	g.opened = sync.NewCond(&g.mu)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			g.add(client, upstream)
			serving.Go(func() { _, _ = io.Copy(upstream, client); _ = upstream.Close() })
			serving.Go(func() { g.replies(client, upstream) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		g.mu.Lock()
		g.ended = true
		g.mu.Unlock()
		g.drop()
		g.open()
		serving.Wait()
	})
	return g
}

func (g *gate) add(conns ...net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range conns {
		if g.ended {
			_ = c.Close()
		}
		g.conns[c] = struct{}{}
	}
}

// replies copies from the server to the client, through the gate.
func (g *gate) replies(client, upstream net.Conn) {
	defer client.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := upstream.Read(buffer)
		time.Sleep(time.Duration(g.delay.Load()))
		g.mu.Lock()
		for g.closed {
			g.opened.Wait()
		}
		g.mu.Unlock()
		if n > 0 {
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (g *gate) shut()                { g.set(true) }
func (g *gate) open()                { g.set(false) }
func (g *gate) slow(d time.Duration) { g.delay.Store(int64(d)) }

func (g *gate) set(closed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = closed
	g.opened.Broadcast()
}

// drop breaks every connection.
func (g *gate) drop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		_ = c.Close()
		delete(g.conns, c)
	}
}
