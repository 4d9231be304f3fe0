package app_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/client"
	"vibesdk-gcp/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// goCache is this machine's build cache: with one of its own the example would compile the standard library.
var goCache = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	return strings.TrimSpace(string(out)), err
})

// config is the configuration of a program that uses only this test's folder and a free port.
func config(t testing.TB) app.Config {
	t.Helper()
	cache, err := goCache()
	if err != nil {
		t.Fatal(err)
	}
	c, err := app.ReadConfig(func(name string) (string, bool) {
		v, ok := map[string]string{
			"LISTEN": "127.0.0.1:0", "DATA_DIR": t.TempDir(), "SANDBOXD": testenv.Program(t, "sandboxd", ""),
			"PATH": os.Getenv("PATH"), "GOCACHE": cache, "SANDBOX_PASS_ENV": "GOCACHE",
			"LIMIT_TIMEOUT": patient.String(),
		}[name]
		return v, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// filesIn writes files into a folder and returns their paths.
func filesIn(t testing.TB, dir string) func(name, text string) string {
	return func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
}

// logTo writes log lines to the test's log until the test ends.
type logTo struct {
	mu   sync.Mutex
	t    testing.TB
	done bool
}

func (l *logTo) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.done {
		l.t.Log(strings.TrimSuffix(string(p), "\n"))
	}
	return len(p), nil
}

func logger(t testing.TB) *slog.Logger {
	if _, bench := t.(*testing.B); bench {
		return slog.New(slog.DiscardHandler)
	}
	to := &logTo{t: t}
	t.Cleanup(func() { to.mu.Lock(); defer to.mu.Unlock(); to.done = true })
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// world is a running program and a client of it.
type world struct {
	*app.App

	config app.Config
	client *client.Client
	stop   func()
}

func start(t testing.TB, c app.Config, roles ...app.Role) *world {
	t.Helper()
	if roles == nil {
		roles = app.AllRoles()
	}
	a, err := app.Start(t.Context(), c, roles, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{App: a, config: c}
	w.stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := a.Stop(ctx); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	t.Cleanup(w.stop)
	if a.Addr() == "" {
		return w // no role with a door
	}
	if w.client, err = client.New("http://"+a.Addr(), client.Options{APIKey: c.Auth.Key}); err != nil {
		t.Fatal(err)
	}
	return w
}

// within bounds a wait by the test's own deadline, and by two minutes.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// get asks for a preview through the front door, with the host that a browser would send.
func (w *world) get(t testing.TB, preview, path string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), http.MethodGet, "http://"+w.Addr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = strings.TrimSuffix(strings.TrimPrefix(preview, "http://"), "/")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

// static is a small site that needs no build.
func static(requestID string) client.RunRequest {
	return client.RunRequest{
		RequestID: requestID, ProjectName: "demo", StaticDir: ".",
		Source: client.Source{Files: []client.File{{Path: "index.html", Content: "<h1>demo</h1>"}}},
	}
}

// run runs a request until it is ready or has ended.
func (w *world) run(t testing.TB, request client.RunRequest) client.Sandbox {
	t.Helper()
	accepted, err := w.client.Sandboxes().Run(within(t), request)
	if err != nil {
		t.Fatal(err)
	}
	last, err := w.client.Sandboxes().Follow(within(t), accepted.ID, client.Progress{})
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// end stops a sandbox and waits until it is gone.
func (w *world) end(t testing.TB, id string) client.Sandbox {
	t.Helper()
	if _, err := w.client.Sandboxes().Stop(within(t), id); err != nil {
		t.Fatal(err)
	}
	var last client.Sandbox
	for s, err := range w.client.Sandboxes().Watch(within(t), id) {
		if err != nil {
			t.Fatal(err)
		}
		last = s
	}
	return last
}
