package router_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// loadConns is how many connections a load has, each with one request at a time.
	loadConns = 32
	// answerWithin is how many milliseconds may pass without any answer.
	answerWithin = 10_000
)

// loadConn is a connection of the load generator or of the upstream.
type loadConn struct {
	fd    int
	buf   [16 << 10]byte
	n     int // bytes in buf
	next  int // request
	begun time.Time
}

// poller waits for connections that can be read from.
type poller struct {
	fd    int
	ready [2 * loadConns]unix.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return &poller{fd: fd}, err
}

func (p *poller) add(fd int) error {
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// wait returns what is ready, or nothing after some milliseconds; -1 waits for ever.
func (p *poller) wait(milliseconds int) ([]unix.EpollEvent, error) {
	for {
		if n, err := unix.EpollWait(p.fd, p.ready[:], milliseconds); !errors.Is(err, unix.EINTR) {
			return p.ready[:max(n, 0)], err
		}
	}
}

// generate sends the requests in turn over each of its connections, the next one when the answer is there, and returns how long each
// answer took. An answer other than 200 with a Content-Length is an error.
func generate(address string, requests [][]byte, duration time.Duration) ([]time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(p.fd) }()
	start := time.Now()
	conns := map[int32]*loadConn{}
	for i := range loadConns {
		fd, err := dialLoad(address)
		if err != nil {
			return nil, err
		}
		defer func() { _ = unix.Close(fd) }()
		c := &loadConn{fd: fd, next: i * len(requests) / loadConns} // not all for the same app at a time
		conns[int32(fd)] = c
		if err := errors.Join(p.add(fd), c.send(requests)); err != nil {
			return nil, err
		}
	}
	took := make([]time.Duration, 0, 1<<18)
	for waiting := loadConns; waiting > 0; {
		ready, err := p.wait(answerWithin)
		if err != nil {
			return nil, err
		}
		if len(ready) == 0 {
			return nil, fmt.Errorf("%d requests wait for their answers", waiting)
		}
		for _, event := range ready {
			c := conns[event.Fd]
			n, err := unix.Read(c.fd, c.buf[c.n:])
			if err != nil || n == 0 {
				return nil, fmt.Errorf("the connection ended: %w", err)
			}
			c.n += n
			whole, err := wholeAnswer(c.buf[:c.n])
			if err != nil {
				return nil, err
			}
			if !whole {
				continue
			}
			now := time.Now()
			took = append(took, now.Sub(c.begun))
			if now.Sub(start) >= duration {
				waiting--
			} else if err := c.send(requests); err != nil {
				return nil, err
			}
		}
	}
	return took, nil
}

func dialLoad(address string) (int, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	err = errors.Join(unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1), unix.SetNonblock(fd, true))
	if err != nil {
		_ = unix.Close(fd)
	}
	return fd, err
}

func (c *loadConn) send(requests [][]byte) error {
	request := requests[c.next%len(requests)]
	c.next, c.n, c.begun = c.next+1, 0, time.Now()
	if n, err := unix.Write(c.fd, request); err != nil || n < len(request) {
		return fmt.Errorf("%d of %d bytes sent: %w", n, len(request), err)
	}
	return nil
}

// wholeAnswer reports an answer with all of its body.
func wholeAnswer(b []byte) (bool, error) {
	head, body, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	if !ok {
		return false, nil
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
		return false, fmt.Errorf("answer %.100q", head)
	}
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, ok := bytes.Cut(line, []byte(": "))
		if !ok || !bytes.EqualFold(name, []byte("Content-Length")) {
			continue
		}
		length, err := strconv.Atoi(string(value))
		if err != nil || len(body) > length {
			return false, fmt.Errorf("%d bytes, Content-Length: %s", len(body), value)
		}
		return len(body) == length, nil
	}
	return false, errors.New("an answer without Content-Length")
}

// serveUpstream answers every request with the same kilobyte.
func serveUpstream(ln net.Listener, _ string) error {
	response := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/javascript\r\nCache-Control: no-cache\r\nEtag: W/\"1\"\r\n" +
		"Date: Mon, 05 Jan 2026 10:00:00 GMT\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer file.Close()
	door := int(file.Fd())
	p, err := newPoller()
	if err == nil {
		err = errors.Join(unix.SetNonblock(door, true), p.add(door))
	}
	if err != nil {
		return err
	}
	conns := map[int32]*loadConn{}
	for {
		ready, err := p.wait(-1)
		if err != nil {
			return err
		}
		for _, event := range ready {
			if int(event.Fd) == door {
				if fd, _, err := unix.Accept4(door, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC); err == nil {
					conns[int32(fd)] = &loadConn{fd: fd}
					_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
					if err := p.add(fd); err != nil {
						return err
					}
				}
				continue
			}
			if c := conns[event.Fd]; !c.answer(response) {
				delete(conns, event.Fd)
				_ = unix.Close(c.fd)
			}
		}
	}
}

// answer reads, and answers when a request is whole. Nobody sends a second one before. false is the end of the connection.
func (c *loadConn) answer(response []byte) bool {
	n, err := unix.Read(c.fd, c.buf[c.n:])
	if err != nil || n == 0 {
		return false
	}
	c.n += n
	if !bytes.HasSuffix(c.buf[:c.n], []byte("\r\n\r\n")) {
		return c.n < len(c.buf)
	}
	c.n = 0
	n, err = unix.Write(c.fd, response)
	return err == nil && n == len(response)
}
