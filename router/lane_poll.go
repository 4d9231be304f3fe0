//go:build linux

package router

import (
	"errors"
	"io"
	"math"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// poller hears of what connections can do next and tells each of them, one after the other, on one thread at a time. The runtime's own would
// wake a goroutine for each, which costs more than to answer a plain request.
type poller struct {
	fd   int // of epoll
	stop int // an eventfd

	mu    sync.Mutex
	conns map[int32]*pollConn
}

// eventsAtOnce is how many connections are heard of at a time.
const eventsAtOnce = 128

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("eventfd", err)
	}
	p := &poller{fd: fd, stop: stop, conns: map[int32]*pollConn{}}
	if err := unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, stop, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(stop)}); err != nil {
		p.close()
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	return p, nil
}

func (p *poller) close() {
	_ = unix.Close(p.fd)
	_ = unix.Close(p.stop)
}

// end has run return.
func (p *poller) end() {
	_, _ = unix.Write(p.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // cannot fail before it has returned
}

func (p *poller) run() {
	defer p.close()
	var events [eventsAtOnce]unix.EpollEvent
	var conns [eventsAtOnce]*pollConn
	s := &scratch{}
	for {
		n, err := unix.EpollWait(p.fd, events[:], -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			panic(os.NewSyscallError("epoll_wait", err)) // only what cannot be: no descriptor, no memory of ours
		}
		n = max(n, 0)
		p.mu.Lock()
		for i := range n {
			conns[i] = p.conns[events[i].Fd]
		}
		p.mu.Unlock()
		for i := range n {
			switch {
			case conns[i] != nil:
				conns[i].hear(events[i].Events, s)
				conns[i] = nil
			case events[i].Fd == int32(p.stop):
				return
			}
		}
	}
}

// adopt makes a connection the poller's. That of the net package is closed, also when this fails.
func (p *poller) adopt(conn net.Conn) (*pollConn, error) {
	defer func() { _ = conn.Close() }()
	sys, ok := conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	raw, err := sys.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	if ctl := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) }); ctl != nil {
		return nil, ctl
	}
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	if fd > math.MaxInt32 {
		_ = unix.Close(fd)
		return nil, errors.ErrUnsupported
	}
	return &pollConn{poller: p, fd: fd, readable: make(chan struct{}, 1), writable: make(chan struct{}, 1), leave: func() {}}, nil
}

// pollConn is a connection of a poller. Its methods may be called from several goroutines, as those of a [net.Conn]; at most one at a time may
// read, and one write.
type pollConn struct {
	poller *poller
	fd     int
	leave  func() // called once it is closed

	// owner hears of what happens, and may answer at once. Nil, or one that does not, leaves it to Read and Write, which wait.
	owner              atomic.Pointer[laneConn]
	readable, writable chan struct{}

	// uses counts the system calls under way, two for each; that it is odd says that the connection is closed. The descriptor is given back when
	// nobody uses it any more, or a call would reach another connection that has its number by then.
	uses   atomic.Int64
	hungUp atomic.Bool // the peer sends no more
	stops  atomic.Bool // whoever reads shall not
}

// watch begins to hear of the connection.
func (c *pollConn) watch() error {
	c.poller.mu.Lock()
	defer c.poller.mu.Unlock()
	c.poller.conns[int32(c.fd)] = c
	// Edge-triggered: each event says something new, and what is there already is one.
	err := unix.EpollCtl(c.poller.fd, unix.EPOLL_CTL_ADD, c.fd, &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(c.fd),
	})
	return os.NewSyscallError("epoll_ctl", err)
}

// hear tells of an event.
func (c *pollConn) hear(events uint32, s *scratch) {
	const ended = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	if events&ended != 0 {
		c.hungUp.Store(true)
	}
	if events&(unix.EPOLLIN|ended) != 0 {
		if owner := c.owner.Load(); owner == nil || !owner.stir(c, s) {
			signal(c.readable)
		}
	}
	if events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		signal(c.writable)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // there is one already
	}
}

func (c *pollConn) hold() bool {
	for {
		n := c.uses.Load()
		if n&1 != 0 {
			return false
		}
		if c.uses.CompareAndSwap(n, n+2) {
			return true
		}
	}
}

func (c *pollConn) drop() {
	if c.uses.Add(-2) == 1 {
		c.free()
	}
}

// call makes a system call with the connection, again if a signal interrupts it.
func (c *pollConn) call(f func(fd int, b []byte) (int, error), b []byte) (int, error) {
	if !c.hold() {
		return 0, net.ErrClosed
	}
	defer c.drop()
	for {
		if n, err := f(c.fd, b); err != unix.EINTR { //nolint:errorlint // a system call's own, on the hottest path
			return max(n, 0), err
		}
	}
}

// read is Read that does not wait: it returns EAGAIN, and 0 at the end.
func (c *pollConn) read(b []byte) (int, error) { return c.call(syscall.Read, b) }

// write is Write that does not wait: it may write less, with EAGAIN.
func (c *pollConn) write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = c.call(syscall.Write, b[n:])
		n += m
	}
	return n, err
}

// quiet reports a connection that is open and has nothing to say.
func (c *pollConn) quiet() bool {
	var one [1]byte
	_, err := c.call(peek, one[:])
	return err == unix.EAGAIN //nolint:errorlint // see call
}

func peek(fd int, b []byte) (int, error) {
	n, _, err := unix.Recvfrom(fd, b, unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return n, err
}

// Read implements io.Reader. It returns os.ErrDeadlineExceeded after stopReading.
func (c *pollConn) Read(b []byte) (int, error) {
	for {
		if c.stops.Load() {
			return 0, os.ErrDeadlineExceeded
		}
		n, err := c.read(b)
		switch {
		case errors.Is(err, unix.EAGAIN):
			<-c.readable
		case err != nil:
			return n, err
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Write implements io.Writer.
func (c *pollConn) Write(b []byte) (n int, err error) {
	for {
		m, err := c.write(b[n:])
		n += m
		if !errors.Is(err, unix.EAGAIN) {
			return n, err
		}
		<-c.writable
	}
}

// stopReading ends a Read under way and later ones, until mayRead.
func (c *pollConn) stopReading() {
	c.stops.Store(true)
	signal(c.readable)
}

func (c *pollConn) mayRead() { c.stops.Store(false) }

// Close implements io.Closer. Reads and writes under way end.
func (c *pollConn) Close() error {
	n, ok := c.shut()
	if !ok {
		return net.ErrClosed
	}
	signal(c.readable)
	signal(c.writable)
	if n == 0 {
		c.free()
	}
	return nil
}

func (c *pollConn) shut() (uses int64, ok bool) {
	for {
		n := c.uses.Load()
		if n&1 != 0 {
			return n, false
		}
		if c.uses.CompareAndSwap(n, n|1) {
			return n, true
		}
	}
}

func (c *pollConn) free() {
	c.forget()
	_ = unix.Close(c.fd)
	c.leave()
}

func (c *pollConn) forget() {
	c.poller.mu.Lock()
	defer c.poller.mu.Unlock()
	if c.poller.conns[int32(c.fd)] == c {
		delete(c.poller.conns, int32(c.fd))
	}
}

// release makes the connection one of the net package again; whoever closes that calls leave. Nobody else may use it any more.
func (c *pollConn) release() (net.Conn, error) {
	if _, ok := c.shut(); !ok {
		return nil, net.ErrClosed
	}
	c.forget()
	_ = unix.EpollCtl(c.poller.fd, unix.EPOLL_CTL_DEL, c.fd, nil) // or the poller would hear of the duplicate
	file := os.NewFile(uintptr(c.fd), "tcp")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		c.leave()
	}
	return conn, err
}
