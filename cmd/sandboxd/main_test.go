//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

// patience bounds waits for facts that come about by themselves.
const patience = 2 * time.Minute

// The test binary is also the program under test and the development servers of the apps it serves.
const (
	asSandboxd = "SANDBOXD_TEST_PROGRAM"
	asDev      = "SANDBOXD_TEST_DEV"
)

func TestMain(m *testing.M) {
	if os.Getenv(asSandboxd) != "" {
		main()
	}
	if kind := os.Getenv(asDev); kind != "" {
		os.Exit(devServer(kind))
	}
	os.Exit(m.Run())
}

// rig is a task and a folder to run sandboxd on.
type rig struct {
	t    *testing.T
	task sandbox.GuestTask
	dir  string
	runs int
}

func newRig(t *testing.T, spec sandbox.Spec) *rig {
	t.Helper()
	dir := t.TempDir()
	id := "sbx-" + strings.ToLower(strings.NewReplacer("/", "-", "_", "-", "#", "-", ".", "-").Replace(t.Name()))
	g := &rig{t: t, dir: dir}
	if len(spec.Source.Files) == 0 && spec.Source.ArchiveURI == "" {
		spec.Source.Files = []sandbox.File{{Path: "index.html", Data: []byte("<h1>hello</h1>")}}
	}
	if spec.Dev == "" && spec.StaticDir == "" {
		spec.StaticDir = "."
	}
	g.task = sandbox.GuestTask{
		Task: sandbox.Task{
			Ref:          sandbox.Ref{ID: fmt.Sprintf("%.40s-%d", id, os.Getpid()), Fence: 1},
			Spec:         spec,
			ControlToken: sandbox.NewControlToken(),
		},
		Dir:          filepath.Join(dir, "work"),
		Listen:       "127.0.0.1:0",
		BaseEnv:      map[string]string{"PATH": os.Getenv("PATH")},
		StartTimeout: patience,
	}
	t.Cleanup(func() {
		if left := g.marked(); len(left) > 0 {
			t.Errorf("processes left behind: %v", left)
			for _, pid := range left {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
	return g
}

// devEnv makes the dev command `exec "$PROGRAM"` a development server of the given kind.
func devEnv(t *testing.T, kind string) map[string]string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"PROGRAM": self, asDev: kind}
}

// program is one run of sandboxd.
type program struct {
	t        *testing.T
	cmd      *exec.Cmd
	out      *lines
	lifeline *os.File
	status   string
	ended    chan struct{}
}

// start starts a phase with nothing in its environment but what makes this binary sandboxd.
func (g *rig) start(phase sandbox.Phase) *program {
	g.t.Helper()
	self, err := os.Executable()
	if err != nil {
		g.t.Fatal(err)
	}
	g.task.StatusFile = filepath.Join(g.dir, string(phase)+".json")
	body, err := json.Marshal(g.task)
	if err != nil {
		g.t.Fatal(err)
	}
	g.runs++
	file := filepath.Join(g.dir, fmt.Sprintf("%s-task-%d.json", phase, g.runs))
	if err := os.WriteFile(file, body, 0o600); err != nil {
		g.t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		g.t.Fatal(err)
	}
	defer r.Close()
	p := &program{t: g.t, out: newLines(), lifeline: w, status: g.task.StatusFile, ended: make(chan struct{})}
	p.cmd = exec.Command(self, string(phase), "--task", file, "--lifeline-fd", "3")
	p.cmd.Env = []string{asSandboxd + "=1", "PLATFORM_SECRET=must-not-be-seen", "GORACE=atexit_sleep_ms=0"}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.ExtraFiles = []*os.File{r}
	p.cmd.WaitDelay = patience
	if err := p.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	g.t.Cleanup(func() {
		w.Close()
		select {
		case <-p.ended:
		case <-time.After(patience):
			_ = p.cmd.Process.Kill()
			g.t.Errorf("sandboxd %s did not end", phase)
		}
		if g.t.Failed() {
			g.t.Logf("sandboxd %s printed:\n%s", phase, p.out)
		}
	})
	return p
}

// wait returns the exit status.
func (p *program) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("sandboxd did not end within %s; it printed:\n%s", patience, p.out)
		return -1
	}
}

func (p *program) report() sandbox.GuestStatus {
	p.t.Helper()
	var s sandbox.GuestStatus
	body, err := os.ReadFile(p.status)
	if err == nil {
		err = json.Unmarshal(body, &s)
	}
	if err != nil && !os.IsNotExist(err) {
		p.t.Fatal(err)
	}
	return s
}

// build runs a build that must succeed.
func (g *rig) build() {
	g.t.Helper()
	p := g.start(sandbox.PhaseBuild)
	if code := p.wait(); code != 0 {
		g.t.Fatalf("build ended with %d:\n%s", code, p.out)
	}
}

// serve starts a preview and returns when it answers.
func (g *rig) serve() (*program, string) {
	g.t.Helper()
	p := g.start(sandbox.PhaseServe)
	p.until("it answers", func() bool {
		select {
		case <-p.ended:
			p.t.Fatalf("serve ended: %+v\n%s", p.report(), p.out)
		default:
		}
		return p.report().Progress == sandbox.Done
	})
	return p, p.report().Endpoint
}

func (g *rig) control(endpoint string) *sandbox.Control {
	return sandbox.NewControl(endpoint, g.task.ControlToken, nil)
}

func (p *program) until(what string, so func() bool) {
	p.t.Helper()
	eventually(p.t, what, so)
}

func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s in vain until %s", patience, what)
		}
	}
}

// marked returns the processes that carry the rig's SANDBOX_REF, dead ones excluded. Only Linux tells.
func (g *rig) marked() []int {
	if runtime.GOOS != "linux" {
		return nil
	}
	mark := []byte("SANDBOX_REF=" + g.task.Ref.String() + "\x00")
	names, _ := filepath.Glob("/proc/[0-9]*/environ")
	var pids []int
	for _, name := range names {
		env, err := os.ReadFile(name)
		if err == nil && bytes.Contains(append(env, 0), mark) {
			var pid int
			if _, err := fmt.Sscanf(name, "/proc/%d/environ", &pid); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// lines collects output and lets tests wait for it.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func newLines() *lines { return &lines{} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *lines) has(s string) bool { return strings.Contains(l.String(), s) }

func get(t *testing.T, url string, header ...string) (int, string, http.Header) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body.String(), resp.Header
}
