package testenv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// outcome is a testing.TB that records how the test was stopped.
type outcome struct {
	testing.TB
	skipped, failed string
}

func (o *outcome) Helper()      {}
func (o *outcome) Name() string { return "TestSomething" }
func (o *outcome) Skipf(format string, args ...any) {
	o.skipped = fmt.Sprintf(format, args...)
}
func (o *outcome) Fatalf(format string, args ...any) {
	o.failed = fmt.Sprintf(format, args...)
}

func TestRequire(t *testing.T) {
	missing := fmt.Errorf("%w: install it", errMissing)
	for _, tt := range []struct {
		name         string
		err          error
		required     string
		skip, fail   string
		notedInSkips string
	}{
		{name: "found"},
		{name: "missing", err: missing, skip: "Thing: not found: install it",
			notedInSkips: "Thing: not found: install it (vibesdk-gcp/internal/testenv TestSomething)\n"},
		{name: "missing but required", err: missing, required: "1", fail: "Thing: not found: install it"},
		{name: "broken", err: errors.New("exited at start"), fail: "Thing: exited at start"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			skips := filepath.Join(t.TempDir(), "skips")
			t.Setenv("TESTENV_SKIPS", skips)
			t.Setenv("REQUIRE_BACKENDS", tt.required)
			got := &outcome{TB: t}
			require(got, "Thing", tt.err)
			if got.skipped != tt.skip || got.failed != tt.fail {
				t.Errorf("skipped %q, failed %q; want %q, %q", got.skipped, got.failed, tt.skip, tt.fail)
			}
			noted, err := os.ReadFile(skips)
			if err != nil && tt.notedInSkips != "" {
				t.Fatal(err)
			}
			if string(noted) != tt.notedInSkips {
				t.Errorf("noted %q, want %q", noted, tt.notedInSkips)
			}
		})
	}
}

func TestStartOwnedReportsWhatTheServerSaid(t *testing.T) {
	dir := t.TempDir()
	server, err := startOwned(dir, nil, "KILL", "/bin/sh", "-c", "echo the port is taken; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	err = server.await(startTimeout, func() bool { return false })
	if err == nil || !strings.Contains(err.Error(), "exited at start: the port is taken") {
		t.Errorf("await: %v, want what the server printed", err)
	}
	if err := server.stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder after stop: %v, want it gone", err)
	}
}

func TestOwnedServerNeedsNoGoroutine(t *testing.T) {
	before := goleak.IgnoreCurrent()
	server, err := startOwned(t.TempDir(), nil, "TERM", "/bin/sh", "-c", "echo up; exec sleep 1000")
	if err != nil {
		t.Fatal(err)
	}
	if err := server.await(startTimeout, func() bool { return strings.Contains(server.log(), "up") }); err != nil {
		t.Error(err)
	}
	if err := goleak.Find(before); err != nil {
		t.Errorf("while the server runs: %v", err)
	}
	if err := server.await(30*time.Millisecond, func() bool { return false }); err == nil || !strings.Contains(err.Error(), "not ready after 30ms: up") {
		t.Errorf("await: %v, want a timeout with the log", err)
	}
	if err := server.stop(); err != nil {
		t.Error(err)
	}
}

// TestServerSurvivesGarbageCollection drops the only reference that a caller has, as the providers do.
func TestServerSurvivesGarbageCollection(t *testing.T) {
	dir := t.TempDir()
	if _, err := startOwned(dir, nil, "TERM", "/bin/sh", "-c", "echo $$ up; exec sleep 1000"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		runtime.GC()
	}
	var server *owned
	started.Range(func(key, _ any) bool {
		if found := key.(*owned); found.dir == dir {
			server = found
		}
		return server == nil
	})
	if server == nil {
		t.Fatal("the server is not kept")
	}
	if _, err := server.pipe.Stat(); err != nil {
		t.Errorf("the owner's end of the pipe: %v", err)
	}
	if err := server.stop(); err != nil {
		t.Error(err)
	}
}

func TestNewestFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, version := range []string{"9.6", "16", "15"} {
		if err := os.MkdirAll(filepath.Join(dir, version, "bin"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, found := range newestFirst(filepath.Join(dir, "*", "bin")) {
		got = append(got, filepath.Base(filepath.Dir(found)))
	}
	if want := "16 15 9.6"; strings.Join(got, " ") != want {
		t.Errorf("newestFirst: %v, want %s", got, want)
	}
}
