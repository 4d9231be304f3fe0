package router

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// errStale is a kept connection that was closed meanwhile, or on which the upstream said something that nobody asked for: it would be taken
// for the answer. Nothing was sent on it.
var errStale = errors.New("the connection to the upstream is not idle")

// asking sends a request and waits for the answer in one operation on the connection. To read at once, as a Read does, would
// nearly always find nothing, and cost a system call more. What arrives from the moment on at which the operation begins ends the wait.
type asking struct {
	raw  syscall.RawConn // nil: the connection has none, and is not kept
	step func(fd uintptr) bool

	request []byte // to send yet
	reused  bool
	sent    bool // all of it
	into    []byte
	n       int
	err     error
}

func (a *asking) init(conn net.Conn) {
	sys, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sys.SyscallConn()
	if err != nil {
		return
	}
	a.raw, a.step = raw, a.exchange
}

// exchange sends, the first time, and reads. It reports false to be called again when there is something to read.
func (a *asking) exchange(fd uintptr) bool {
	if !a.sent {
		if a.reused && !idle(int(fd)) {
			a.err = errStale
			return true
		}
		n, err := retry(syscall.Write, int(fd), a.request)
		if errors.Is(err, syscall.EAGAIN) {
			n, err = 0, nil
		}
		a.request = a.request[max(n, 0):]
		if a.err = err; err != nil || len(a.request) > 0 {
			return true // a buffer that is full is waited for elsewhere
		}
		a.sent = true
		return false
	}
	n, err := retry(syscall.Read, int(fd), a.into)
	if errors.Is(err, syscall.EAGAIN) {
		return false
	}
	a.n, a.err = max(n, 0), err
	return true
}

// idle reports a connection that is open and has nothing to say.
func idle(fd int) bool {
	var one [1]byte
	_, err := retry(func(fd int, p []byte) (int, error) {
		n, _, err := syscall.Recvfrom(fd, p, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return n, err
	}, fd, one[:])
	return errors.Is(err, syscall.EAGAIN)
}

func retry(call func(int, []byte) (int, error), fd int, p []byte) (int, error) {
	for {
		if n, err := call(fd, p); !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}

// ask has the next Read send a request first. The request must not change until then. On a connection that was kept the Read returns errStale
// when it is not idle.
func (up *upstreamConn) ask(request []byte, reused bool) {
	up.request, up.reused = request, reused
}

// Read implements net.Conn.
func (up *upstreamConn) Read(p []byte) (int, error) {
	if len(up.request) == 0 {
		return up.Conn.Read(p)
	}
	if up.raw == nil {
		request := up.request
		up.request = nil
		if _, err := up.Write(request); err != nil {
			return 0, err
		}
		return up.Conn.Read(p)
	}
	up.sent, up.into, up.n, up.err = false, p, 0, nil
	err := up.raw.Read(up.step)
	rest := up.request
	up.request, up.into = nil, nil
	switch {
	case err != nil:
		return 0, err
	case up.err != nil:
		return 0, up.err
	case len(rest) > 0:
		if _, err := up.Write(rest); err != nil {
			return 0, err
		}
		return up.Conn.Read(p)
	case up.n == 0:
		return 0, io.EOF
	}
	return up.n, nil
}
