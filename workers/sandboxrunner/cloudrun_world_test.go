package sandboxrunner_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/internal/testenv/cloudrunfake"
	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/deployment/sqldeployment"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/sandbox/cloudrunsandbox"
	"vibesdk-gcp/platform/sandbox/guest"
	"vibesdk-gcp/platform/sandbox/sqlsandbox"
	"vibesdk-gcp/schemas"
	"vibesdk-gcp/workers/janitor"
	"vibesdk-gcp/workers/sandboxrunner"
	"vibesdk-gcp/workers/workertest"
)

// ledger is the records and routes that all cases share: each has a sandbox of its own.
type ledger struct {
	records *sandbox.Records
	routes  *deployment.Table
}

func newLedger(t *testing.T) *ledger {
	t.Helper()
	db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "test.db"), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), schemas.SQL()); err != nil {
		t.Fatal(err)
	}
	routes := deployment.NewTable(sqldeployment.New(db), deployment.Options{})
	t.Cleanup(func() { _ = routes.Close() })
	return &ledger{sandbox.NewRecords(sqlsandbox.New(db)), routes}
}

// region is a Cloud Run and a bucket of one case, whose containers run the guest as functions unless sandboxd is named.
type region struct {
	*cloudrunfake.Server
	storage *cloudrunfake.Storage
	ledger  *ledger
	dir     string
	trouble *trouble
	// callTimeout is how long a worker waits for an answer, deleteWait for the end of what it deletes.
	callTimeout, deleteWait time.Duration
	previews                cloudrunsandbox.Previews
	// ahead is how far the workers' clocks are.
	ahead time.Duration
	mu    sync.Mutex
	// works counts, by generation, the executions that did work: the guest prints once it has claimed the build.
	works   map[string]int
	workers []*worker
	// guests end the containers that run.
	guests []context.CancelCauseFunc
}

// newRegion returns one whose workers wait long for each answer: a machine that is busy must not look like one that is lost.
func newRegion(l *ledger, sandboxd string) (*region, error) {
	dir, err := os.MkdirTemp("", "region-") // one for each of hundreds of cases, removed with it
	if err != nil {
		return nil, err
	}
	r := &region{
		ledger: l, dir: dir, works: map[string]int{}, trouble: &trouble{}, callTimeout: 20 * time.Second, deleteWait: time.Second,
		previews: cloudrunsandbox.Services,
	}
	o := cloudrunfake.Options{Dir: dir, Grace: 5 * time.Second, StartLatency: 30 * time.Millisecond, Programs: map[string]string{"sandbox": sandboxd}}
	if sandboxd == "" {
		o.Run = r.container
	}
	if r.storage, err = cloudrunfake.NewStorage(dir); err != nil {
		return nil, err
	}
	if r.Server, err = cloudrunfake.New(o); err != nil {
		return nil, err
	}
	return r, r.Job("vibesdk-sandbox-job", "sandbox")
}

func (r *region) close() error {
	return errors.Join(r.Server.Close(), r.storage.Close(), os.RemoveAll(r.dir))
}

// container is the guest as a function: the same code as sandboxd.
func (r *region) container(ctx context.Context, c cloudrunfake.Container) int {
	ctx, kill := context.WithCancelCause(ctx)
	defer kill(nil)
	r.mu.Lock()
	r.guests = append(r.guests, kill)
	r.mu.Unlock()
	host := guest.Host{Dir: c.Dir, Owner: c.Env["CLOUD_RUN_EXECUTION"]}
	fmt.Sscan(c.Env["PORT"], &host.Port)
	task, err := guest.LoadTask(ctx, c.Env["SANDBOX_TASK"], host)
	if err != nil {
		return 2
	}
	if c.Args[0] == "serve" {
		if guest.Serve(ctx, task, io.Discard) != nil {
			return 1
		}
		return 0
	}
	err = guest.Build(ctx, task, &workMark{r: r, ref: task.Ref})
	if err != nil && !errors.Is(err, guest.ErrClaimed) && !errors.Is(err, guest.ErrDeleted) {
		return 1
	}
	return 0
}

// workMark is a log that counts its execution as one that works.
type workMark struct {
	r    *region
	ref  sandbox.Ref
	once sync.Once
}

func (w *workMark) Write(p []byte) (int, error) {
	w.once.Do(func() {
		w.r.mu.Lock()
		defer w.r.mu.Unlock()
		w.r.works[w.ref.String()]++
	})
	return len(p), nil
}

// killGuests ends every container that runs, as the loss of its machine does.
func (r *region) killGuests() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, kill := range r.guests {
		kill(errors.New("its machine is lost"))
	}
	r.guests = nil
}

// worker is a process that handles messages, until it is killed.
type worker struct {
	*sandboxrunner.Runner
	driver *cloudrunsandbox.Driver
	alive  context.Context
	kill   context.CancelFunc
}

func (r *region) worker(ctx context.Context) (*worker, error) {
	w := &worker{}
	w.alive, w.kill = context.WithCancel(ctx)
	driver, err := cloudrunsandbox.New(ctx, cloudrunsandbox.Options{
		Project: "fake-project", Location: "local1", Image: "sandbox", ServiceAccount: "nobody", ListenHost: "127.0.0.1",
		Store: troubledStore{cloudrunsandbox.NewStore(r.storage.Bucket), r.trouble}, HTTPClient: &http.Client{Transport: r.trouble},
		ReadsPerSecond: 10_000, WritesPerSecond: 10_000, CallTimeout: r.callTimeout, RetryFor: 600 * time.Millisecond,
		PollEvery: 5 * time.Millisecond, DeleteWait: r.deleteWait, ClientOptions: r.ClientOptions(), Previews: r.previews,
		Now: func() time.Time { return time.Now().Add(r.ahead) }, Logger: slog.New(slog.DiscardHandler),
		BaseEnv: map[string]string{"PATH": "/usr/bin:/bin"},
	})
	if err != nil {
		return nil, err
	}
	w.driver = driver
	w.Runner = sandboxrunner.New(sandboxrunner.Options{
		Records: r.ledger.records, Routes: r.ledger.routes, Runtime: sandbox.NewRuntime(driver, sandbox.RuntimeOptions{}),
		Target: deployment.TargetCloudRun, Logger: slog.New(slog.DiscardHandler),
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.workers = append(r.workers, w)
	return w, nil
}

// deliver delivers a message until it is done. When the worker that has it is killed, another one gets the message.
func (r *region) deliver(ctx context.Context, m events.Message) error {
	var w *worker
	defer func() {
		if w != nil {
			_ = w.driver.Close()
		}
	}()
	parked, err := workertest.Deliver(ctx, func(ctx context.Context, m events.Message) (err error) {
		if w == nil {
			if w, err = r.worker(context.WithoutCancel(ctx)); err != nil {
				return err
			}
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(w.alive, cancel)()
		err = w.Handle(ctx, m)
		if w.alive.Err() != nil {
			err = errors.Join(errors.New("the worker was killed"), w.driver.Close())
			w = nil
		}
		return err
	}, m)
	return errors.Join(parked, err)
}

// killWorkers ends every worker that there is.
func (r *region) killWorkers() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.workers {
		w.kill()
	}
	r.workers = nil
}

// sweep is one sweep of the janitor for orphans, which asks others through to.
func (r *region) sweep(ctx context.Context, to events.Publisher) error {
	w, err := r.worker(ctx)
	if err != nil {
		return err
	}
	defer w.driver.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.alive, cancel)()
	return janitor.New(janitor.Options{
		Records: r.ledger.records, Routes: r.ledger.routes, Runtime: sandbox.NewRuntime(w.driver, sandbox.RuntimeOptions{}),
		Publisher: to, Logger: slog.New(slog.DiscardHandler),
	}).Handle(ctx, events.Message{ID: "tick", Data: []byte(`{"kind":"ORPHANED_SANDBOXES"}`)})
}

// outbox is a publisher that keeps what is sent.
type outbox struct{ sent []events.Message }

func (o *outbox) Publish(_ context.Context, _ events.Topic, msgs ...events.Message) error {
	o.sent = append(o.sent, msgs...)
	return nil
}

// left lists what there is of sandboxes in this region, but for graves.
func (r *region) left(ctx context.Context) ([]string, error) {
	var left []string
	for _, e := range r.Executions() {
		left = append(left, e.GetName())
	}
	for _, v := range r.Services() {
		left = append(left, v.GetName())
	}
	for _, v := range r.Instances() {
		left = append(left, v.GetName())
	}
	keys, err := cloudrunsandbox.NewStore(r.storage.Bucket).List(ctx, "")
	for _, key := range keys {
		if !strings.HasPrefix(key, "graves/") {
			left = append(left, key)
		}
	}
	return left, err
}

func (r *region) worked() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	works := map[string]int{}
	for ref, n := range r.works {
		works[ref] = n
	}
	return works
}

// trouble lets one call of the store, or the question to a preview, go wrong.
type trouble struct {
	mu     sync.Mutex
	seen   []string
	call   string
	kind   cloudrunfake.FaultKind
	then   func()
	struck bool
}

func (tr *trouble) inject(call string, kind cloudrunfake.FaultKind, then func()) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.call, tr.kind, tr.then = call, kind, then
}

func (tr *trouble) did() bool {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.struck
}

// calls lists the kinds of calls that were made, in order of their first.
func (tr *trouble) calls() []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return slices.Clone(tr.seen)
}

var errTrouble = errors.New("injected")

// around makes a call, with trouble the first time that it is the one meant.
func (tr *trouble) around(ctx context.Context, call string, do func() error) error {
	if ctx.Err() != nil { // a dead process does nothing
		return ctx.Err()
	}
	tr.mu.Lock()
	if !slices.Contains(tr.seen, call) {
		tr.seen = append(tr.seen, call)
	}
	strikes := tr.call == call && !tr.struck
	tr.struck = tr.struck || strikes
	kind, then := tr.kind, tr.then
	tr.mu.Unlock()
	if !strikes {
		return do()
	}
	if kind == cloudrunfake.Before {
		then()
		return errTrouble
	}
	err := do()
	then()
	if kind == cloudrunfake.Lost {
		<-ctx.Done()
		return ctx.Err()
	}
	return errors.Join(errTrouble, err)
}

// RoundTrip implements http.RoundTripper.
func (tr *trouble) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	err = tr.around(req.Context(), "ask the preview", func() (err error) {
		resp, err = http.DefaultTransport.RoundTrip(req)
		return err
	})
	if err != nil && resp != nil {
		resp.Body.Close()
		resp = nil
	}
	return resp, err
}

// troubledStore is a store with trouble. A call is named after the method and the last part of the key, but for those that come
// in rows of alike: signatures, and the removal of all but the last object.
type troubledStore struct {
	cloudrunsandbox.Store
	tr *trouble
}

func callName(method, key string) string {
	if strings.HasPrefix(key, "graves/") {
		return method + " grave"
	}
	if strings.HasSuffix(key, "/") {
		return method + " " + []string{"all", "sandbox", "generation", "generation"}[min(strings.Count(key, "/")-1, 3)]
	}
	name := key[strings.LastIndexByte(key, '/')+1:]
	if method == "sign" || method == "delete" && name != "build.task.json" {
		name, _, _ = strings.Cut(name, ".")
		name = "an object of the " + map[bool]string{true: "preview", false: "build"}[name == "serve"]
	}
	return method + " " + name
}

func (s troubledStore) Get(ctx context.Context, key string) (body []byte, err error) {
	err = s.tr.around(ctx, callName("get", key), func() (err error) { body, err = s.Store.Get(ctx, key); return err })
	return body, err
}

func (s troubledStore) Put(ctx context.Context, key string, body []byte) error {
	return s.tr.around(ctx, callName("put", key), func() error { return s.Store.Put(ctx, key, body) })
}

func (s troubledStore) Create(ctx context.Context, key string, body []byte) (created bool, err error) {
	err = s.tr.around(ctx, callName("create", key), func() (err error) { created, err = s.Store.Create(ctx, key, body); return err })
	return created, err
}

func (s troubledStore) Delete(ctx context.Context, key string) error {
	return s.tr.around(ctx, callName("delete", key), func() error { return s.Store.Delete(ctx, key) })
}

func (s troubledStore) List(ctx context.Context, prefix string) (keys []string, err error) {
	err = s.tr.around(ctx, callName("list", prefix), func() (err error) { keys, err = s.Store.List(ctx, prefix); return err })
	return keys, err
}

func (s troubledStore) Sign(ctx context.Context, method, key string, onlyNew bool, ttl time.Duration) (address string, err error) {
	err = s.tr.around(ctx, callName("sign", key), func() (err error) { address, err = s.Store.Sign(ctx, method, key, onlyNew, ttl); return err })
	return address, err
}
