package app_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/client"
	"vibesdk-gcp/internal/testenv"
)

// TestRunExample is the main job from end to end with nothing replaced: the example goes over the publish call to
// the bus, is built, served, looked at, stopped, and leaves nothing behind.
func TestRunExample(t *testing.T) {
	t.Parallel()
	w := start(t, config(t))
	project, err := client.ReadProject("../../../examples/hello", client.RunRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var out syncBuffer
	ready, err := app.RunAndReport(within(t), w.client, project, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"queued as " + ready.ID, "building", "│ wrote dist/index.html", "ready after", ready.PreviewURL} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("progress lacks %q:\n%s", want, out.String())
		}
	}

	code, header, body := w.get(t, ready.PreviewURL, "/")
	if code != 200 || !strings.Contains(body, "<h1>Hello from your sandbox</h1>") || header.Get("X-Preview-Type") != "sandbox" {
		t.Fatalf("preview: %d %v\n%s", code, header, body)
	}
	style := regexp.MustCompile(`assets/style\.[0-9a-f]{16}\.css`).FindString(body)
	if code, header, _ := w.get(t, ready.PreviewURL, "/"+style); code != 200 || !strings.HasPrefix(header.Get("Content-Type"), "text/css") {
		t.Errorf("/%s: %d %s", style, code, header.Get("Content-Type"))
	}
	folder := filepath.Join(w.config.DataDir, "sandboxes", ready.ID)
	if n, known := processesOf(w.config.DataDir); known && n == 0 {
		t.Error("no process runs while the preview is up: the check below would prove nothing")
	}
	if _, err := os.Stat(folder); err != nil {
		t.Errorf("no folder while the preview is up: %v", err)
	}

	if last := w.end(t, ready.ID); last.State != client.Deleted || last.Reason == "" {
		t.Errorf("after the stop: %s, reason %q; want deleted with a reason", last.State, last.Reason)
	}
	if code, _, _ := w.get(t, ready.PreviewURL, "/"); code != 404 {
		t.Errorf("preview after the stop: %d, want 404", code)
	}
	if n, known := processesOf(w.config.DataDir); known && n > 0 {
		t.Errorf("%d processes outlived the stop", n)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder after the stop: %v, want gone", err)
	}
}

// syncBuffer is written by the log and the progress at once.
type syncBuffer struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestBrokenBuildIsToldWithItsLog(t *testing.T) {
	t.Parallel()
	w := start(t, config(t))
	dir := t.TempDir()
	for name, body := range map[string]string{
		"index.html":   "x",
		"sandbox.json": `{"projectName":"bad","buildCommand":"echo about to break; echo no such thing >&2; exit 3","staticDir":"."}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	project, err := client.ReadProject(dir, client.RunRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var out syncBuffer
	last, err := app.RunAndReport(within(t), w.client, project, &out)
	if !errors.Is(err, app.ErrSandboxFailed) {
		t.Fatalf("error %v, want ErrSandboxFailed", err)
	}
	if last.State != client.Failed || !strings.Contains(last.Reason, "3") || !strings.Contains(last.LogTail, "no such thing") {
		t.Errorf("record: %s, %q, log %q", last.State, last.Reason, last.LogTail)
	}
	for _, line := range []string{"about to break", "no such thing"} {
		if n := strings.Count(out.String(), "│ "+line+"\n"); n != 1 {
			t.Errorf("%q is shown %d times, want once:\n%s", line, n, out.String())
		}
	}
	if !strings.Contains(out.String(), "failed: "+last.Reason) {
		t.Errorf("the reason is not shown:\n%s", out.String())
	}
}

func TestLiveCallsReachTheRunningApp(t *testing.T) {
	t.Parallel()
	w := start(t, config(t))
	s := w.run(t, static("live"))
	calls, ctx := w.client.Sandboxes(), within(t)
	if err := calls.WriteFile(ctx, s.ID, "sub/a b#?.html", []byte("new page")); err != nil {
		t.Fatal(err)
	}
	if _, _, body := w.get(t, s.PreviewURL, "/sub/a%20b%23%3F.html"); body != "new page" {
		t.Errorf("the preview shows %q, want what was written", body)
	}
	if data, err := calls.ReadFile(ctx, s.ID, "sub/a b#?.html"); err != nil || string(data) != "new page" {
		t.Errorf("ReadFile = %q, %v", data, err)
	}
	list, err := calls.ListFiles(ctx, s.ID, "sub")
	if err != nil || len(list.Files) != 1 || list.Files[0].Path != "sub/a b#?.html" || list.Files[0].Size != 8 {
		t.Errorf("ListFiles = %+v, %v", list, err)
	}
	results, err := calls.Exec(ctx, s.ID, []string{"cd sub && ls", "pwd; exit 4"}, 0)
	if err != nil || len(results) != 2 || results[0].Output != "a b#?.html\n" || !results[0].Success ||
		results[1].ExitCode != 4 || !strings.HasSuffix(results[1].Output, "/sub\n") {
		t.Errorf("Exec = %+v, %v; want one session with the folder kept", results, err)
	}
	if err := calls.DeleteFile(ctx, s.ID, "sub", true); err != nil {
		t.Errorf("DeleteFile: %v", err)
	}
	if _, err := calls.ReadFile(ctx, s.ID, "sub/a b#?.html"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("ReadFile of a deleted file: %v, want ErrNotFound", err)
	}
	if err := calls.WriteFile(ctx, s.ID, "../out", []byte("x")); err == nil {
		t.Error("a file outside the project was written")
	}
	if list, err := calls.Errors(ctx, s.ID); err != nil || len(list) != 0 {
		t.Errorf("Errors = %v, %v; want none", list, err)
	}
	if err := calls.ClearErrors(ctx, s.ID); err != nil {
		t.Errorf("ClearErrors: %v", err)
	}
}

func TestUploadedProjectRuns(t *testing.T) {
	t.Parallel()
	w := start(t, config(t))
	dir := t.TempDir()
	big := strings.Repeat("0123456789abcdef", 100_000) // too large to travel inside the request
	for name, body := range map[string]string{"index.html": "<h1>uploaded</h1>", "big.txt": big} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	project, err := client.ReadProject(dir, client.RunRequest{})
	if err != nil {
		t.Fatal(err)
	}
	ready, err := app.RunAndReport(within(t), w.client, project, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, body := w.get(t, ready.PreviewURL, "/big.txt"); body != big {
		t.Errorf("the preview's big file has %d bytes, want %d", len(body), len(big))
	}
}

// TestAPreviewCannotCallTheAPI plays a browser that shows a preview whose page calls the gateway.
func TestAPreviewCannotCallTheAPI(t *testing.T) {
	t.Parallel()
	w := start(t, config(t))
	s := w.run(t, static("hostile"))
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/v1/sandboxes/" + s.ID + ":stop", ""},
		{"GET", "/v1/sandboxes", ""},
		{"POST", "/v1/projects/p/topics/sandbox-requests:publish", `{}`},
	} {
		req, err := http.NewRequestWithContext(within(t), c.method, "http://"+w.Addr()+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", strings.TrimSuffix(s.PreviewURL, "/"))
		req.Header.Set("Sec-Fetch-Site", "same-site") // what browsers send from x.preview.localhost to localhost
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden || resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s %s: %s, allowed origin %q; want 403 and none", c.method, c.path, resp.Status, resp.Header.Get("Access-Control-Allow-Origin"))
		}
	}
	// The API is not served on preview hosts either.
	if code, _, body := w.get(t, s.PreviewURL, "/v1/sandboxes"); code == 200 && strings.Contains(body, s.ID) {
		t.Error("the API answers on a preview's host")
	}
}

func TestStopLeavesNoProcessAndRestartGoesOn(t *testing.T) {
	t.Parallel()
	c := config(t)
	w := start(t, c)
	s := w.run(t, static("again"))
	w.stop()
	if n, known := processesOf(c.DataDir); known && n > 0 {
		t.Fatalf("%d processes outlived the stop", n)
	}
	again := start(t, c)
	last := again.run(t, static("again")) // the same request: no second sandbox
	for last.Generation == s.Generation { // the record says ready until the janitor has looked
		for now, err := range again.client.Sandboxes().Watch(within(t), s.ID) {
			if err != nil {
				t.Fatal(err)
			}
			if last = now; now.Generation > s.Generation && now.State == client.Ready {
				break
			}
		}
	}
	if code, _, body := again.get(t, last.PreviewURL, "/"); code != 200 || body != "<h1>demo</h1>" {
		t.Errorf("preview of the new generation: %d %q", code, body)
	}
	if code, _, _ := again.get(t, s.PreviewURL, "/"); code != 404 {
		t.Errorf("address of the old generation: %d, want 404", code)
	}
	all, err := again.client.Sandboxes().List(within(t))
	if err != nil || len(all) != 1 {
		t.Errorf("%d sandboxes, %v; want one", len(all), err)
	}
}

func TestStartSaysWhyItCannot(t *testing.T) {
	t.Parallel()
	first := start(t, config(t))
	taken := config(t)
	taken.Listen = first.Addr()
	open := config(t)
	open.Listen = "0.0.0.0:0"
	missing := config(t)
	missing.Sandboxd = "/no/such/sandboxd"
	shared := config(t)
	shared.DataDir = first.config.DataDir
	badSchedules := config(t)
	badSchedules.SchedulesFile = filepath.Join(t.TempDir(), "none.yaml")
	for name, c := range map[string]struct {
		config app.Config
		want   []string
	}{
		"port taken":      {taken, []string{first.Addr(), "in use", "LISTEN="}},
		"open to others":  {open, []string{"LISTEN", "0.0.0.0:0", "API_KEY_FILE"}},
		"no sandboxd":     {missing, []string{"SANDBOXD", "/no/such/sandboxd"}},
		"folder in use":   {shared, []string{"sandboxes", "in use by process"}},
		"no schedulefile": {badSchedules, []string{"SCHEDULES_FILE", "none.yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := app.Start(t.Context(), c.config, app.AllRoles(), logger(t))
			if err == nil {
				_ = a.Stop(context.Background())
				t.Fatal("it started")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error lacks %q: %v", want, err)
				}
			}
		})
	}
}

func TestKeyIsAskedFor(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Auth.Key = "a key of good length"
	w := start(t, c)
	for key, want := range map[string]error{c.Auth.Key: nil, "": client.ErrUnauthorized, "wrong": client.ErrUnauthorized} {
		caller, err := client.New("http://"+w.Addr(), client.Options{APIKey: key})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := caller.Sandboxes().List(within(t)); !errors.Is(err, want) {
			t.Errorf("key %q: %v, want %v", key, err, want)
		}
	}
}

func TestRolesAlone(t *testing.T) {
	t.Parallel()
	c := config(t)
	whole := start(t, c, app.RoleGateway, app.RoleSandboxRunner, app.RoleJanitor)
	s := whole.run(t, static("split"))
	other := c
	other.Listen = "127.0.0.1:0"
	door := start(t, other, app.RoleRouter, app.RoleTicker) // on the same database, in another process as it were
	if code, _, body := door.get(t, s.PreviewURL, "/"); code != 200 || body != "<h1>demo</h1>" {
		t.Errorf("preview through a router alone: %d %q", code, body)
	}
	if code, _, _ := door.get(t, "localhost", "/v1/sandboxes"); code != 404 {
		t.Errorf("the API through a router alone: %d, want 404", code)
	}
	if code, _, _ := whole.get(t, s.PreviewURL, "/"); code == 200 {
		t.Error("a gateway alone serves previews")
	}
}

func TestParseRoles(t *testing.T) {
	t.Parallel()
	if roles, err := app.ParseRoles(nil); err != nil || len(roles) != 8 {
		t.Errorf("no names: %v, %v; want all", roles, err)
	}
	if roles, err := app.ParseRoles([]string{"router", "router"}); err != nil || len(roles) != 1 {
		t.Errorf("a name twice: %v, %v; want it once", roles, err)
	}
	if _, err := app.ParseRoles([]string{"router", "cook"}); err == nil || !strings.Contains(err.Error(), "cook") || !strings.Contains(err.Error(), "janitor") {
		t.Errorf("unknown name: %v; want it and the known ones named", err)
	}
}

// TestPubSubInsteadOfTheEmbeddedBus runs the same job over the official emulator.
func TestPubSubInsteadOfTheEmbeddedBus(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Bus = "pubsub"
	c.PubSubEndpoint, c.PubSubProject = testenv.PubSub(t)
	w := start(t, c)
	s := w.run(t, static("over-pubsub"))
	if code, _, body := w.get(t, s.PreviewURL, "/"); code != 200 || body != "<h1>demo</h1>" {
		t.Errorf("preview: %d %q", code, body)
	}
	if last := w.end(t, s.ID); last.State != client.Deleted {
		t.Errorf("after the stop: %s", last.State)
	}
}

// TestPostgresInsteadOfSQLite runs the same job with bus, records and routes in Postgres.
func TestPostgresInsteadOfSQLite(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.DatabaseURL = testenv.Postgres(t)
	w := start(t, c)
	s := w.run(t, static("on-postgres"))
	if code, _, body := w.get(t, s.PreviewURL, "/"); code != 200 || body != "<h1>demo</h1>" {
		t.Errorf("preview: %d %q", code, body)
	}
	if last := w.end(t, s.ID); last.State != client.Deleted {
		t.Errorf("after the stop: %s", last.State)
	}
}
