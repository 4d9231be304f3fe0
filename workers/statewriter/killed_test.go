package statewriter_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/sqlbus"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/sqlsession"
	"vibesdk-gcp/schemas/gen"
	"vibesdk-gcp/workers/statewriter"
	"vibesdk-gcp/workers/workertest"
)

const (
	publishers   = 4
	perPublisher = 400
	killSessions = 3
	kills        = 14
)

// TestKilled lets processes of the writer be killed again and again while mutations are published, one in five of them
// twice. In the end every mutation is applied exactly once, and those of a publisher in its order.
func TestKilled(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills processes for many seconds")
	}
	onBoth(t, func(t *testing.T, address string) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		s := workertest.NewSessions(t, address, nil, session.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()

		var children [2]*child
		for i := range children {
			children[i] = startChild(t, address)
		}
		var publishing sync.WaitGroup
		for p := range publishers {
			publishing.Go(func() { publishAll(ctx, t, s.Bus, p, seed) })
		}
		random := rand.New(rand.NewPCG(seed, publishers))
		for range kills {
			time.Sleep(time.Duration(20+random.IntN(200)) * time.Millisecond) // the moment of the kill is the random input of this test
			i := random.IntN(len(children))
			children[i].kill(t)
			children[i] = startChild(t, address)
		}
		publishing.Wait()
		for id, want := range expected() {
			awaitVersion(ctx, t, s.Store, id, int64(len(want)))
		}
		awaitEmpty(ctx, t, s.DB)
		for _, c := range children {
			c.stop(t)
		}
		check(t, s)
	})
}

// mutationOf is the n-th mutation of a publisher: the sessions take turns.
func mutationOf(p, n int) (sessionID, value string) {
	return fmt.Sprint("killed-", n%killSessions), fmt.Sprintf("%d/%d", p, n)
}

func expected() map[string][]string {
	want := map[string][]string{}
	for p := range publishers {
		for n := range perPublisher {
			id, value := mutationOf(p, n)
			want[id] = append(want[id], value)
		}
	}
	return want
}

func publishAll(ctx context.Context, t *testing.T, bus *events.Bus, p int, seed uint64) {
	random := rand.New(rand.NewPCG(seed, uint64(p)))
	var sent []events.Message
	for n := 0; n < perPublisher; {
		var msgs []events.Message
		for range 1 + random.IntN(10) {
			if n == perPublisher {
				break
			}
			id, value := mutationOf(p, n)
			m := message(&gen.StateMutation{
				MutationId: value, SessionId: id, Kind: gen.StateMutation_APPEND, Part: "full_conversations", Payload: fmt.Sprintf("%q", value),
			})
			msgs, sent = append(msgs, m), append(sent, m)
			n++
			if random.IntN(5) == 0 { // one of the last that were sent
				msgs = append(msgs, sent[len(sent)-1-random.IntN(min(len(sent), 30))])
			}
		}
		if err := bus.Publish(ctx, events.StateMutations, msgs...); err != nil {
			t.Errorf("publish: %v", err)
			return
		}
		time.Sleep(time.Duration(random.IntN(10)) * time.Millisecond) // spreads the load over the kills
	}
}

func awaitVersion(ctx context.Context, t *testing.T, store *session.Store, id string, version int64) {
	t.Helper()
	last := int64(0)
	for rec, err := range store.Watch(ctx, id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if last = rec.Version; last >= version {
			return
		}
	}
	t.Fatalf("session %s is at version %d, want %d", id, last, version)
}

// awaitEmpty waits until every message, duplicates included, is settled.
func awaitEmpty(ctx context.Context, t *testing.T, db *sqldb.DB) {
	t.Helper()
	for left := 1; left > 0; {
		if err := db.R.QueryRowContext(ctx, "SELECT count(*) FROM bus_messages").Scan(&left); err != nil {
			t.Fatalf("%v; %d messages are left", err, left)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func check(t *testing.T, s *workertest.Sessions) {
	t.Helper()
	for id, want := range expected() {
		rec, err := s.Store.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		if err := json.Unmarshal(rec.Parts[session.PartFullConversations].Data, &got); err != nil {
			t.Fatal(err)
		}
		if rec.Version != int64(len(want)) {
			t.Errorf("session %s is at version %d after %d mutations", id, rec.Version, len(want))
		}
		for p := range publishers {
			of := func(list []string) []string {
				return slices.DeleteFunc(slices.Clone(list), func(v string) bool { return !strings.HasPrefix(v, fmt.Sprint(p, "/")) })
			}
			if diff := cmp.Diff(of(want), of(got)); diff != "" {
				t.Errorf("session %s, publisher %d (-want +got):\n%s", id, p, diff)
			}
		}
	}
}

// child is a process of this test binary that runs [runChild].
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	err   strings.Builder
}

func startChild(t *testing.T, address string) *child {
	t.Helper()
	return startProcess(t, childAddress+"="+address)
}

// startProcess starts this test binary with one more variable and waits for a byte of its output.
func startProcess(t *testing.T, variable string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), variable)
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

// runChild consumes until its standard input ends.
func runChild(address string) error {
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
	w := statewriter.New(statewriter.Options{Store: session.NewStore(sqlsession.New(db), session.Options{Logger: quiet}), Logger: quiet})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the parent closes it or is gone
		cancel()
	}()
	fmt.Print("!") // started
	return errors.Join(bus.ConsumeBatches(ctx, events.StateWriter, w.Handle), bus.Close(), db.Close())
}
