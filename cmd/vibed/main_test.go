package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"vibesdk-gcp/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// program builds vibed with sandboxd beside it, and returns its path.
func program(t *testing.T, tags string) string {
	t.Helper()
	testenv.Program(t, "sandboxd", tags)
	return testenv.Program(t, "vibed", tags)
}

// site writes a project that serves itself and says when its server runs.
func site(t *testing.T, projectFile string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range map[string]string{"index.html": "<h1>from the binary</h1>", "sandbox.json": projectFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// daemon is a vibed that runs as a user would start it.
type daemon struct {
	*exec.Cmd

	lines  chan string
	stderr bytes.Buffer
	data   string
}

func startDaemon(t *testing.T, args ...string) *daemon {
	t.Helper()
	d := &daemon{lines: make(chan string, 1000), data: t.TempDir()}
	// sandboxd is found beside vibed.
	d.Cmd = exec.CommandContext(context.Background(), program(t, ""), args...)
	d.Env = []string{"PATH=" + os.Getenv("PATH"), "DATA_DIR=" + d.data, "LISTEN=127.0.0.1:0", "LOG_FORMAT=json"}
	d.Stderr = &d.stderr
	out, err := d.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Process.Kill() })
	go func() {
		defer close(d.lines)
		for in := bufio.NewScanner(out); in.Scan(); {
			d.lines <- in.Text()
		}
	}()
	return d
}

// find reads what vibed prints until a line matches, and returns the first group.
func (d *daemon) find(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	var seen []string
	deadline := time.After(2 * time.Minute)
	for {
		select {
		case line, ok := <-d.lines:
			if !ok {
				_ = d.Wait()
				t.Fatalf("vibed ended before it printed %q:\n%s\n%s", pattern, strings.Join(seen, "\n"), d.stderr.String())
			}
			seen = append(seen, line)
			if m := re.FindStringSubmatch(line); m != nil {
				return m[len(m)-1]
			}
		case <-deadline:
			t.Fatalf("vibed did not print %q:\n%s", pattern, strings.Join(seen, "\n"))
		}
	}
}

// exit waits for the end and returns the status.
func (d *daemon) exit(t *testing.T) int {
	t.Helper()
	for range d.lines { // until the output is closed: only then may Wait be called
	}
	timer := time.AfterFunc(time.Minute, func() { _ = d.Process.Kill() })
	defer timer.Stop()
	_ = d.Wait() // the state says it
	return d.ProcessState.ExitCode()
}

func (d *daemon) running(t *testing.T) int {
	t.Helper()
	n := 0
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		if env, err := os.ReadFile(file); err == nil && bytes.Contains(env, []byte("SANDBOX_DIR="+d.data)) {
			n++
		}
	}
	return n
}

func TestSIGTERMEndsEverythingInOrder(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, "--run", site(t, `{"staticDir":"."}`))
	gateway := d.find(t, `^vibed answers at (http://\S+)`)
	preview := d.find(t, `➜  (http://\S+)`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, gateway, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = strings.Trim(strings.TrimPrefix(preview, "http://"), "/")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if string(body) != "<h1>from the binary</h1>" {
		t.Errorf("preview shows %q", body)
	}
	if err := d.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	d.find(t, `^ending sandbox sbx-`)
	if code := d.exit(t); code != 0 {
		t.Errorf("exit status %d, want 0\n%s", code, d.stderr.String())
	}
	if !strings.Contains(d.stderr.String(), "vibed: stopping") {
		t.Errorf("it does not say that it stops:\n%s", d.stderr.String())
	}
	if n := d.running(t); n > 0 {
		t.Errorf("%d processes of sandboxes outlived vibed", n)
	}
	if left, _ := filepath.Glob(filepath.Join(d.data, "sandboxes", "sbx-*")); len(left) > 0 {
		t.Errorf("folders of sandboxes outlived vibed: %v", left)
	}
}

func TestSIGKILLLeavesNoProcess(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, "--run", site(t, `{"staticDir":"."}`))
	d.find(t, `➜  (http://\S+)`)
	if err := d.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	d.exit(t)
	deadline := time.Now().Add(time.Minute)
	for d.running(t) > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%d processes of sandboxes outlived vibed", d.running(t))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestRunOfABrokenProjectEndsWithOne(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, "--run", site(t, `{"staticDir":".","buildCommand":"echo so it ends >&2; exit 9"}`))
	d.find(t, `│ so it ends`)
	d.find(t, `failed: .*9`)
	if code := d.exit(t); code != 1 {
		t.Errorf("exit status %d, want 1", code)
	}
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"missing folder":    {[]string{"--run", "no/such/folder"}, "folder no/such/folder does not exist"},
		"folder of nothing": {[]string{"--run", empty}, "no sandbox.json, no package.json and no index.html"},
		"unknown role":      {[]string{"cook"}, "cook: no such role"},
		"run without roles": {[]string{"router", "--run", empty}, "--run needs all roles"},
		"bad address":       {[]string{"--listen", "8787"}, "8787"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, c.args...)
			if code := d.exit(t); code != 1 || !strings.Contains(d.stderr.String(), c.want) {
				t.Errorf("exit %d, said %q; want 1 and %q", code, d.stderr.String(), c.want)
			}
		})
	}
}
