package httpserver

import (
	"errors"
	"net"
	"sync"
	"syscall"
)

// Limit returns a listener that hands out at most n connections at once. Further ones wait in the system's queue, and get an error
// of their own system when that is full; they cost this process nothing. WebSockets count until they are closed. Its connections are
// [syscall.Conn] when those of ln are, so that a writer can find out whether a client takes more.
func Limit(ln net.Listener, n int) net.Listener {
	return &limitListener{Listener: ln, places: make(chan struct{}, n), closed: make(chan struct{})}
}

type limitListener struct {
	net.Listener

	places chan struct{} // one in it for each connection
	close  sync.Once
	closed chan struct{}
}

// Accept implements net.Listener.
func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &limitConn{Conn: conn, leave: sync.OnceFunc(func() { <-l.places })}, nil
}

// Close implements net.Listener.
func (l *limitListener) Close() error {
	l.close.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitConn struct {
	net.Conn

	leave func()
}

// Close implements net.Conn.
func (c *limitConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// NetConn is the connection itself, whose end Leave has to follow.
func (c *limitConn) NetConn() net.Conn { return c.Conn }

// Leave makes room for another connection. It may be called more than once.
func (c *limitConn) Leave() { c.leave() }

// SyscallConn implements syscall.Conn.
func (c *limitConn) SyscallConn() (syscall.RawConn, error) {
	if own, ok := c.Conn.(syscall.Conn); ok {
		return own.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}
