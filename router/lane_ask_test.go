package router

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// tcpPair returns the two ends of a connection.
func tcpPair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{conn, other} {
		t.Cleanup(func() { _ = c.Close() })
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	return conn.(*net.TCPConn), other.(*net.TCPConn)
}

// plainConn has no system connection.
type plainConn struct{ net.Conn }

// TestAskSendsAllOfARequest, also one that fits into no buffer, and again on the same connection.
func TestAskSendsAllOfARequest(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"system": func(c net.Conn) net.Conn { return c }, "plain": func(c net.Conn) net.Conn { return plainConn{c} },
	} {
		near, far := tcpPair(t)
		up := newUpstreamConn(wrap(near), upstreamKey{})
		for i, size := range []int{1, 8 << 20, 100} {
			request := bytes.Repeat([]byte{byte('a' + i)}, size)
			got := make(chan error, 1)
			go func() {
				read := make([]byte, size)
				_, err := io.ReadFull(far, read)
				if err == nil && !bytes.Equal(read, request) {
					err = errors.New("something else arrives")
				}
				_, _ = io.WriteString(far, "answer\n")
				got <- err
			}()
			up.ask(request, i > 0)
			if line, err := up.in.ReadString('\n'); err != nil || line != "answer\n" {
				t.Errorf("%s, %d bytes: %q, %v", name, size, line, err)
			}
			if err := <-got; err != nil {
				t.Errorf("%s, %d bytes: %v", name, size, err)
			}
		}
		_ = far.Close()
		if n, err := up.in.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
}

// TestAskTakesNoStaleConnection: nothing is sent on one that was closed, or said something unasked.
func TestAskTakesNoStaleConnection(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(far *net.TCPConn) error{
		"closed": func(far *net.TCPConn) error { return far.CloseWrite() },
		"stray":  func(far *net.TCPConn) error { _, err := io.WriteString(far, "stray"); return err },
	} {
		near, far := tcpPair(t)
		up := newUpstreamConn(near, upstreamKey{})
		if err := spoil(far); err != nil {
			t.Fatal(err)
		}
		if err := up.raw.Read(func(fd uintptr) bool { return !idle(int(fd)) }); err != nil { // until it has arrived
			t.Fatal(err)
		}
		up.ask([]byte("request"), true)
		if n, err := up.in.ReadByte(); !errors.Is(err, errStale) {
			t.Errorf("%s: %d, %v, want errStale", name, n, err)
		}
		_ = near.Close()
		if sent, _ := io.ReadAll(far); len(sent) > 0 { // a reset, where the stray bytes were not read, is an error of no interest
			t.Errorf("%s: %q was sent", name, sent)
		}
	}
}

func TestAskEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	near, far := tcpPair(t)
	up := newUpstreamConn(near, upstreamKey{})
	up.ask([]byte("request"), false)
	go func() {
		_, _ = io.ReadFull(far, make([]byte, len("request")))
		_ = up.Close()
	}()
	if n, err := up.in.ReadByte(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%d, %v", n, err)
	}
}

func TestInFieldValue(t *testing.T) {
	t.Parallel()
	for length := range 20 {
		for at := range length {
			for c := range 256 {
				value := []byte(strings.Repeat("x", length))
				value[at] = byte(c)
				if got, want := inFieldValue(value), c >= ' ' && c != 0x7f || c == '\t'; got != want {
					t.Fatalf("inFieldValue(%q) = %v", value, got)
				}
			}
		}
	}
}
