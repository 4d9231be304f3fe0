package callbackrunner_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/sqlbus"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/sqlsession"
	"vibesdk-gcp/workers/callbackrunner"
	"vibesdk-gcp/workers/workertest"
)

// TestKilled lets the runner be killed again and again, most often while the host is at work. In the end every run was called,
// those of the queue in order, each under one key however often, and nothing is left.
func TestKilled(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills processes for many seconds")
	}
	const (
		sessions, items = 4, 12
		kills           = 8
	)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	address := "sqlite:" + filepath.Join(t.TempDir(), "test.db")
	s := workertest.NewSessions(t, address, nil, session.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	h := newHost(t)
	began := make(chan struct{}, 1)
	h.does(func(http.ResponseWriter, *http.Request, callbackrunner.Call) {
		select {
		case began <- struct{}{}:
		default:
		}
	})
	publisher := callbackrunner.NewPublisher(callbackrunner.PublisherOptions{Sessions: s.Store.Reader, Publisher: s.Bus})
	ids := make([]string, sessions)
	for i := range ids {
		ids[i] = fmt.Sprint("s", i)
		var ms []session.Mutation
		for n := range items {
			ms = append(ms, session.Mutation{ID: fmt.Sprint("m", n), Kind: session.Enqueue, Payload: fmt.Appendf(nil, `{"id":"i%d","callback":"c"}`, n)})
		}
		if _, err := s.Store.Apply(ctx, ids[i], ms); err != nil {
			t.Fatal(err)
		}
	}
	wake := func() { // what the janitor does
		for _, id := range ids {
			if err := publisher.Wake(ctx, id); err != nil {
				t.Fatal(err)
			}
		}
	}
	c := startChild(t, address, h.URL)
	for range kills {
		wake()
		select {
		case <-began: // the next kill hits it at work
		case <-ctx.Done():
			t.Fatal("nothing is called any more")
		}
		time.Sleep(time.Duration(random.IntN(15)) * time.Millisecond) // the moment of the kill is the random input of this test
		c.kill(t)
		c = startChild(t, address, h.URL)
	}
	left := func() (n int) {
		states, err := s.State(ctx, ids...)
		if err != nil {
			t.Fatal(err)
		}
		for _, state := range states {
			n += len(state.Jobs)
		}
		return n
	}
	for left() > 0 {
		wake()
		time.Sleep(200 * time.Millisecond)
	}
	c.stop(t)
	keys, next := map[string]string{}, map[string]int{}
	for _, call := range h.calls() {
		run := fmt.Sprint(call.SessionID, "/", call.Job.ID, "/", call.Run)
		if known, ok := keys[run]; ok {
			if known != call.Key {
				t.Errorf("run %s is called under two keys", run)
			}
			continue
		}
		keys[run] = call.Key
		if want := fmt.Sprint("i", next[call.SessionID]); call.Job.ID != want && call.Run == 1 {
			t.Errorf("session %s: %s is called first, want %s", call.SessionID, call.Job.ID, want)
		}
		if call.Run == 1 {
			next[call.SessionID]++
		}
	}
	for _, id := range ids {
		if next[id] != items {
			t.Errorf("session %s: %d of %d items were called", id, next[id], items)
		}
	}
	t.Logf("%d calls of %d runs", len(h.calls()), len(keys))
}

// child is a process of this test binary that runs [runChild].
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	err   strings.Builder
}

func startChild(t *testing.T, address, host string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), childAddress+"="+address, childHost+"="+host)
	c.cmd.Stderr = &c.err
	var err error
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill() }) // when the test failed half-way
	if _, err := io.ReadFull(stdout, make([]byte, 1)); err != nil {
		t.Fatalf("child did not start: %v: %s", err, c.err.String())
	}
	return c
}

func (c *child) kill(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatalf("child was gone before it was killed: %v: %s", err, c.err.String())
	}
	if err := c.cmd.Wait(); err == nil || c.err.Len() > 0 {
		t.Fatalf("child ended with %v: %s", err, c.err.String())
	}
}

func (c *child) stop(t *testing.T) {
	t.Helper()
	if err := errors.Join(c.stdin.Close(), c.cmd.Wait()); err != nil || c.err.Len() > 0 {
		t.Fatalf("child ended with %v: %s", err, c.err.String())
	}
}

// runChild consumes until its standard input ends.
func runChild(address, host string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	db, err := sqldb.Open(ctx, address, sqldb.Options{})
	if err != nil {
		return err
	}
	quiet := slog.New(slog.DiscardHandler)
	driver, err := sqlbus.New(ctx, db, sqlbus.Options{
		Lease:  3 * time.Second, // longer than a busy machine makes a living child stand still
		Logger: quiet,
	})
	if err != nil {
		return err
	}
	bus := events.New(driver, events.Options{Logger: quiet})
	store := session.NewStore(sqlsession.New(db), session.Options{Logger: quiet})
	runner, err := callbackrunner.New(callbackrunner.Options{
		Sessions: store, Host: host, Logger: quiet,
		Publisher: callbackrunner.NewPublisher(callbackrunner.PublisherOptions{Sessions: store.Reader, Publisher: bus}),
		Timeout:   time.Second, // so that what a killed process had claimed is free again soon
	})
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the parent closes it or is gone
		cancel()
	}()
	fmt.Print("!") // started
	return errors.Join(bus.Consume(ctx, events.CallbackRunner, runner.Handle), runner.Close(), bus.Close(), db.Close())
}
