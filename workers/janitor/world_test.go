package janitor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/sqlbus"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/schemas"
	"vibesdk-gcp/workers/janitor"
	"vibesdk-gcp/workers/sandboxrunner"
	"vibesdk-gcp/workers/workertest"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// patience bounds every wait for what comes about by itself. It is a limit for what hangs; no case measures time.
const patience = 3 * time.Minute

// world is a janitor and a runner on the real platform, with the real bus between them. Their clock can be moved; the
// bus's cannot.
type world struct {
	*workertest.Sandboxes
	*janitor.Janitor
	bus    *events.Bus
	outbox *outbox
	shift  atomic.Int64
	runner atomic.Pointer[sandboxrunner.Runner]
}

func newWorld(t *testing.T, change ...func(*janitor.Options)) *world {
	t.Helper()
	return newWorldOn(t, workertest.NewSandboxes(t, nil), change...)
}

func newWorldOn(t *testing.T, s *workertest.Sandboxes, change ...func(*janitor.Options)) *world {
	t.Helper()
	w := &world{Sandboxes: s}
	driver, err := sqlbus.New(t.Context(), s.DB, sqlbus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.bus = events.New(driver, events.Options{Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() {
		if err := w.bus.Close(); err != nil {
			t.Error(err)
		}
	})
	w.outbox = &outbox{Publisher: w.bus}
	w.run()
	o := janitor.Options{
		Records: s.Records, Runtime: s.Runtime, Routes: s.Routes, Publisher: w.outbox, Now: w.now, Logger: slog.New(slog.DiscardHandler),
	}
	for _, c := range change {
		c(&o)
	}
	w.Janitor = janitor.New(o)
	return w
}

func (w *world) now() time.Time          { return time.Now().Add(time.Duration(w.shift.Load())) }
func (w *world) advance(d time.Duration) { w.shift.Add(int64(d)) }

// run puts a runner on the present runtime.
func (w *world) run() {
	w.runner.Store(sandboxrunner.New(sandboxrunner.Options{
		Records: w.Records, Runtime: w.Runtime, Routes: w.Routes, Now: w.now, Logger: slog.New(slog.DiscardHandler),
	}))
}

// consume lets the runner consume until the test ends.
func (w *world) consume(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		err := w.bus.Consume(ctx, sandboxrunner.Subscription(), func(ctx context.Context, m events.Message) error {
			return w.runner.Load().Handle(ctx, m)
		})
		if err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
}

func app(requestID string, fields map[string]any) []byte {
	all := map[string]any{
		"requestId": requestID, "staticDir": ".",
		"source": map[string]any{"files": []any{map[string]any{"path": "index.html", "content": "hello"}}},
	}
	for k, v := range fields {
		all[k] = v
	}
	data, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return data
}

// ready runs an app, past the bus.
func (w *world) ready(t *testing.T, requestID string, fields map[string]any) sandbox.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	parked, err := workertest.Deliver(ctx, w.runner.Load().Handle, events.Message{ID: requestID, Data: app(requestID, fields)})
	if err != nil || parked != nil {
		t.Fatal(err, parked)
	}
	rec, err := w.Records.Load(ctx, sandbox.IDFor(requestID))
	if err != nil || rec.State != sandbox.Ready {
		t.Fatalf("%s (%s): %v", rec.State, rec.Reason, err)
	}
	return rec
}

// stored makes a record without any resources, past the runner.
func (w *world) stored(t *testing.T, requestID string, change ...func(*sandbox.Record)) sandbox.Record {
	t.Helper()
	now := w.now()
	rec := sandbox.Record{
		ID: sandbox.IDFor(requestID), RequestID: requestID, State: sandbox.Requested, Fence: 1, Token: sandbox.NewToken(),
		ControlToken: sandbox.NewControlToken(), TTL: time.Hour, CreatedAt: now, ExpiresAt: now.Add(time.Hour), PhaseDeadline: now.Add(10 * time.Minute),
	}
	for _, c := range change {
		c(&rec)
	}
	if err := w.Records.Create(t.Context(), rec, spec); err != nil {
		t.Fatal(err)
	}
	return rec
}

var spec = sandbox.Spec{StaticDir: ".", Source: sandbox.Source{Files: []sandbox.File{{Path: "index.html", Data: []byte("hello")}}}}

// build makes resources without a record.
func (w *world) build(t *testing.T, ref sandbox.Ref) {
	t.Helper()
	task := sandbox.Task{Ref: ref, Spec: spec, ControlToken: sandbox.NewControlToken(), Deadline: time.Now().Add(time.Minute)}
	if err := w.Runtime.Build(t.Context(), task); err != nil {
		t.Fatal(err)
	}
}

func (w *world) refs(t *testing.T) []sandbox.Ref {
	t.Helper()
	refs, err := w.Runtime.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return refs
}

func (w *world) sweep(t *testing.T, kind string) {
	t.Helper()
	if err := w.Handle(t.Context(), tick(kind, false)); err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
}

func tick(kind string, dry bool) events.Message {
	return events.Message{ID: "tick-" + kind, Data: fmt.Appendf(nil, `{"kind":%q,"dryRun":%v}`, kind, dry)}
}

const (
	stale   = "STALE_SANDBOXES"
	orphans = "ORPHANED_SANDBOXES"
)

func (w *world) await(t *testing.T, id string, ok func(sandbox.Record) bool) sandbox.Record {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		rec, err := w.Records.Load(t.Context(), id)
		if err == nil && ok(rec) {
			return rec
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %+v (%v)", rec, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// outbox passes messages on and remembers them.
type outbox struct {
	events.Publisher
	fx   *workertest.Effects
	mu   sync.Mutex
	sent []events.Message
}

func (o *outbox) Publish(ctx context.Context, topic events.Topic, msgs ...events.Message) error {
	if err := o.Publisher.Publish(ctx, topic, msgs...); err != nil {
		return err
	}
	o.mu.Lock()
	o.sent = append(o.sent, msgs...)
	o.mu.Unlock()
	if o.fx != nil {
		return o.fx.Did("publish")
	}
	return nil
}

// requests lists the ids of the requests that were published, each once.
func (o *outbox) requests() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var ids []string
	for _, m := range o.sent {
		ids = append(ids, schemas.PeekRequestID(m.Data))
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
