package router_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/deployment/sqldeployment"
	"vibesdk-gcp/router"
	"vibesdk-gcp/schemas"
)

const (
	sandboxID = "sbx-abcdefgh23456723"
	token     = "aaaabbbbccccdddd"
	otherKey  = "aaaabbbbccccddde"
)

// world is a router over a real table on SQLite, with one published preview and one app whose upstream is under
// the test's control.
type world struct {
	t        *testing.T
	table    *deployment.Table
	router   *router.Router
	front    *httptest.Server
	upstream *httptest.Server
	activity *touches
	clock    *clock
	log      *buffer
	lane     *router.Lane // nil in a run without one
	serving  serving
}

// newWorld changes may adjust the options before the router is made.
func newWorld(t *testing.T, app http.HandlerFunc, changes ...func(*router.Options)) *world {
	t.Helper()
	w := &world{t: t, activity: &touches{}, clock: &clock{now: time.Unix(1_800_000_000, 0)}, log: &buffer{}}
	db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "router.db"), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), schemas.SQL()); err != nil {
		t.Fatal(err)
	}
	// Upstreams are on this machine, also those that stand for services elsewhere.
	here := deployment.Endpoints{Hosts: []string{"127.0.0.1", "*.run.app"}}
	w.table = deployment.NewTable(sqldeployment.New(db), deployment.Options{Endpoints: here})
	t.Cleanup(func() { _ = w.table.Close() })

	o := router.Options{
		Domain: "localhost", PreviewDomain: "preview.localhost", Lookup: w.table, Activity: w.activity,
		Endpoints: here, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Logger: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Now: w.clock.Now,
	}
	for _, change := range changes {
		change(&o)
	}
	if w.router, err = router.New(o); err != nil {
		t.Fatal(err)
	}
	w.upstream = httptest.NewServer(app)
	t.Cleanup(w.upstream.Close)
	w.front = w.server(w.router, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.serving.Add(1)
		defer w.serving.Done()
		w.router.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.front.Close)
	t.Cleanup(func() { _ = w.router.Close() })
	w.publish(1, w.upstreamHost())
	w.deploy("shop", deployment.TargetProcess, w.upstreamHost())
	return w
}

// serve puts another router behind the front server.
func (w *world) serve(o router.Options) {
	w.t.Helper()
	rt, err := router.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.front = w.server(rt, rt)
	w.t.Cleanup(w.front.Close)
	w.t.Cleanup(func() { _ = rt.Close() })
}

// withoutLane is set in the run that tests the router without its fast lane; see TestWithoutLane.
const withoutLane = "ROUTER_TESTS_WITHOUT_LANE"

// server serves a handler as a program does: with the router's lane before it.
func (w *world) server(rt *router.Router, h http.Handler) *httptest.Server {
	front := httptest.NewUnstartedServer(h)
	if os.Getenv(withoutLane) == "" {
		w.lane = rt.Lane(front.Listener)
		w.serving.lane = w.lane
		front.Listener = w.lane
	}
	front.Start()
	return front
}

// TestWithoutLane runs all these tests once more, with net/http alone: whoever answers, the answer is the same.
func TestWithoutLane(t *testing.T) {
	t.Parallel()
	if os.Getenv(withoutLane) != "" {
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.short="+fmt.Sprint(testing.Short()), "-test.timeout=5m")
	cmd.Env = append(os.Environ(), withoutLane+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// serving counts the requests that the router has in hand; httptest does not count hijacked ones.
type serving struct {
	sync.WaitGroup
	lane *router.Lane
}

func (s *serving) Wait() {
	s.WaitGroup.Wait()
	for s.lane != nil && !s.lane.Idle() {
		time.Sleep(time.Millisecond)
	}
}

func (w *world) upstreamHost() string { return strings.TrimPrefix(w.upstream.URL, "http://") }

func (w *world) publish(fence int64, endpoint string) {
	w.t.Helper()
	p := deployment.Preview{SandboxID: sandboxID, Token: token, Fence: fence, Endpoint: endpoint}
	if err := w.table.PutPreview(w.t.Context(), p); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) deploy(name string, target deployment.Target, endpoint string) {
	w.t.Helper()
	w.put(deployment.App{Name: name, Place: deployment.Place{Target: target, Endpoint: endpoint}})
}

func (w *world) put(a deployment.App) {
	w.t.Helper()
	if _, err := w.table.PutApp(w.t.Context(), a, deployment.Write{By: "test"}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) previewHost() string { return sandboxID + "-" + token + ".preview.localhost" }

// request is one to the front server under a Host of ours.
func (w *world) request(method, host, target string, body io.Reader) *http.Request {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.front.URL+target, body)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Host = host
	return r
}

// do sends without following redirects or decompressing.
func (w *world) do(r *http.Request) *http.Response {
	w.t.Helper()
	res, err := (&http.Transport{DisableCompression: true, DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func (w *world) get(host, target string) *http.Response {
	w.t.Helper()
	return w.do(w.request(http.MethodGet, host, target, nil))
}

func bodyOf(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func wantAnswer(t *testing.T, res *http.Response, status int, body string) {
	t.Helper()
	if got := bodyOf(t, res); res.StatusCode != status || got != body {
		t.Errorf("got %d %q, want %d %q", res.StatusCode, got, status, body)
	}
}

// wantBare checks that an answer says nothing about what is behind the router.
func wantBare(t *testing.T, res *http.Response) {
	t.Helper()
	for name := range res.Header {
		if strings.HasPrefix(name, "Access-Control-") || name == "X-Preview-Type" || name == "Vary" {
			t.Errorf("unexpected header %s: %s", name, res.Header[name])
		}
	}
}

// await fails the test if the channel gives nothing.
func await[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// touches records activity.
type touches struct {
	mu sync.Mutex
	at []time.Time
	id []string
}

func (a *touches) Touch(id string, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.id, a.at = append(a.id, id), append(a.at, at)
}

func (a *touches) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.at)
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
