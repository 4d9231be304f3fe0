package testenv

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Postgres returns the URL of a fresh, empty database on a real PostgreSQL server, with a role that owns it.
// The database is dropped when t ends, connections or not. See the package comment for where the server comes
// from and when the test is skipped.
func Postgres(t testing.TB) string {
	t.Helper()
	skipShort(t, "PostgreSQL")
	server, err := postgresServer()
	require(t, "PostgreSQL", err)

	name := "test_" + randomHex(8)
	if err := admin(server, "CREATE DATABASE "+name); err != nil {
		t.Fatalf("PostgreSQL: create a database: %v", err)
	}
	t.Cleanup(func() {
		if err := admin(server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("PostgreSQL: drop the test's database: %v", err)
		}
	})
	address := *server
	address.Path = "/" + name
	return address.String()
}

// postgresServer finds or starts the server of this test binary and returns the address of its maintenance database.
var postgresServer = sync.OnceValues(func() (*url.URL, error) {
	if address := os.Getenv("TEST_POSTGRES_URL"); address != "" {
		server, err := url.Parse(address)
		if err != nil || server.Host == "" {
			return nil, errors.New("TEST_POSTGRES_URL must be postgres://user:password@host:port/database") // the cause may quote the password
		}
		return server, nil
	}
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	return startPostgres(bin)
})

func startPostgres(bin string) (*url.URL, error) {
	as, err := serverAccount()
	if err != nil {
		return nil, err
	}
	password := randomHex(16)
	for try := 1; ; try++ {
		port, err := tryPostgres(bin, as, password)
		if err == nil {
			return postgresURL(password, port), nil
		}
		if try == startTries {
			return nil, fmt.Errorf("start %s: %w", bin, err)
		}
	}
}

func postgresURL(password string, port int) *url.URL {
	return &url.URL{
		Scheme: "postgres", User: url.UserPassword("postgres", password),
		Host: "127.0.0.1:" + strconv.Itoa(port), Path: "/postgres", RawQuery: "sslmode=disable",
	}
}

// tryPostgres makes a cluster and starts it on a free port. An initialised cluster is not kept for later: initdb takes half a
// second, and a kept one would have to be matched to version, architecture and locale.
func tryPostgres(bin string, as *account, password string) (port int, err error) {
	dir, err := as.tempDir()
	if err != nil {
		return 0, err
	}
	data := filepath.Join(dir, "data")
	if err := initPostgres(bin, dir, data, as, password); err != nil {
		return 0, errors.Join(err, os.RemoveAll(dir))
	}
	port, err = freePort()
	if err != nil {
		return 0, errors.Join(err, os.RemoveAll(dir))
	}
	_, err = runPostgres(bin, dir, data, as, port)
	return port, err
}

// runPostgres starts the cluster in data. dir is the watchdog's, who removes it when the server has ended.
func runPostgres(bin, dir, data string, as *account, port int) (*owned, error) {
	server, err := startOwned(dir, as, "QUIT", filepath.Join(bin, "postgres"), "-D", data,
		"-c", "listen_addresses=127.0.0.1",
		"-c", "port="+strconv.Itoa(port),
		"-c", "unix_socket_directories=",
		"-c", "max_connections=200",
		"-c", "logging_collector=off",
	)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	// The server's own word, not an answer on the port, which could be somebody else's server. What a killed one left has
	// another process id in its first line.
	ready := func() bool {
		lock, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
		if err != nil || !strings.HasSuffix(strings.TrimSpace(string(lock)), "ready") {
			return false
		}
		pid, err := os.ReadFile(filepath.Join(dir, "server.pid"))
		return err == nil && strings.HasPrefix(string(lock), string(pid))
	}
	if err := server.await(startTimeout, ready); err != nil {
		return nil, errors.Join(err, server.stop())
	}
	return server, nil
}

func initPostgres(bin, dir, data string, as *account, password string) error {
	secret := filepath.Join(dir, "password")
	if err := os.WriteFile(secret, []byte(password+"\n"), 0o600); err != nil {
		return err
	}
	if err := as.own(secret); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-E", "UTF8", "--no-locale",
		"-A", "scram-sha-256", "--pwfile", secret, "--no-sync")
	cmd.Dir = dir
	cmd.Env = childEnv()
	cmd.SysProcAttr = as.procAttr()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// admin runs one statement on the server's maintenance database.
func admin(server *url.URL, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, server.String())
	if err != nil {
		return err // pgx leaves the password out
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

func randomHex(bytes int) string {
	raw := make([]byte, bytes)
	_, _ = rand.Read(raw) // never fails
	return hex.EncodeToString(raw)
}
