package statewriter_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"vibesdk-gcp/events"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/schemas"
	"vibesdk-gcp/schemas/gen"
	"vibesdk-gcp/workers/statewriter"
	"vibesdk-gcp/workers/workertest"
)

// world is a writer on a real store.
type world struct {
	*workertest.Sessions
	*statewriter.Writer
	woken woken
}

func newWorld(t *testing.T, change ...func(*statewriter.Options)) *world {
	t.Helper()
	return newWorldOn(t, workertest.NewSessions(t, "", nil, session.Options{}), change...)
}

func newWorldOn(t *testing.T, s *workertest.Sessions, change ...func(*statewriter.Options)) *world {
	t.Helper()
	w := &world{Sessions: s}
	o := statewriter.Options{Store: s.Store, Wake: w.woken.wake, Logger: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&o)
	}
	w.Writer = statewriter.New(o)
	return w
}

// onBoth runs a test on a new SQLite file and on a new Postgres database.
func onBoth(t *testing.T, test func(t *testing.T, address string)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, testenv.Postgres(t))
	})
}

// message carries a mutation that is valid.
func message(m *gen.StateMutation) events.Message {
	data, err := schemas.EncodeStateMutation(m)
	if err != nil {
		panic(err)
	}
	return events.Message{ID: "e-" + m.GetMutationId(), Key: m.GetSessionId(), Data: data, Attempt: 1}
}

func put(id, value string) events.Message {
	return message(&gen.StateMutation{MutationId: id, SessionId: "s", Kind: gen.StateMutation_PUT, Payload: value})
}

func add(id string) events.Message {
	return message(&gen.StateMutation{MutationId: id, SessionId: "s", Kind: gen.StateMutation_APPEND, Path: "/list", Payload: fmt.Sprintf("%q", id)})
}

// handle gives the error of each message of a run.
func (w *world) handle(ctx context.Context, run ...events.Message) []error {
	return spread(w.Handle(ctx, run[0].Key, run), len(run))
}

func spread(err error, count int) []error {
	if each, ok := errors.AsType[*events.BatchError](err); ok {
		return each.Errs
	}
	errs := make([]error, count)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// one hands single messages to the writer.
func (w *world) one(ctx context.Context, m events.Message) error { return w.handle(ctx, m)[0] }

func (w *world) state(t *testing.T, id string) workertest.SessionState {
	t.Helper()
	states, err := w.State(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return states[id]
}

// wantErrors compares errors with what they must be: "" for nil, "again: text" for one that may be tried again, "parked: text".
func wantErrors(t *testing.T, got []error, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d errors, want %d: %v", len(got), len(want), got)
	}
	for i, err := range got {
		kind, text, _ := strings.Cut(want[i], ": ")
		switch {
		case err == nil && kind == "":
		case err == nil:
			t.Errorf("message %d is acknowledged, want %s", i, want[i])
		case events.IsPermanent(err) != (kind == "parked") || kind == "" || !strings.Contains(err.Error(), text):
			t.Errorf("message %d: %v (permanent %v), want %q", i, err, events.IsPermanent(err), want[i])
		}
	}
}

// woken remembers who was woken.
type woken struct {
	mu    sync.Mutex
	ids   []string
	fails error
}

func (w *woken) wake(_ context.Context, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids = append(w.ids, id)
	return w.fails
}

func (w *woken) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.ids)
}

// folder holds payloads in files. Its addresses are those of the files.
type folder struct {
	dir string
	mu  sync.Mutex
	// reads counts calls; fails is asked before each.
	reads int
	fails func(read int) error
}

func newFolder(t *testing.T) *folder { return &folder{dir: t.TempDir()} }

func (f *folder) put(t *testing.T, name, content string) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return f.address(name)
}

func (f *folder) address(name string) string { return "file://" + filepath.Join(f.dir, name) }

func (f *folder) Read(_ context.Context, address string, limit int64) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	if f.fails != nil {
		if err := f.fails(f.reads); err != nil {
			return nil, err
		}
	}
	name, ok := strings.CutPrefix(address, "file://"+f.dir+"/")
	if !ok {
		return nil, statewriter.ErrPayloadRefused
	}
	info, err := os.Stat(filepath.Join(f.dir, name))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, statewriter.ErrPayloadNotFound
	case err != nil:
		return nil, err
	case info.Size() > limit:
		return nil, statewriter.ErrPayloadTooLarge
	}
	return os.ReadFile(filepath.Join(f.dir, name))
}
