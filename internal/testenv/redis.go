package testenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Redis returns the URL of a real Redis and a prefix of its own for the test's keys, which are deleted when t ends. See the
// package comment for where the server comes from and when the test is skipped; TEST_REDIS_URL names another one.
func Redis(t testing.TB) (address, prefix string) {
	t.Helper()
	skipShort(t, "Redis")
	address, err := redisServer()
	require(t, "Redis", err)

	prefix = "test-" + randomHex(8) + ":"
	t.Cleanup(func() {
		if err := deleteKeys(address, prefix); err != nil {
			t.Errorf("Redis: delete the test's keys: %v", err)
		}
	})
	return address, prefix
}

// redisServer finds or starts the server of this test binary, which keeps everything in memory.
var redisServer = sync.OnceValues(func() (string, error) {
	if address := os.Getenv("TEST_REDIS_URL"); address != "" {
		return address, nil
	}
	s := &RedisServer{args: []string{"--save", "", "--appendonly", "no"}}
	if err := s.startAnywhere(); err != nil {
		return "", err
	}
	return s.URL(), nil
})

// RedisServer is a Redis of one test, to be killed and started again.
type RedisServer struct {
	data   string
	args   []string
	port   int
	server *owned
}

// NewRedisServer starts a Redis that only this test uses, with further arguments of redis-server, and stops it when t ends. Its data, if the
// arguments make it keep any, survive [RedisServer.Kill].
func NewRedisServer(t testing.TB, args ...string) *RedisServer {
	t.Helper()
	skipShort(t, "Redis")
	s := &RedisServer{data: t.TempDir(), args: args}
	require(t, "Redis", s.startAnywhere())
	t.Cleanup(func() {
		if err := s.Kill(); err != nil {
			t.Errorf("Redis: stop: %v", err)
		}
	})
	return s
}

// URL is the address for clients.
func (s *RedisServer) URL() string { return "redis://" + s.Address() }

// Address is host:port.
func (s *RedisServer) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Kill ends the server with SIGKILL and returns when it is gone. Nil when it was not running.
func (s *RedisServer) Kill() error {
	if s.server == nil {
		return nil
	}
	server := s.server
	s.server = nil
	return server.stop()
}

// Pause freezes the server: connections stay and nothing answers.
func (s *RedisServer) Pause() error { return s.signal(syscall.SIGSTOP) }

// Resume lets a frozen server go on.
func (s *RedisServer) Resume() error { return s.signal(syscall.SIGCONT) }

func (s *RedisServer) signal(sig syscall.Signal) error {
	if s.server == nil {
		return errors.New("redis-server does not run")
	}
	return s.server.signal(sig)
}

// Start starts a killed server on the same port and data, and returns when it answers.
func (s *RedisServer) Start() error {
	bin, err := redisBin()
	if err != nil {
		return err
	}
	var self *account
	dir, err := self.tempDir()
	if err != nil {
		return err
	}
	data := s.data
	if data == "" {
		data = dir
	}
	server, err := startOwned(dir, self, "KILL", append([]string{
		bin, "--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", data, "--daemonize", "no",
	}, s.args...)...)
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	ready := func() bool { return strings.Contains(server.log(), "Ready to accept connections") }
	if err := server.await(startTimeout, ready); err != nil {
		return errors.Join(err, server.stop())
	}
	s.server = server
	return nil
}

func (s *RedisServer) startAnywhere() error {
	for try := 1; ; try++ {
		var err error
		if s.port, err = freePort(); err != nil {
			return err
		}
		if err = s.Start(); err == nil || errors.Is(err, errMissing) {
			return err
		}
		if try == startTries {
			return fmt.Errorf("start redis-server: %w", err)
		}
	}
}

func redisBin() (string, error) {
	for _, name := range []string{"redis-server", "valkey-server"} {
		if bin, err := exec.LookPath(name); err == nil {
			return bin, nil
		}
	}
	return "", fmt.Errorf("%w: no redis-server or valkey-server in PATH; install Redis or set TEST_REDIS_URL", errMissing)
}

// deleteKeys deletes what begins with prefix.
func deleteKeys(address, prefix string) (err error) {
	options, err := redis.ParseURL(address)
	if err != nil {
		return errors.New("TEST_REDIS_URL is not valid") // the cause may quote the password
	}
	client := redis.NewClient(options)
	defer func() { err = errors.Join(err, client.Close()) }()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for cursor := uint64(0); ; {
		keys, next, err := client.Scan(ctx, cursor, prefix+"*", 1000).Result()
		if err != nil {
			return err
		}
		if len(keys) > 0 {
			if err := client.Unlink(ctx, keys...).Err(); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}
