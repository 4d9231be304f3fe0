package sqlbus_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/sqlbus"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/internal/testenv"
)

// The crash test publishes and consumes in child processes that it kills at random moments. Children write what
// they do to one file opened for appending, so that its lines survive them and are in real order:
//
//	accepted <key> <from> <to>   messages from up to, not including, to: after Publish returned nil
//	handled  <key> <from> <to>   one message, before its acknowledgement
//
// After each kill the parent compares the lines with the tables.

var (
	crashOrdered   = events.Topic{Name: "crash-ordered", Type: "crash.v1", Ordered: true}
	crashUnordered = events.Topic{Name: "crash-unordered", Type: "crash.v1"}
	crashSubs      = []events.Subscription{
		{
			Name: "crash-ordered", Topic: crashOrdered, MaxBatch: 7, Attempts: 1000,
			MinBackoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond,
		},
		{
			Name: "crash-unordered", Topic: crashUnordered, Attempts: 1000,
			MinBackoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond,
		},
	}
	crashKeys = []string{"a", "b", "c", "d", "unordered"}
)

func TestCrashSQLite(t *testing.T) {
	t.Parallel()
	crash(t, "sqlite:"+filepath.Join(t.TempDir(), "bus.db"), 30)
}

func TestCrashPostgres(t *testing.T) {
	t.Parallel()
	crash(t, testenv.Postgres(t), 24)
}

func crash(t *testing.T, address string, rounds int) {
	if testing.Short() {
		t.Skip("kills processes for many seconds")
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	db := open(t, address)
	logPath := filepath.Join(t.TempDir(), "log")
	c := &crashed{t: t, db: db, logPath: logPath, accepted: map[string]bool{},
		handled: map[string]bool{}, last: map[string]int{}, gone: map[string]bool{}}

	var children [2]*child
	for round := range rounds {
		for i := range children {
			if children[i] == nil {
				children[i] = startChild(t, address, logPath, random.Uint64())
			}
		}
		pause := time.Duration(random.IntN(200)) * time.Millisecond
		time.Sleep(100*time.Millisecond + pause) // the moment of the kill is the random input of this test
		for i := range children {
			if random.IntN(3) > 0 || round == rounds-1 {
				children[i].kill(t)
				children[i] = nil
			}
		}
		c.check(false)
	}
	for i := range children {
		if children[i] != nil {
			children[i].kill(t)
		}
	}

	last := startChild(t, address, logPath, 0) // publishes nothing, handles the rest
	deadline := time.After(time.Minute)
	for len(c.pending()) > 0 {
		select {
		case <-deadline:
			t.Fatalf("%d messages are still pending after a minute", len(c.pending()))
		case <-time.After(20 * time.Millisecond):
		}
	}
	last.stop(t)
	c.check(true)
	if len(c.accepted) < rounds {
		t.Fatalf("only %d messages were accepted in %d rounds: the test tested nothing", len(c.accepted), rounds)
	}
	t.Logf("%d accepted, %d handled, %d handled more than once", len(c.accepted), len(c.handled), c.again)
}

// crashed is what the parent knows.
type crashed struct {
	t       *testing.T
	db      *sqldb.DB
	logPath string
	read    int64

	accepted map[string]bool // by id
	handled  map[string]bool
	last     map[string]int  // by key: the largest number handled
	gone     map[string]bool // seen to be neither pending nor in a living process: acknowledged for good
	again    int
}

// check reads the new lines and compares. Children may still run unless quiet.
func (c *crashed) check(quiet bool) {
	c.t.Helper()
	// Before the tables: a message that is accepted by then must be in them or have been handled by now.
	acceptedBefore := c.readLog()
	pending := c.pending()
	c.readLog()
	for _, id := range acceptedBefore {
		if !pending[id] {
			if !c.handled[id] {
				c.t.Fatalf("%s was accepted, is not pending and was never handled", id)
			}
			c.gone[id] = true
		}
	}
	if quiet {
		for id := range c.accepted {
			if !c.handled[id] {
				c.t.Fatalf("%s was accepted and never handled", id)
			}
		}
	}
}

// readLog takes in the new whole lines and lists the accepted ids that are not gone yet.
func (c *crashed) readLog() []string {
	c.t.Helper()
	file, err := os.Open(c.logPath)
	if err != nil {
		c.t.Fatal(err)
	}
	defer file.Close()
	fresh, err := io.ReadAll(io.NewSectionReader(file, c.read, 1<<40))
	if err != nil {
		c.t.Fatal(err)
	}
	whole := strings.LastIndexByte(string(fresh), '\n') + 1
	c.read += int64(whole)
	for line := range strings.Lines(string(fresh[:whole])) {
		var what, key string
		var from, to int
		if _, err := fmt.Sscan(line, &what, &key, &from, &to); err != nil {
			c.t.Fatalf("line %q: %v", line, err)
		}
		for n := from; n < to; n++ {
			id := fmt.Sprintf("%s/%d", key, n)
			switch what {
			case "accepted":
				c.accepted[id] = true
			case "handled":
				c.wasHandled(key, n, id)
			}
		}
	}
	ids := make([]string, 0, len(c.accepted))
	for id := range c.accepted {
		if !c.gone[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

func (c *crashed) wasHandled(key string, n int, id string) {
	c.t.Helper()
	if c.gone[id] {
		c.t.Fatalf("%s was handled after its acknowledgement was durable", id)
	}
	if c.handled[id] {
		c.again++
		return
	}
	c.handled[id] = true
	if before, known := c.last[key]; known && n < before && !strings.HasPrefix(key, "unordered") {
		c.t.Fatalf("key %s: %d was handled first after %d", key, n, before)
	}
	c.last[key] = n
}

func (c *crashed) pending() map[string]bool {
	c.t.Helper()
	rows, err := c.db.R.Query("SELECT id FROM bus_messages")
	if err != nil {
		c.t.Fatal(err)
	}
	defer rows.Close()
	ids := map[string]bool{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			c.t.Fatal(err)
		}
		ids[id] = true
	}
	if err := rows.Err(); err != nil {
		c.t.Fatal(err)
	}
	return ids
}

// child is a process of this test binary that runs [runCrashChild].
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	err   strings.Builder
}

func startChild(t *testing.T, address, logPath string, seed uint64) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0], "-crash-address", address, "-crash-log", logPath, "-crash-seed", fmt.Sprint(seed))}
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
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait() // then all that it said is there
		t.Fatalf("child did not start: %v: %s", err, c.err.String())
	}
	return c
}

func (c *child) kill(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGKILL); err != nil {
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

// runCrashChild publishes, unless seed is 0, and consumes until its standard input ends.
func runCrashChild(address, logPath string, seed uint64) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	db, err := sqldb.Open(ctx, address, sqldb.Options{})
	if err != nil {
		return err
	}
	quiet := slog.New(slog.DiscardHandler)
	driver, err := sqlbus.New(ctx, db, sqlbus.Options{
		Subscriptions: append([]events.Subscription{events.Parked}, crashSubs...),
		Lease:         3 * time.Second, // longer than a busy machine makes a living child stand still
		Logger:        quiet,
	})
	if err != nil {
		return err
	}
	bus := events.New(driver, events.Options{Logger: quiet})
	file, err := os.OpenFile(logPath, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	say := func(what, key string, from, to int) {
		// One write: lines of two children do not mix.
		if _, err := fmt.Fprintf(file, "%s %s %d %d\n", what, key, from, to); err != nil {
			panic(err)
		}
	}
	fmt.Print("!") // started

	var running sync.WaitGroup
	errs := make(chan error, 8)
	handle := func(_ context.Context, _ string, run []events.Message) error {
		outcomes := make([]error, len(run))
		for i, m := range run {
			if rand.IntN(20) == 0 {
				outcomes[i] = errors.New("fails now and then")
				return &events.BatchError{Errs: fill(outcomes, i)}
			}
			var n int
			key, number, _ := strings.Cut(m.ID, "/")
			if _, err := fmt.Sscan(number, &n); err != nil {
				return err
			}
			say("handled", key, n, n+1)
		}
		return &events.BatchError{Errs: outcomes}
	}
	for _, sub := range crashSubs {
		running.Go(func() { errs <- bus.ConsumeBatches(ctx, sub, handle) })
	}
	for i, key := range crashKeys {
		if seed == 0 {
			break
		}
		running.Go(func() { errs <- publishCrash(ctx, bus, key, seed, uint64(i), say) })
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent closes it or is gone
	cancel()
	running.Wait()
	close(errs)
	for one := range errs {
		err = errors.Join(err, one)
	}
	return errors.Join(err, bus.Close(), db.Close())
}

// fill gives all messages from the first failed one on the same error.
func fill(errs []error, from int) []error {
	for i := from; i < len(errs); i++ {
		errs[i] = errs[from]
	}
	return errs
}

func publishCrash(ctx context.Context, bus *events.Bus, key string, seed, stream uint64, say func(string, string, int, int)) error {
	random := rand.New(rand.NewPCG(seed, stream))
	topic := crashOrdered
	// The key is the child's own, so that children need not agree on numbers. Others handle it all the same.
	unique := fmt.Sprintf("%s-%x", key, seed)
	if key == "unordered" {
		topic = crashUnordered
	}
	for n := 0; n < 500 && ctx.Err() == nil; {
		to := n + 1 + random.IntN(5)
		var msgs []events.Message
		for i := n; i < to; i++ {
			m := events.Message{ID: fmt.Sprintf("%s/%d", unique, i), Data: make([]byte, random.IntN(3000))}
			if topic.Ordered {
				m.Key = unique
			}
			msgs = append(msgs, m)
		}
		if err := bus.Publish(ctx, topic, msgs...); err != nil {
			if ctx.Err() == nil {
				return err
			}
			return nil
		}
		say("accepted", unique, n, to)
		n = to
	}
	return nil
}
