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

// Address returns an address of the loopback interface, host:port, for a server that ends and comes again. Its port is below those that
// systems give out by themselves, so that no other test gets it in between.
func Address(t testing.TB) string {
	t.Helper()
	for {
		port := 20_000 + rand.IntN(10_000) //nolint:gosec // no secret
		listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		switch {
		case err == nil:
			if err := listener.Close(); err != nil {
				t.Fatal(err)
			}
			return listener.Addr().String()
		case !errors.Is(err, syscall.EADDRINUSE):
			t.Fatal(err)
		}
	}
}
