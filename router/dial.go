package router

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"vibesdk-gcp/platform/deployment"
)

var errRefusedAddress = errors.New("the endpoint leads to an address that is not allowed")

// newDialer returns a dialer that connects only to addresses that allowed accepts. The check is made on the address that the
// connection is about to be made to, after the name was looked up, so that a name that changes its address between a check and
// the connection gains nothing.
func newDialer(allowed func(netip.AddrPort) bool) *net.Dialer {
	return &net.Dialer{
		Timeout: 5 * time.Second, KeepAlive: 30 * time.Second,
		ControlContext: func(_ context.Context, network, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil || network != "tcp4" && network != "tcp6" || !allowed(to) {
				return fmt.Errorf("%w: %s", errRefusedAddress, address)
			}
			return nil
		},
	}
}

// localAddress is what process targets may be at: this machine, but not the router's own door, which would take requests of strangers for
// those of this machine.
func (rt *Router) localAddress(to netip.AddrPort) bool {
	return deployment.LoopbackAddress(to.Addr()) && (to.Port() != rt.self.Port() || rt.self.Port() == 0)
}

// serviceAddress is what services may be at: the Internet and the networks that are named.
func (rt *Router) serviceAddress(to netip.AddrPort) bool {
	ip := to.Addr().Unmap().WithZone("")
	for _, network := range rt.networks {
		if network.Contains(ip) {
			return to.Port() != rt.self.Port() || !ip.IsLoopback() || rt.self.Port() == 0
		}
	}
	return deployment.PublicAddress(ip)
}
