package testenv

import (
	"context"
	"net"
	"time"
)

const (
	// startTimeout is generous: a busy CI machine starts a JVM in tens of seconds.
	startTimeout = 60 * time.Second
	// startTries is how often a server is started again when another program took its port in between.
	startTries = 5
)

// freePort returns a port that was free a moment ago. Neither server can be told "any port, and say which".
func freePort() (int, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}
