package testenv

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"syscall"
	"testing"
)

// Address returns an address of the loopback interface, host:port, for a server that ends and comes again.
func Address(t testing.TB) string {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// freePort returns a port that was free a moment ago, for servers that cannot be told "any port, and say which". It is below those that systems
// give out by themselves, so that no connection gets it in between.
func freePort() (int, error) {
	for {
		port := 20_000 + rand.IntN(10_000) //nolint:gosec // no secret
		listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		switch {
		case err == nil:
			return port, listener.Close()
		case !errors.Is(err, syscall.EADDRINUSE):
			return 0, err
		}
	}
}
