package processsandbox_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/sandbox/processsandbox"
	"vibesdk-gcp/platform/sandbox/sandboxtest"
)

// The test binary plays other programs when it is told to by this variable.
const roleVar = "TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVar) {
	case "devserver":
		playDevServer()
	case "owner":
		playOwner(os.Args[1])
	case "remover":
		os.Exit(playRemover(os.Args[1]))
	default:
		os.Exit(testenv.Main(m))
	}
}

func playDevServer() {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello from dev") })
	fmt.Fprintln(os.Stderr, http.ListenAndServe(net.JoinHostPort(os.Getenv("HOST"), os.Getenv("PORT")), handler))
	os.Exit(1)
}

// playOwner is a program that owns a folder until it is killed. Each line of its input is a task to build; it
// answers once Build has returned.
func playOwner(dir string) {
	d, err := processsandbox.New(context.Background(), options(dir, os.Getenv("SANDBOXD")))
	if err != nil {
		panic(err)
	}
	in := bufio.NewReader(os.Stdin)
	for decoder := json.NewDecoder(in); ; {
		var task sandbox.Task
		if decoder.Decode(&task) != nil {
			return // killed, or nobody is there any more
		}
		err := d.Build(context.Background(), task)
		if task.Spec.Dev != "" {
			for err == nil && d.Serve(context.Background(), task) != nil {
				err = d.Await(context.Background(), task.Ref, sandbox.Status{Build: sandbox.Running})
			}
		}
		fmt.Println("triggered", err)
	}
}

// sandboxd is the guest program.
func sandboxd(tb testing.TB) string {
	tb.Helper()
	return testenv.Program(tb, "sandboxd", "")
}

func options(dir, sandboxd string) processsandbox.Options {
	return processsandbox.Options{
		Dir: dir, Sandboxd: sandboxd, StartTimeout: 30 * time.Second, Builds: 4,
		BaseEnv: map[string]string{"PATH": os.Getenv("PATH"), "LANG": "C.UTF-8"},
	}
}

func newDriver(tb testing.TB, o processsandbox.Options) *processsandbox.Driver {
	tb.Helper()
	d, err := processsandbox.New(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { closeDriver(tb, d) })
	return d
}

func closeDriver(tb testing.TB, d *processsandbox.Driver) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := d.Close(ctx); err != nil {
		tb.Error(err)
	}
}

// alive reports whether a process exists and is not a zombie.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		_, noProc := os.Stat("/proc/self/stat")
		return noProc != nil
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

func TestConformance(t *testing.T) {
	t.Parallel()
	program := sandboxd(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	sandboxtest.RunRuntime(t, func(t *testing.T) sandbox.RuntimeDriver {
		return newDriver(t, options(t.TempDir(), program))
	}, sandboxtest.RuntimeFeatures{
		Alive: alive, Daemons: runtime.GOOS == "linux",
		Dev: "exec " + self, DevEnv: map[string]string{roleVar: "devserver"},
	})
}

// needsMarks skips what only marks in the environment of processes can do.
func needsMarks(tb testing.TB) {
	tb.Helper()
	if runtime.GOOS != "linux" {
		tb.Skip("processes of " + runtime.GOOS + " do not show their environment")
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
