package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/client"
	"vibesdk-gcp/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// serve starts the platform in this process and returns its address.
func serve(t *testing.T) string {
	t.Helper()
	return serveWith(t, nil, app.AllRoles()...)
}

// vibectl runs a command line and returns what it printed.
func vibectl(t *testing.T, addr, stdin string, args ...string) (stdout string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out bytes.Buffer
	root := newRoot(strings.NewReader(stdin), &out)
	root.SetErr(io.Discard)
	root.SetArgs(append([]string{"--addr", addr}, args...))
	err = root.ExecuteContext(ctx)
	return out.String(), err
}

func must(t *testing.T, addr, stdin string, args ...string) string {
	t.Helper()
	out, err := vibectl(t, addr, stdin, args...)
	if err != nil {
		t.Fatalf("vibectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func TestALifeInCommands(t *testing.T) {
	t.Parallel()
	addr := serve(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("<h1>hi</h1>"), 0o600); err != nil {
		t.Fatal(err)
	}

	out := must(t, addr, "", "sandbox", "run", dir, "--name", "mine", "--ttl", "1h", "--idle", "5m", "--build", `echo greeting is ${#GREETING} long`, "--env", "GREETING=hello=you", "--request-id", "one")
	for _, want := range []string{"mine  queued as sbx-", "│ greeting is 9 long", "mine  ready after", "vibectl sandbox stop sbx-"} {
		if !strings.Contains(out, want) {
			t.Errorf("run does not print %q:\n%s", want, out)
		}
	}
	var again client.Sandbox // the same request: the same sandbox, at once
	if err := json.Unmarshal([]byte(must(t, addr, "", "-o", "json", "sandbox", "run", dir, "--name", "mine", "--ttl", "1h", "--idle", "5m", "--build", `echo greeting is ${#GREETING} long`, "--env", "GREETING=hello=you", "--request-id", "one")), &again); err != nil {
		t.Fatal(err)
	}
	id := again.ID
	if !strings.Contains(out, "queued as "+id) || again.State != client.Ready || again.TTLSeconds != 3600 || again.IdleSeconds != 300 {
		t.Errorf("second run: %+v", again)
	}

	list := strings.Split(strings.TrimSpace(must(t, addr, "", "sandbox", "list")), "\n")
	if len(list) != 2 || !strings.HasPrefix(list[1], id+"  mine  ready") || !strings.HasSuffix(list[1], again.PreviewURL) {
		t.Errorf("list:\n%s", strings.Join(list, "\n"))
	}
	if got := must(t, addr, "", "sandbox", "get", id); !strings.Contains(got, again.PreviewURL) || !strings.Contains(got, "one") {
		t.Errorf("get:\n%s", got)
	}
	if got := must(t, addr, "", "sandbox", "logs", id, "--phase", "build"); !strings.Contains(got, "greeting is 9 long") {
		t.Errorf("logs:\n%s", got)
	}

	must(t, addr, "written", "sandbox", "write", id, "sub/new.txt")
	if got := must(t, addr, "", "sandbox", "read", id, "sub/new.txt"); got != "written" {
		t.Errorf("read: %q", got)
	}
	if got := page(t, addr, again.PreviewURL, "/sub/new.txt"); got != "written" {
		t.Errorf("the preview shows %q, want what was written", got)
	}
	if got := must(t, addr, "", "sandbox", "files", id, "sub"); !strings.Contains(got, "7  sub/new.txt") {
		t.Errorf("files:\n%q", got)
	}
	if got := must(t, addr, "", "sandbox", "exec", id, "--", "printf", "%s|", "two words", "it's"); got != "two words|it's|" {
		t.Errorf("exec: %q", got)
	}
	var exit exitError
	if _, err := vibectl(t, addr, "", "sandbox", "exec", id, "exit 5"); !errors.As(err, &exit) || exit != 5 {
		t.Errorf("exec of a command that fails: %v, want exit status 5", err)
	}
	must(t, addr, "", "sandbox", "rm", id, "sub/new.txt")
	if got := must(t, addr, "", "sandbox", "errors", id); got != "no errors\n" {
		t.Errorf("errors: %q", got)
	}

	if got := must(t, addr, "", "sandbox", "stop", id); got != id+" deleted\n" {
		t.Errorf("stop: %q", got)
	}
	if got := must(t, addr, "", "sandbox", "list"); got != "no sandboxes\n" {
		t.Errorf("list after the stop: %q", got)
	}
	if got := must(t, addr, "", "sandbox", "list", "--all"); !strings.Contains(got, "deleted") {
		t.Errorf("list of all: %q", got)
	}
	if _, err := vibectl(t, addr, "", "sandbox", "open", id); err == nil || !strings.Contains(err.Error(), "deleted and has no preview") {
		t.Errorf("open of a deleted one: %v", err)
	}
}

func page(t *testing.T, addr, preview, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = strings.Trim(strings.TrimPrefix(preview, "http://"), "/")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestFailuresAreClear(t *testing.T) {
	t.Parallel()
	addr := serve(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := vibectl(t, addr, "", "sandbox", "run", dir, "--build", "echo the cause >&2; exit 2")
	if !errors.Is(err, app.ErrSandboxFailed) || !strings.Contains(out, "│ the cause") || !strings.Contains(out, "failed: ") {
		t.Errorf("broken build: %v\n%s", err, out)
	}
	for name, c := range map[string]struct {
		addr string
		args []string
		want string
	}{
		"missing folder":  {addr, []string{"sandbox", "run", "no/such"}, "folder no/such does not exist"},
		"bad env":         {addr, []string{"sandbox", "run", dir, "--env", "SECRETVALUE"}, "NAME=value"},
		"reserved env":    {addr, []string{"sandbox", "run", dir, "--env", "PORT=1"}, "env"},
		"bad ttl":         {addr, []string{"sandbox", "run", dir, "--ttl", "1s"}, "ttlSeconds"},
		"half a second":   {addr, []string{"sandbox", "run", dir, "--ttl", "500ms"}, "whole seconds"},
		"dev and static":  {addr, []string{"sandbox", "run", dir, "--dev", "x", "--static", "y"}, "dev"},
		"unknown sandbox": {addr, []string{"sandbox", "get", "sbx-aaaaaaaaaaaaaaaa"}, "not found"},
		"bad format":      {addr, []string{"-o", "yaml", "sandbox", "list"}, "yaml"},
		"nobody there":    {"127.0.0.1:1", []string{"sandbox", "list"}, "no server answers at http://127.0.0.1:1"},
	} {
		_, err := vibectl(t, c.addr, "", c.args...)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "SECRETVALUE") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestDetachAndFollow(t *testing.T) {
	t.Parallel()
	addr := serve(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(must(t, addr, "", "sandbox", "run", dir, "--detach", "--build", "echo first; echo second"))
	deadline := time.Now().Add(time.Minute)
	for {
		if _, err := vibectl(t, addr, "", "sandbox", "get", id); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the record did not appear")
		}
	}
	if got := must(t, addr, "", "sandbox", "logs", "-f", "--phase", "build", id); !strings.Contains(got, "first") || !strings.Contains(got, "second") {
		t.Errorf("followed log:\n%s", got)
	}
	must(t, addr, "", "sandbox", "stop", "--wait=false", id)
}

func TestShort(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{-time.Second: "0s", 59900 * time.Millisecond: "59s", 61 * time.Second: "1m01s", 25*time.Hour + 3*time.Minute: "25h03m"} {
		if got := short(d); got != want {
			t.Errorf("short(%s) = %q, want %q", d, got, want)
		}
	}
}
