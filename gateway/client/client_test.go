package client_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/gateway/client"
)

// connect serves h and returns a client of it.
func connect(t *testing.T, o client.Options, h http.HandlerFunc) *client.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	c, err := client.New(server.URL, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNewRefusesWhatIsNoAddress(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "127.0.0.1:8787", "ftp://x", "http://", ":::"} {
		if _, err := client.New(base, client.Options{}); err == nil {
			t.Errorf("New(%q) is accepted", base)
		}
	}
}

func TestIdempotentCallsAreRepeated(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	var ids []string
	c := connect(t, client.Options{}, func(w http.ResponseWriter, r *http.Request) {
		var req client.RunRequest
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			t.Error(err)
		}
		ids = append(ids, req.RequestID)
		if calls.Add(1) < 3 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, `{"id":"sbx-x","requestId":%q}`, req.RequestID)
	})
	got, err := c.Sandboxes().Run(t.Context(), client.RunRequest{StaticDir: "."})
	if err != nil || got.ID != "sbx-x" {
		t.Fatalf("Run = %+v, %v", got, err)
	}
	if len(ids) != 3 || ids[0] == "" || ids[0] != ids[1] || ids[1] != ids[2] {
		t.Errorf("request ids of the tries = %q, want the same made-up one each time", ids)
	}
}

func TestExecIsNeverRepeated(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	c := connect(t, client.Options{}, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	if _, err := c.Sandboxes().Exec(t.Context(), "sbx-x", []string{"rm x"}, 0); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("Exec = %v, want ErrUnavailable", err)
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}

func TestErrorsAreTyped(t *testing.T) {
	t.Parallel()
	body := `{"type":"urn:vibesdk:problem:invalid","status":400,"detail":"bad","faults":[{"field":"env","message":"too many"}]}`
	status := http.StatusBadRequest
	c := connect(t, client.Options{}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("a key is sent though none was given")
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
	_, err := c.Sandboxes().Get(t.Context(), "x")
	var e *client.Error
	if !errors.As(err, &e) || e.Type != "urn:vibesdk:problem:invalid" || !errors.Is(err, client.ErrInvalid) || errors.Is(err, client.ErrNotFound) {
		t.Fatalf("error = %#v", err)
	}
	if got, want := err.Error(), "bad\n  env: too many"; got != want {
		t.Errorf("text = %q, want %q", got, want)
	}
	body = `{"error":{"code":400,"message":"no such topic","status":"NOT_FOUND"}}`
	status = http.StatusNotFound
	if _, err := c.Publish(t.Context(), "t", client.Message{Data: []byte("x")}); !errors.Is(err, client.ErrNotFound) || err.Error() != "no such topic" {
		t.Errorf("publish error = %v", err)
	}
	body = "<html>proxy</html>"
	if _, err := c.Sandboxes().Get(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("error of a stranger's answer = %v", err)
	}
}

func TestUnreachableSaysWhere(t *testing.T) {
	t.Parallel()
	c, err := client.New("http://127.0.0.1:1", client.Options{RetryFor: -1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Sandboxes().List(t.Context())
	if !errors.Is(err, client.ErrUnreachable) || strings.Count(err.Error(), "127.0.0.1:1") > 2 || !strings.Contains(err.Error(), "http://127.0.0.1:1") {
		t.Errorf("error = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Sandboxes().List(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled call: %v", err)
	}
}

func TestWatchConnectsAgainAndSkipsWhatItHasSeen(t *testing.T) {
	t.Parallel()
	streams := []string{
		event(1, client.Requested) + event(2, client.Building),
		": comment\n\n" + event(2, client.Building) + event(3, client.Starting),
		event(4, client.Failed),
	}
	var n atomic.Int32
	c := connect(t, client.Options{}, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, streams[n.Add(1)-1])
	})
	var states []client.State
	for s, err := range c.Sandboxes().Watch(t.Context(), "x") {
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, s.State)
	}
	if diff := cmp.Diff([]client.State{client.Requested, client.Building, client.Starting, client.Failed}, states); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
}

func TestWatchEndsOnNonsense(t *testing.T) {
	t.Parallel()
	c := connect(t, client.Options{}, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "data: {\"version\":\"x\"}\n\n") })
	for _, err := range c.Sandboxes().Watch(t.Context(), "x") {
		if err == nil || !strings.Contains(err.Error(), "not understood") {
			t.Errorf("error = %v", err)
		}
	}
}

func event(version int, state client.State) string {
	return fmt.Sprintf("event: sandbox\nid: %d\ndata: {\"generation\":1,\"version\":%d,\"state\":%q}\n\n", version, version, state)
}

func TestFollowShowsTheWholeBuildLogBeforeReady(t *testing.T) {
	t.Parallel()
	var gets atomic.Int32
	opened, ready := make(chan struct{}), make(chan struct{})
	c := connect(t, client.Options{}, func(w http.ResponseWriter, r *http.Request) {
		flush := http.NewResponseController(w)
		switch {
		case strings.HasSuffix(r.URL.Path, "/events"):
			io.WriteString(w, event(1, client.Building))
			flush.Flush()
			<-opened
			io.WriteString(w, event(2, client.Ready))
			flush.Flush()
			close(ready)
		case strings.HasSuffix(r.URL.Path, "/logs"):
			if r.URL.RawQuery != "follow=1&phase=build" {
				t.Errorf("logs?%s", r.URL.RawQuery)
			}
			io.WriteString(w, "early\n")
			flush.Flush()
			close(opened)
			<-ready // the end of the log comes later than the state
			io.WriteString(w, "late\n")
		case gets.Add(1) < 3:
			w.WriteHeader(http.StatusNotFound) // the request still waits for a runner
		default:
			io.WriteString(w, `{"version":1,"state":"building"}`)
		}
	})
	var seen strings.Builder
	last, err := c.Sandboxes().Follow(t.Context(), "x", client.Progress{
		Queued: func() { seen.WriteString("queued\n") },
		Changed: func(s client.Sandbox) {
			if s.State == client.Ready {
				seen.WriteString("ready\n")
			}
		},
		Log: &seen, // safe: the log has ended before ready is told
	})
	if err != nil || last.State != client.Ready {
		t.Fatalf("Follow = %+v, %v", last, err)
	}
	if got := seen.String(); got != "queued\nearly\nlate\nready\n" {
		t.Errorf("seen %q", got)
	}
}

// uploads answers as the gateway does and keeps what came.
type uploads struct {
	archive []byte
	request client.RunRequest
}

func (u *uploads) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.URL.Path == "/v1/sources" {
		u.archive = body
		io.WriteString(w, `{"archiveUri":"file:///a.tar.gz"}`)
		return
	}
	u.request = client.RunRequest{}
	_ = json.Unmarshal(body, &u.request)
	io.WriteString(w, `{"id":"sbx-x"}`)
}

func TestRunProjectSendsSmallOnesInline(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"index.html": "hi", "sub/bin": "\xff\xfe", "run.sh": "#!/bin/sh\n", "empty": "",
		"node_modules/x/y.js": "no", ".git/config": "no", "dist/old.html": "no", "sub/dist/kept": "yes", ".env": "A=1",
	})
	if err := os.Chmod(filepath.Join(dir, "run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	u := &uploads{}
	c := connect(t, client.Options{}, u.ServeHTTP)
	project := client.Project{Dir: dir, Request: client.RunRequest{BuildCommand: "b", StaticDir: "dist"}}
	if _, err := c.Sandboxes().RunProject(t.Context(), project); err != nil {
		t.Fatal(err)
	}
	want := []client.File{
		{Path: ".env", Content: "A=1"}, {Path: "empty"}, {Path: "index.html", Content: "hi"},
		{Path: "run.sh", Content: "#!/bin/sh\n", Executable: true}, {Path: "sub/bin", Data: []byte("\xff\xfe")}, {Path: "sub/dist/kept", Content: "yes"},
	}
	if diff := cmp.Diff(want, u.request.Source.Files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	project.Request.BuildCommand = "" // then dist is what is served
	if _, err := c.Sandboxes().RunProject(t.Context(), project); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(u.request.Source.Files, func(f client.File) bool { return f.Path == "dist/old.html" }) {
		t.Error("dist is not sent though it is served without a build")
	}
}

func TestRunProjectUploadsLargeOnes(t *testing.T) {
	t.Parallel()
	files := map[string]string{"index.html": "hi", "sub/big": strings.Repeat("0123456789abcdef", 64<<10)}
	dir := folder(t, files)
	u := &uploads{}
	c := connect(t, client.Options{}, u.ServeHTTP)
	project := client.Project{Dir: dir, Request: client.RunRequest{StaticDir: "."}}
	if _, err := c.Sandboxes().RunProject(t.Context(), project); err != nil {
		t.Fatal(err)
	}
	if u.request.Source.ArchiveURI != "file:///a.tar.gz" || len(u.request.Source.Files) > 0 {
		t.Errorf("source = %+v", u.request.Source)
	}
	if got := unpack(t, u.archive); !maps.Equal(got, files) {
		t.Errorf("archive holds %d files, want the project's", len(got))
	}
	first := u.archive
	if err := os.Chtimes(filepath.Join(dir, "index.html"), time.Now(), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Sandboxes().RunProject(t.Context(), project); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, u.archive) {
		t.Error("the same files gave another archive: it would be stored twice")
	}
}

func unpack(t *testing.T, archive []byte) map[string]string {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for in := tar.NewReader(zip); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(body)
	}
}

func TestRunProjectRefusesAnEmptyFolder(t *testing.T) {
	t.Parallel()
	c := connect(t, client.Options{}, func(http.ResponseWriter, *http.Request) { t.Error("something was sent") })
	_, err := c.Sandboxes().RunProject(t.Context(), client.Project{Dir: folder(t, map[string]string{"node_modules/a": "x"})})
	if err == nil || !strings.Contains(err.Error(), "no files") {
		t.Errorf("error = %v", err)
	}
}
