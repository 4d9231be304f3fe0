package processsandbox_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/sandbox/processsandbox"
	"vibesdk-gcp/platform/sandbox/sandboxtest"
)

// owner is another process that owns a sandbox folder.
type owner struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startOwner(t *testing.T, dir string) *owner {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self, dir)
	cmd.Env = append(os.Environ(), roleVar+"=owner", "SANDBOXD="+sandboxd(t))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	o := &owner{cmd: cmd, in: in, out: bufio.NewReader(out)}
	t.Cleanup(o.kill)
	return o
}

func (o *owner) send(t *testing.T, task sandbox.Task) {
	t.Helper()
	must(t, json.NewEncoder(o.in).Encode(task))
}

func (o *owner) trigger(t *testing.T, task sandbox.Task) {
	t.Helper()
	o.send(t, task)
	if line, err := o.out.ReadString('\n'); err != nil || line != "triggered <nil>\n" {
		t.Fatalf("the owner answers %q, %v", line, err)
	}
}

func (o *owner) kill() {
	_ = o.cmd.Process.Kill()
	_ = o.cmd.Wait()
}

// TestKilledOwner kills the program that runs sandboxes and looks at what the next one finds.
func TestKilledOwner(t *testing.T) {
	needsMarks(t)
	t.Parallel()
	dir := t.TempDir()
	first := startOwner(t, dir)
	escapes := sandboxtest.NewTask("escapes", 1, `
		(setsid sh -c 'echo $$ > "$TMPDIR/session"; sleep 1000; true' &)
		echo $$ > "$TMPDIR/shell"; sleep 1000`)
	done := sandboxtest.NewTask("done", 1, sandboxtest.Page)
	dev := sandboxtest.NewTask("dev", 1, "true")
	self, err := os.Executable()
	must(t, err)
	dev.Spec.StaticDir, dev.Spec.Dev, dev.Spec.Env = "", "exec "+self, map[string]string{roleVar: "devserver"}
	for _, task := range []sandbox.Task{escapes, done, dev} {
		first.trigger(t, task)
	}
	pids := []int{
		readPID(t, filepath.Join(folder(dir, escapes), "tmp", "session")), readPID(t, filepath.Join(folder(dir, escapes), "tmp", "shell")),
	}
	waitFor(t, "the page", func() bool { return status(folder(dir, done), "build").Progress == sandbox.Done })
	waitFor(t, "the preview", func() bool { return status(folder(dir, dev), "serve").Progress == sandbox.Done })
	pids = append(pids, status(folder(dir, dev), "serve").Groups...)
	first.kill()

	d := newDriver(t, options(dir, sandboxd(t)))
	if len(pids) != 3 {
		t.Errorf("saw processes %v, want 3: the test tells too little", pids)
	}
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d outlived its owner and the take-over", pid)
		}
	}
	want := map[sandbox.Ref]sandbox.Status{
		escapes.Ref: {Build: sandbox.Broken, Interrupted: true},
		done.Ref:    {Build: sandbox.Done},
		dev.Ref:     {Build: sandbox.Done, Serve: sandbox.Broken, Interrupted: true},
	}
	refs, err := d.List(t.Context())
	must(t, err)
	if len(refs) != len(want) {
		t.Errorf("List = %v", refs)
	}
	for ref, want := range want {
		got, err := d.Inspect(t.Context(), ref)
		must(t, err)
		if got.Interrupted && !strings.Contains(got.Reason, "interrupted") {
			t.Errorf("%s: reason %q", ref, got.Reason)
		}
		got.Reason, got.LogTail = "", ""
		if got != want {
			t.Errorf("%s = %+v, want %+v", ref, got, want)
		}
	}
	must(t, d.Build(t.Context(), escapes)) // not a second build of the same generation
	if st, _ := d.Inspect(t.Context(), escapes.Ref); st.Build != sandbox.Broken {
		t.Errorf("an interrupted build was started again: %+v", st)
	}
	next := escapes
	next.Fence, next.Spec.Build = 2, sandboxtest.Page
	must(t, d.Build(t.Context(), next))
	sandboxtest.Built(t, d, next.Ref)
	must(t, d.Serve(t.Context(), done))
	sandboxtest.Serving(t, d, done.Ref)
	for _, ref := range []sandbox.Ref{next.Ref, done.Ref, dev.Ref} {
		must(t, d.Delete(t.Context(), ref))
	}
	if refs, err := d.List(t.Context()); err != nil || len(refs) != 0 {
		t.Errorf("after all deletes: %v, %v", refs, err)
	}
}

// TestKilledOwnerAndGuest leaves processes that nobody watches over: the lifeline's reader is dead too.
func TestKilledOwnerAndGuest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startOwner(t, dir)
	task := sandboxtest.NewTask("unwatched", 1, `echo $$ > "$TMPDIR/shell"; sleep 1000`)
	first.trigger(t, task)
	shell := readPID(t, filepath.Join(folder(dir, task), "tmp", "shell"))
	var guest struct{ PID int }
	waitFor(t, "the pid file", func() bool { return readJSON(filepath.Join(folder(dir, task), "build.pid"), &guest) == nil })
	must(t, syscall.Kill(first.cmd.Process.Pid, syscall.SIGSTOP)) // so that it cannot clear up
	must(t, syscall.Kill(guest.PID, syscall.SIGKILL))
	first.kill()
	if !alive(shell) {
		t.Fatal("the build ended with sandboxd: the test tells nothing")
	}
	d := newDriver(t, options(dir, sandboxd(t)))
	if alive(shell) {
		t.Error("the take-over left a process")
	}
	if st, err := d.Inspect(t.Context(), task.Ref); err != nil || st.Build != sandbox.Broken || !st.Interrupted {
		t.Errorf("status = %+v, %v", st, err)
	}
}

// TestOwnerKilledAnytime kills the owner while Build is at work, each time a little later.
func TestOwnerKilledAnytime(t *testing.T) {
	t.Parallel()
	for i := range 12 {
		dir := t.TempDir()
		first := startOwner(t, dir)
		task := sandboxtest.NewTask("anytime", 1, `echo ran >> "$TMPDIR/../ran"; `+sandboxtest.Page)
		waitFor(t, "the owner", func() bool { _, err := os.Stat(filepath.Join(dir, ".owner")); return err == nil })
		first.send(t, task)
		time.Sleep(time.Duration(i) * 4 * time.Millisecond) // any moment is right; what follows must hold for all
		first.kill()

		d := newDriver(t, options(dir, sandboxd(t)))
		if left := marked(dir); len(left) > 0 {
			t.Errorf("processes %v outlived the take-over", left)
		}
		must(t, d.Build(t.Context(), task))
		st := sandboxtest.Until(t, d, task.Ref, "at an end", func(st sandbox.Status) bool { return st.Build != sandbox.Running })
		if st.Build == sandbox.Broken && !st.Interrupted {
			t.Errorf("killed after %d × 4 ms: %+v", i, st)
		}
		if body, _ := os.ReadFile(filepath.Join(folder(dir, task), "ran")); strings.Count(string(body), "ran") > 1 {
			t.Errorf("the build command ran twice")
		}
		closeDriver(t, d)
	}
}

func TestKilledGuestIsSaid(t *testing.T) {
	needsMarks(t)
	t.Parallel()
	dir := t.TempDir()
	d := newDriver(t, options(dir, sandboxd(t)))
	task := sandboxtest.NewTask("killed-guest", 1, `echo started; (setsid sh -c 'echo orphan $$; sleep 1000; true' &) ; sleep 1000`)
	must(t, d.Build(t.Context(), task))
	orphan, err := strconv.Atoi(sandboxtest.Printed(t, d, task.Ref, sandbox.PhaseBuild, `orphan (\d+)`))
	must(t, err)
	var guest struct{ PID int }
	must(t, readJSON(filepath.Join(folder(dir, task), "build.pid"), &guest))
	must(t, syscall.Kill(guest.PID, syscall.SIGKILL))
	st := sandboxtest.Until(t, d, task.Ref, "broken", func(st sandbox.Status) bool { return st.Build != sandbox.Running })
	if st.Interrupted || st.Reason != "sandboxd ended unexpectedly: signal: killed" || !strings.Contains(st.LogTail, "started") {
		t.Errorf("status = %+v", st)
	}
	if alive(orphan) {
		t.Error("a process outlived the phase")
	}
	// A later owner says the same.
	closeDriver(t, d)
	if later, err := newDriver(t, options(dir, sandboxd(t))).Inspect(t.Context(), task.Ref); err != nil || later != st {
		t.Errorf("later status = %+v, %v", later, err)
	}
}

// TestDeleteWithHungGuest stops sandboxd, so that it can neither end its processes nor hand them on in order.
func TestDeleteWithHungGuest(t *testing.T) {
	needsMarks(t)
	t.Parallel()
	dir := t.TempDir()
	d := newDriver(t, options(dir, sandboxd(t)))
	task := sandboxtest.NewTask("hung", 1, `(setsid env -i PATH="$PATH" sh -c 'echo cleared $$; sleep 1000; true' &) ; sleep 1000`)
	must(t, d.Build(t.Context(), task))
	cleared, err := strconv.Atoi(sandboxtest.Printed(t, d, task.Ref, sandbox.PhaseBuild, `cleared (\d+)`))
	must(t, err)
	var guest struct{ PID int }
	must(t, readJSON(filepath.Join(folder(dir, task), "build.pid"), &guest))
	must(t, syscall.Kill(guest.PID, syscall.SIGSTOP))
	must(t, d.Delete(t.Context(), task.Ref))
	if alive(guest.PID) || alive(cleared) {
		t.Errorf("alive after delete: sandboxd %v, daemon %v", alive(guest.PID), alive(cleared))
	}
}

func TestCloseEndsAll(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := newDriver(t, options(dir, sandboxd(t)))
	page := sandboxtest.NewTask("close-page", 1, sandboxtest.Page)
	long := sandboxtest.NewTask("close-long", 1, "echo shell $$; sleep 1000")
	must(t, d.Build(t.Context(), page))
	must(t, d.Build(t.Context(), long))
	sandboxtest.Built(t, d, page.Ref)
	must(t, d.Serve(t.Context(), page))
	sandboxtest.Serving(t, d, page.Ref)
	shell, err := strconv.Atoi(sandboxtest.Printed(t, d, long.Ref, sandbox.PhaseBuild, `shell (\d+)`))
	must(t, err)
	if _, err := processsandbox.New(expired(t), options(dir, sandboxd(t))); err == nil || !strings.Contains(err.Error(), fmt.Sprint("in use by process ", os.Getpid())) {
		t.Errorf("a second owner: %v", err)
	}
	closeDriver(t, d)
	closeDriver(t, d)
	if left := marked(dir); len(left) > 0 || alive(shell) {
		t.Errorf("after Close: %v, shell alive: %v", left, alive(shell))
	}
	if err := d.Build(t.Context(), sandboxtest.NewTask("late", 1, "true")); err == nil {
		t.Error("a closed driver takes work")
	}
	d = newDriver(t, options(dir, sandboxd(t)))
	if st, _ := d.Inspect(t.Context(), page.Ref); st.Build != sandbox.Done || st.Serve != sandbox.Broken || !st.Interrupted {
		t.Errorf("page after a restart: %+v", st)
	}
	if st, _ := d.Inspect(t.Context(), long.Ref); st.Build != sandbox.Broken || !st.Interrupted {
		t.Errorf("build after a restart: %+v", st)
	}
}

func expired(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// marked returns the processes that carry the mark of a folder.
func marked(dir string) []string {
	var found []string
	entries, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, entry := range entries {
		if body, err := os.ReadFile(entry); err == nil && strings.Contains(string(body), "SANDBOX_DIR="+dir+"/") {
			found = append(found, filepath.Base(filepath.Dir(entry)))
		}
	}
	return found
}

func folder(dir string, task sandbox.Task) string {
	return filepath.Join(dir, task.ID, fmt.Sprint(task.Fence))
}

func status(folder, phase string) sandbox.GuestStatus {
	var st sandbox.GuestStatus
	_ = readJSON(filepath.Join(folder, phase+".json"), &st) // none yet is the zero status
	return st
}

func readJSON(path string, v any) error {
	body, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, v)
}

func readPID(t *testing.T, path string) int {
	t.Helper()
	var pid int
	waitFor(t, path, func() bool {
		body, err := os.ReadFile(path)
		if err == nil {
			pid, err = strconv.Atoi(strings.TrimSpace(string(body)))
		}
		return err == nil
	})
	return pid
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatalf("waited too long for %s", what)
		}
	}
}
