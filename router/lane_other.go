//go:build !linux

package router

import (
	"context"
	"net"
	"sync"
)

// Lane is a listener as it is: there is a fast lane on Linux only, and an http.Server with the Router as its handler answers everything.
type Lane struct {
	net.Listener
	close func() error
}

// Lane returns a listener that is the given one.
func (rt *Router) Lane(inner net.Listener) *Lane { return &Lane{inner, sync.OnceValue(inner.Close)} }

// Close implements net.Listener.
func (l *Lane) Close() error { return l.close() }

// Shutdown is Close: there are no requests of its own to wait for.
func (l *Lane) Shutdown(context.Context) error { return l.close() }
