//go:build linux

package router

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
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

// polled returns a connection of a poller and its other end.
func polled(t *testing.T) (near *pollConn, far *net.TCPConn) {
	t.Helper()
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(p.run)
	t.Cleanup(func() {
		p.end()
		running.Wait()
	})
	conn, far := tcpPair(t)
	if near, err = p.adopt(conn); err == nil {
		err = near.watch()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = near.Close() })
	return near, far
}

// TestAskSendsAllOfARequest, also one that fits into no buffer, and again on the same connection.
func TestAskSendsAllOfARequest(t *testing.T) {
	t.Parallel()
	near, far := polled(t)
	up := newUpstreamConn(near, upstreamKey{})
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
		if err := up.ask(request, i > 0); err != nil {
			t.Fatal(err)
		}
		if line, err := up.in.ReadString('\n'); err != nil || line != "answer\n" {
			t.Errorf("%d bytes: %q, %v", size, line, err)
		}
		if err := <-got; err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	_ = far.Close()
	if n, err := up.in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("%d, %v", n, err)
	}
}

// TestAskTakesNoStaleConnection: nothing is sent on one that was closed, or said something unasked.
func TestAskTakesNoStaleConnection(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(far *net.TCPConn) error{
		"closed": func(far *net.TCPConn) error { return far.CloseWrite() },
		"stray":  func(far *net.TCPConn) error { _, err := io.WriteString(far, "stray"); return err },
	} {
		near, far := polled(t)
		if err := spoil(far); err != nil {
			t.Fatal(err)
		}
		<-near.readable // it has arrived
		if err := newUpstreamConn(near, upstreamKey{}).ask([]byte("request"), true); !errors.Is(err, errStale) {
			t.Errorf("%s: %v, want errStale", name, err)
		}
		_ = near.Close()
		if sent, _ := io.ReadAll(far); len(sent) > 0 { // a reset, where the stray bytes were not read, is an error of no interest
			t.Errorf("%s: %q was sent", name, sent)
		}
	}
}

// TestCloseEndsWhatWaits: reads and writes under way end, and the descriptor goes back once.
func TestCloseEndsWhatWaits(t *testing.T) {
	t.Parallel()
	near, far := polled(t)
	var left atomic.Int32
	near.leave = func() { left.Add(1) }
	ended := make(chan error, 2)
	go func() {
		_, err := near.Read(make([]byte, 1))
		ended <- err
	}()
	go func() {
		_, err := near.Write(make([]byte, 64<<20))
		ended <- err
	}()
	if _, err := far.Read(make([]byte, 1)); err != nil { // until one of them is at it
		t.Fatal(err)
	}
	var closers sync.WaitGroup
	var closed atomic.Int32
	for range 4 {
		closers.Go(func() {
			if near.Close() == nil {
				closed.Add(1)
			}
		})
	}
	for range 2 {
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v, want net.ErrClosed", err)
		}
	}
	closers.Wait()
	if closed.Load() != 1 || left.Load() != 1 {
		t.Errorf("%d of four closed it, it was left %d times", closed.Load(), left.Load())
	}
}

// TestReadingStopsAndGoesOn as somebody from outside wants it.
func TestReadingStopsAndGoesOn(t *testing.T) {
	t.Parallel()
	near, far := polled(t)
	ended := make(chan error, 1)
	go func() {
		_, err := near.Read(make([]byte, 1))
		ended <- err
	}()
	near.stopReading()
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v, want os.ErrDeadlineExceeded", err)
	}
	near.mayRead()
	_, _ = io.WriteString(far, "more")
	got := make([]byte, 4)
	if _, err := io.ReadFull(near, got); err != nil || string(got) != "more" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestReleaseGivesTheConnectionBack with nothing lost, and the poller hears of it no more.
func TestReleaseGivesTheConnectionBack(t *testing.T) {
	t.Parallel()
	near, far := polled(t)
	_, _ = io.WriteString(far, "before ")
	conn, err := near.release()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(far, "after")
	_ = far.CloseWrite()
	if got, err := io.ReadAll(conn); err != nil || string(got) != "before after" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := io.WriteString(conn, "answer"); err != nil {
		t.Error(err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if got, err := io.ReadAll(far); err != nil || string(got) != "answer" {
		t.Errorf("%q, %v", got, err)
	}
	if err := near.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Close of what was given away: %v", err)
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
