//go:build unix

package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/platform/sandbox"
)

// A command sees exactly what the package comment of guest promises: nothing of sandboxd's own environment.
func TestBuildEnvironment(t *testing.T) {
	t.Parallel()
	g := newRig(t, sandbox.Spec{
		ProjectName: "shop",
		Build:       "cat /proc/self/environ 2>/dev/null | tr '\\0' '\\n' > env.txt; test -s env.txt || env > env.txt",
		Env:         map[string]string{"APP_KEY": "value of the app", "CI": "false", "HOME": "/elsewhere"},
	})
	g.task.BaseEnv["LANG"] = "C.UTF-8"
	g.build()
	body, err := os.ReadFile(filepath.Join(g.task.Dir, "app", "env.txt"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for line := range strings.Lines(string(body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "PWD", "_", "SHLVL", "OLDPWD": // the shell's own
		default:
			got[name] = value
		}
	}
	want := map[string]string{
		"PATH": os.Getenv("PATH"), "LANG": "C.UTF-8",
		"APP_KEY": "value of the app", "CI": "false",
		"HOME": filepath.Join(g.task.Dir, "home"), "TMPDIR": filepath.Join(g.task.Dir, "tmp"),
		"SANDBOX_PROJECT": "shop", "SANDBOX_REF": g.task.Ref.String(),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

func TestBuildFailures(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		spec   sandbox.Spec
		reason string
		tail   string
	}{
		{name: "build fails", spec: sandbox.Spec{Build: "echo compiling; echo 'no such type' >&2; exit 2"}, reason: "build command exited with status 2", tail: "] [stderr] no such type"},
		{name: "install fails", spec: sandbox.Spec{Install: "exit 1", Build: "echo never"}, reason: "install command exited with status 1"},
		{name: "no such program", spec: sandbox.Spec{Install: "no-such-npm install"}, reason: "install command failed: no-such-npm: command not found — exit 127"},
		{name: "killed", spec: sandbox.Spec{Build: "kill -9 $$"}, reason: "build command was ended by signal: killed (out of memory?)"},
		{name: "no archive", spec: sandbox.Spec{Source: sandbox.Source{ArchiveURI: "file:///does/not/exist.tar.gz"}}, reason: "source archive not found: file:///does/not/exist.tar.gz"},
		{name: "no archive kind", spec: sandbox.Spec{Source: sandbox.Source{ArchiveURI: "file:///app.rar"}}, reason: "the name must end in .tar, .tar.gz, .tgz or .zip"},
		{name: "no static folder", spec: sandbox.Spec{StaticDir: "dist"}, reason: `static folder "dist" does not exist after the build`},
		{name: "static folder outside", spec: sandbox.Spec{Build: "ln -s / dist", StaticDir: "dist"}, reason: `static folder "dist" leads outside the project`},
		{name: "escape", spec: sandbox.Spec{Source: sandbox.Source{Files: []sandbox.File{{Path: "../x"}}}}, reason: `entry "../x": the path leads outside the project`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p, got := newRig(t, test.spec).fail()
			if !strings.Contains(got.Reason, test.reason) || !strings.Contains(got.LogTail, test.tail) {
				t.Errorf("reason %q, log tail %q; want %q and %q", got.Reason, got.LogTail, test.reason, test.tail)
			}
			if strings.Contains(p.out.String(), "echo never\n") && strings.Contains(p.out.String(), "] never") {
				t.Error("build ran after a failed install")
			}
		})
	}
}

// fail runs a build that must be broken, and returns what it reports.
func (g *rig) fail() (*program, sandbox.GuestStatus) {
	g.t.Helper()
	p := g.start(sandbox.PhaseBuild)
	if code := p.wait(); code != exitBroken {
		g.t.Errorf("exit status %d, want %d", code, exitBroken)
	}
	got := p.report()
	if got.Progress != sandbox.Broken || !strings.Contains(got.LogTail, "[system] build failed: ") {
		g.t.Errorf("status %q, log tail %q; want it broken, and told in the log", got.Progress, got.LogTail)
	}
	if len(got.Groups) != 0 {
		g.t.Errorf("groups %v are recorded, though all are gone", got.Groups)
	}
	return p, got
}

// TestBuildDeadline gives a build that does not end longer and longer, until it gets as far as its command on a slow machine too.
func TestBuildDeadline(t *testing.T) {
	t.Parallel()
	for limit := 300 * time.Millisecond; ; limit *= 4 {
		g := newRig(t, sandbox.Spec{Build: "echo begun; trap '' TERM; sleep 1000 & wait; wait"})
		g.task.Deadline = time.Now().Add(limit)
		_, got := g.fail()
		if !strings.Contains(got.Reason, "build timed out after ") {
			t.Fatalf("reason %q", got.Reason)
		}
		if strings.Contains(got.Reason, "while running the build command") && strings.Contains(got.LogTail, "] begun\n") {
			return
		}
		if limit > patience/4 {
			t.Fatalf("within %s: reason %q, log tail %q", limit, got.Reason, got.LogTail)
		}
	}
}

func TestBuildFromArchive(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"app.tar", "app.tar.gz", "app.tgz", "app.zip"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), kind)
			packArchive(t, path, map[string]string{"index.html": "packed", "bin/tool": "#!/bin/sh\necho made by a tool > made.txt\n"})
			g := newRig(t, sandbox.Spec{Source: sandbox.Source{ArchiveURI: "file://" + path}, Build: "./bin/tool"})
			g.build()
			body, err := os.ReadFile(filepath.Join(g.task.Dir, "app", "made.txt"))
			if err != nil || string(body) != "made by a tool\n" {
				t.Fatalf("made.txt: %q, %v", body, err)
			}
		})
	}
}

func packArchive(t *testing.T, path string, files map[string]string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if strings.HasSuffix(path, ".zip") {
		z := zip.NewWriter(f)
		for name, body := range files {
			h := &zip.FileHeader{Name: name}
			h.SetMode(0o755)
			w, err := z.CreateHeader(h)
			if err == nil {
				_, err = w.Write([]byte(body))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return
	}
	tw := tar.NewWriter(f)
	if !strings.HasSuffix(path, ".tar") {
		gz := gzip.NewWriter(f)
		defer gz.Close()
		tw = tar.NewWriter(gz)
	}
	for name, body := range files {
		err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(body))})
		if err == nil {
			_, err = tw.Write([]byte(body))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
}

// Of many builds of one task at the same time and after each other, one does the work.
func TestBuildOnce(t *testing.T) {
	t.Parallel()
	counter := filepath.Join(t.TempDir(), "counter")
	g := newRig(t, sandbox.Spec{Build: "echo built >> \"$COUNTER\"", Env: map[string]string{"COUNTER": counter}})
	var all []*program
	for range 8 {
		all = append(all, g.start(sandbox.PhaseBuild))
	}
	all = append(all, g.start(sandbox.PhaseBuild))
	idle := 0
	for _, p := range all {
		if code := p.wait(); code != 0 {
			t.Errorf("exit status %d", code)
		}
		if p.out.has("[system] nothing to do: already claimed") {
			idle++
		}
	}
	body, err := os.ReadFile(counter)
	if err != nil || string(body) != "built\n" {
		t.Fatalf("built %q times, %v", body, err)
	}
	if idle != len(all)-1 {
		t.Errorf("%d said that there was nothing to do, want %d", idle, len(all)-1)
	}
}

// A build whose sandboxd was killed starts over, from the source.
func TestBuildAfterKill(t *testing.T) {
	t.Parallel()
	g := newRig(t, sandbox.Spec{Build: "test -e left && exit 9; touch left; test -e \"$GO\" || { echo waiting; sleep 1000; }", Env: map[string]string{"GO": filepath.Join(t.TempDir(), "go")}})
	p := g.start(sandbox.PhaseBuild)
	eventually(t, "the build waits", func() bool { return p.out.has("] waiting") })
	groups := p.report().Groups
	if len(groups) != 1 {
		t.Fatalf("groups %v, want one", groups)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the recorded group is ended by its owner", func() bool {
		return errors.Is(syscall.Kill(-groups[0], syscall.SIGKILL), syscall.ESRCH)
	})
	p.wait()
	if err := os.WriteFile(g.task.Spec.Env["GO"], nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g.build()
}

// What a command prints is in the log while the command runs.
func TestBuildLogStreams(t *testing.T) {
	t.Parallel()
	release := filepath.Join(t.TempDir(), "release")
	if err := syscall.Mkfifo(release, 0o600); err != nil {
		t.Fatal(err)
	}
	g := newRig(t, sandbox.Spec{Build: "echo one; echo two >&2; read x < \"$RELEASE\"; echo three", Env: map[string]string{"RELEASE": release}})
	p := g.start(sandbox.PhaseBuild)
	eventually(t, "the first lines are there", func() bool { return p.out.has("[stdout] one\n") && p.out.has("[stderr] two\n") })
	if p.out.has("[stdout] three") {
		t.Fatal("the command did not wait")
	}
	if err := os.WriteFile(release, []byte("go\n"), 0); err != nil {
		t.Fatal(err)
	}
	p.wait()
	for line := range strings.Lines(p.out.String()) {
		stamp, _, found := strings.Cut(strings.TrimPrefix(line, "["), "] [")
		if _, err := time.Parse(time.RFC3339Nano, stamp); !found || err != nil {
			t.Errorf("line %q does not begin with a time: %v", line, err)
		}
	}
	if !p.out.has("[stdout] three\n") {
		t.Error("the last line is missing")
	}
}

func TestBuildMasksSecrets(t *testing.T) {
	t.Parallel()
	key := "-----BEGIN KEY-----\nabcdefghij\n-----END KEY-----"
	g := newRig(t, sandbox.Spec{
		Build: `echo "token $TOKEN"; echo "$KEY" >&2; echo "$SHORT"; echo "hunter2-secret is in the command too"; exit 1`,
		Env:   map[string]string{"TOKEN": "hunter2-secret", "KEY": key, "SHORT": "short"},
	})
	p := g.start(sandbox.PhaseBuild)
	p.wait()
	for _, secret := range []string{"hunter2-secret", "abcdefghij"} {
		if p.out.has(secret) || strings.Contains(p.report().LogTail, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if !p.out.has("[stdout] token ***\n") || !p.out.has("[stdout] short\n") {
		t.Errorf("the log lacks the masked line or the short value:\n%s", p.out)
	}
}

// daemons leaves a background process, one in a session of its own, and one whose parents are gone.
const daemons = `sleep 1000 & setsid sleep 1000 & (setsid sh -c 'sleep 1000 & sleep 1000' &) `

func TestBuildEndsDescendants(t *testing.T) {
	t.Parallel()
	onlyLinux(t)
	g := newRig(t, sandbox.Spec{Build: daemons + "; echo left"})
	g.build()
	if left := g.marked(); len(left) > 0 {
		t.Errorf("processes %v outlive the build", left)
	}
}

// When the supervisor is gone, and when it asks, all that was started ends; the build stays unfinished.
func TestBuildEndsEarly(t *testing.T) {
	t.Parallel()
	onlyLinux(t)
	for name, test := range map[string]struct {
		end  func(*program) error
		code int
	}{
		"lifeline": {func(p *program) error { return p.lifeline.Close() }, exitOrphaned},
		"sigterm":  {func(p *program) error { return p.cmd.Process.Signal(syscall.SIGTERM) }, exitTerminated},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, sandbox.Spec{Build: "trap '' TERM; " + daemons + "; echo begun; while :; do sleep 1000; done"})
			p := g.start(sandbox.PhaseBuild)
			eventually(t, "five processes run", func() bool { return p.out.has("] begun") && len(g.marked()) >= 5 })
			if err := test.end(p); err != nil {
				t.Fatal(err)
			}
			if code := p.wait(); code != test.code {
				t.Errorf("exit status %d, want %d", code, test.code)
			}
			if left := g.marked(); len(left) > 0 {
				t.Errorf("processes %v are left", left)
			}
			if got := p.report(); got.Progress != sandbox.Running {
				t.Errorf("status %q, want running: the build did not end by itself", got.Progress)
			}
		})
	}
}

// A project's commands have limits on core dumps, open files and file sizes.
func TestBuildLimits(t *testing.T) {
	t.Parallel()
	g := newRig(t, sandbox.Spec{Build: "ulimit -c; ulimit -n; ulimit -f"})
	p := g.start(sandbox.PhaseBuild)
	p.wait()
	var numbers []int
	for line := range strings.Lines(p.out.String()) {
		_, text, _ := strings.Cut(line, "[stdout] ")
		if n, err := strconv.Atoi(strings.TrimSpace(text)); err == nil {
			numbers = append(numbers, n)
		}
	}
	if len(numbers) != 3 || numbers[0] != 0 || numbers[1] > 65_536 || numbers[2] <= 0 || numbers[2] > 4<<30/512 {
		t.Errorf("ulimit -c, -n, -f are %v", numbers)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{}, {"bild"}, {"build"}, {"build", "--task", "x", "more"}, {"build", "--task", "/does/not/exist"}, {"serve", "--no-such-flag"}} {
		cmd := exec.Command(self, args...)
		cmd.Env = []string{asSandboxd + "=1"}
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != exitUsage || len(out) == 0 {
			t.Errorf("%v: exit status %d and %q, want %d and a word why", args, code, out, exitUsage)
		}
	}
}

// A folder that an earlier build left read-only does not stop the next one from starting over.
func TestBuildOverReadOnlyFolders(t *testing.T) {
	t.Parallel()
	g := newRig(t, sandbox.Spec{Build: "true"})
	locked := filepath.Join(g.task.Dir, "home", "go", "pkg")
	if err := os.MkdirAll(locked, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(locked, "x"), nil, 0o400); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(locked, 0o500); err != nil {
		t.Fatal(err)
	}
	g.build()
	if _, err := os.Stat(locked); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old folder is still there: %v", err)
	}
}

func onlyLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("finding processes that left their group needs Linux")
	}
}
