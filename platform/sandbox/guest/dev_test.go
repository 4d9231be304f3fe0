//go:build unix

package guest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

const asFragile = "GUEST_TEST_FRAGILE"

func TestMain(m *testing.M) {
	if os.Getenv(asFragile) != "" {
		// A development server that ends after its first answer, once that was noticed: the file that is named exists then.
		answered := make(chan struct{})
		var once sync.Once
		server := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), ReadHeaderTimeout: time.Second}
		server.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "once")
			once.Do(func() { close(answered) }) // it may be asked again while it waits
		})
		go func() { _ = server.ListenAndServe() }()
		<-answered
		for _, err := os.Stat(os.Getenv(asFragile)); err != nil; _, err = os.Stat(os.Getenv(asFragile)) {
			time.Sleep(time.Millisecond)
		}
		_ = server.Shutdown(context.Background())
		os.Exit(4)
	}
	os.Exit(m.Run())
}

// A server that keeps ending uses its restarts up, and the reason tells how it ended.
func TestDevServerGivesUp(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	task := testTask("sbx-fragile")
	task.Dir = t.TempDir()
	noticed := filepath.Join(t.TempDir(), "noticed")
	task.Spec = sandbox.Spec{Dev: `exec "$SELF"`, Env: map[string]string{"SELF": self, asFragile: noticed}}
	if err := prepareFolders(task.Dir, false); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	status := newStatusFile(filepath.Join(task.Dir, "status.json"), sandbox.PhaseServe)
	d := newDevServer(task, newProcesses(status), newPhaseLog(&out, task, 1<<20))
	d.budget.unit = time.Microsecond
	readies := 0
	err = d.run(t.Context(), func() {
		readies++
		if err := os.WriteFile(noticed, nil, 0o600); err != nil {
			t.Error(err)
		}
	})
	want := "development server kept ending: 6 restarts within 5m0s; last: development server exited with status 4"
	if bad, ok := errors.AsType[*BrokenError](err); !ok || bad.Reason != want {
		t.Errorf("error %v, want %q", err, want)
	}
	if readies != 1 || d.restarts() != restartLimit || d.healthy() {
		t.Errorf("ready %d times, %d restarts, healthy %v", readies, d.restarts(), d.healthy())
	}
	if groups := readStatus(status.path).Groups; len(groups) != 0 {
		t.Errorf("groups %v are recorded though all are gone", groups)
	}
}

func TestProxyWithoutServer(t *testing.T) {
	t.Parallel()
	log := newPhaseLog(io.Discard, testTask("sbx-proxy"), 1<<10)
	w := ask(newProxy(func(context.Context) (string, error) { return "", errNotAnswering }, log), "GET", "/")
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "is starting") {
		t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
	}
}

// A request that meets no server is sent again, body and all, when there is one.
func TestProxyRetriesDial(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	defer upstream.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	asked := 0
	log := newPhaseLog(io.Discard, testTask("sbx-proxy"), 1<<10)
	front := httptest.NewServer(newProxy(func(context.Context) (string, error) {
		if asked++; asked < 3 {
			return strings.TrimPrefix(gone.URL, "http://"), nil
		}
		return strings.TrimPrefix(upstream.URL, "http://"), nil
	}, log))
	defer front.Close()
	resp, err := http.Post(front.URL, "text/plain", strings.NewReader("the body"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "the body" || asked != 3 {
		t.Errorf("%s %q, %v after %d attempts", resp.Status, body, err, asked)
	}
}

func BenchmarkProxy(b *testing.B) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 1024))
	}))
	defer upstream.Close()
	target, err := url.Parse(upstream.URL)
	if err != nil {
		b.Fatal(err)
	}
	bare := httputil.NewSingleHostReverseProxy(target)
	bare.Transport = &http.Transport{MaxIdleConnsPerHost: 128}
	log := newPhaseLog(io.Discard, testTask("sbx-proxy"), 1<<10)
	for name, h := range map[string]http.Handler{
		"sandboxd":              newProxy(func(context.Context) (string, error) { return target.Host, nil }, log),
		"httputil.ReverseProxy": bare,
	} {
		b.Run(name, func(b *testing.B) { benchmarkHandler(b, h) })
	}
}
