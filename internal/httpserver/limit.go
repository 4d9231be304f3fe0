package httpserver

import (
	"net"

	"golang.org/x/net/netutil"
)

// Limit returns a listener that hands out at most n connections at once. Further ones wait in the system's queue, and get an error
// of their own system when that is full; they cost this process nothing. WebSockets count until they are closed.
func Limit(ln net.Listener, n int) net.Listener { return netutil.LimitListener(ln, n) }
