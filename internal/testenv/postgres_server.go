package testenv

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// PostgresServer is a PostgreSQL of one test, to be killed and started again.
type PostgresServer struct {
	bin, data, password string
	as                  *account
	port                int
	server              *owned
}

// NewPostgresServer starts a PostgreSQL that only this test uses, and removes it when t ends. What was committed survives
// [PostgresServer.Kill].
func NewPostgresServer(t testing.TB) *PostgresServer {
	t.Helper()
	skipShort(t, "PostgreSQL")
	bin, err := postgresBin()
	require(t, "PostgreSQL", err)
	s := &PostgresServer{bin: bin, password: randomHex(16)}
	s.as, err = serverAccount()
	require(t, "PostgreSQL", err)
	dir, err := s.as.tempDir()
	require(t, "PostgreSQL", err)
	s.data = filepath.Join(dir, "data")
	t.Cleanup(func() {
		if err := errors.Join(s.Kill(), os.RemoveAll(dir)); err != nil {
			t.Errorf("PostgreSQL: stop: %v", err)
		}
	})
	require(t, "PostgreSQL", initPostgres(bin, dir, s.data, s.as, s.password))
	require(t, "PostgreSQL", s.startAnywhere())
	return s
}

// Address is host:port.
func (s *PostgresServer) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL is the address of its maintenance database for clients that reach the server at address, which may be that of a proxy.
func (s *PostgresServer) URL(address string) string {
	u := postgresURL(s.password, s.port)
	u.Host = address
	return u.String()
}

// Kill ends the server as a crash does: an immediate shutdown without a checkpoint, so that the next start recovers from the log. It
// returns when the server is gone, nil when it was not running.
func (s *PostgresServer) Kill() error {
	if s.server == nil {
		return nil
	}
	server := s.server
	s.server = nil
	return server.stop()
}

// Start starts a killed server on the same port and data, and returns when it answers.
func (s *PostgresServer) Start() error {
	dir, err := s.as.tempDir()
	if err != nil {
		return err
	}
	s.server, err = runPostgres(s.bin, dir, s.data, s.as, s.port)
	return err
}

func (s *PostgresServer) startAnywhere() error {
	for try := 1; ; try++ {
		var err error
		if s.port, err = freePort(); err != nil {
			return err
		}
		if err = s.Start(); err == nil {
			return nil
		}
		if try == startTries {
			return fmt.Errorf("start %s: %w", s.bin, err)
		}
	}
}
