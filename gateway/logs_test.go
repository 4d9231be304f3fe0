package gateway_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/platform/sandbox"
)

// stream opens a path and returns its body, line by line.
func (f *fixture) stream(t *testing.T, path string) (*bufio.Reader, *http.Response) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := f.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", path, resp.Status)
	}
	return bufio.NewReader(resp.Body), resp
}

func wantLine(t *testing.T, lines *bufio.Reader, want string) {
	t.Helper()
	got, err := lines.ReadString('\n')
	if err != nil || strings.TrimSuffix(got, "\n") != want {
		t.Fatalf("line %q, %v; want %q", got, err, want)
	}
}

func wantEnd(t *testing.T, lines *bufio.Reader) {
	t.Helper()
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Fatalf("after the end came %q, %v", rest, err)
	}
}

func TestLogsStreamWhileTheBuildRunsAndOverPhases(t *testing.T) {
	t.Parallel()
	f := start(t)
	r := f.sandbox(t, "one")
	lines, resp := f.stream(t, "/v1/sandboxes/"+r.ID+"/logs?follow=1") // before anything was printed
	if got := resp.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
		t.Errorf("Content-Type = %q", got)
	}
	f.move(t, r.ID, sandbox.Building, nil)
	f.runtime.report(sandbox.Status{Build: sandbox.Running})
	f.runtime.print(sandbox.PhaseBuild, "one\n")
	wantLine(t, lines, "one") // arrived while the build is still running
	f.runtime.print(sandbox.PhaseBuild, "two\n")
	wantLine(t, lines, "two")
	f.runtime.print(sandbox.PhaseBuild, "last of build\n")
	f.runtime.report(sandbox.Status{Build: sandbox.Done, Serve: sandbox.Running})
	f.runtime.print(sandbox.PhaseServe, "first of serve\n")
	wantLine(t, lines, "last of build")
	wantLine(t, lines, "first of serve")
	f.move(t, r.ID, sandbox.Stopping, func(r *sandbox.Record) { r.Reason = "asked for" })
	f.move(t, r.ID, sandbox.Deleted, nil)
	wantEnd(t, lines)
}

// TestLogsAreLookedAtAsOftenAsTold is for runtimes whose looks are counted: what follows the record goes on meanwhile.
func TestLogsAreLookedAtAsOftenAsTold(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) { o.LogEvery = time.Hour })
	r := f.sandbox(t, "one", sandbox.Building)
	f.runtime.report(sandbox.Status{Build: sandbox.Running})
	f.runtime.print(sandbox.PhaseBuild, "one\n")
	lines, _ := f.stream(t, "/v1/sandboxes/"+r.ID+"/logs?follow=1")
	wantLine(t, lines, "one")
	events, _ := f.stream(t, "/v1/sandboxes/"+r.ID+"/events")
	for _, state := range []sandbox.State{sandbox.Starting, sandbox.Stopping} {
		f.move(t, r.ID, state, nil)
		for line := ""; !strings.Contains(line, string(state)); {
			var err error
			if line, err = events.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	f.runtime.mu.Lock()
	defer f.runtime.mu.Unlock()
	if f.runtime.looks != 1 {
		t.Errorf("the runtime was asked %d times", f.runtime.looks)
	}
}

func TestLogsOfOnePhaseEndWithIt(t *testing.T) {
	t.Parallel()
	f := start(t)
	r := f.sandbox(t, "one", sandbox.Building)
	f.runtime.report(sandbox.Status{Build: sandbox.Running})
	f.runtime.print(sandbox.PhaseBuild, "0123456789\n")
	lines, _ := f.stream(t, "/v1/sandboxes/"+r.ID+"/logs?phase=build&offset=4&follow=1")
	wantLine(t, lines, "456789")
	f.runtime.print(sandbox.PhaseServe, "not this\n")
	f.runtime.report(sandbox.Status{Build: sandbox.Done})
	wantEnd(t, lines)
}

func TestLogsGoOnWithANewGeneration(t *testing.T) {
	t.Parallel()
	f := start(t)
	r := f.sandbox(t, "one", sandbox.Building)
	f.runtime.report(sandbox.Status{Build: sandbox.Running})
	f.runtime.print(sandbox.PhaseBuild, "interrupted\n")
	lines, _ := f.stream(t, "/v1/sandboxes/"+r.ID+"/logs?follow=1")
	wantLine(t, lines, "interrupted")
	f.move(t, r.ID, sandbox.Requested, func(r *sandbox.Record) {
		r.Fence, r.Token, r.ControlToken = 2, sandbox.NewToken(), sandbox.NewControlToken()
	})
	wantLine(t, lines, "interrupted") // the log of the second generation, from its beginning
}

func TestLogsOfAFailureAreWholeThoughTheFilesAreGone(t *testing.T) {
	t.Parallel()
	for name, printed := range map[string]string{"all seen": "[1] a\n[2] b\n[3] c\n", "some seen": "[1] a\n", "none seen": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t)
			r := f.sandbox(t, "one", sandbox.Building)
			f.runtime.report(sandbox.Status{Build: sandbox.Running})
			f.runtime.print(sandbox.PhaseBuild, printed)
			lines, _ := f.stream(t, "/v1/sandboxes/"+r.ID+"/logs?follow=1")
			var got strings.Builder
			for range strings.Count(printed, "\n") {
				line, err := lines.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				got.WriteString(line)
			}
			f.runtime.mu.Lock()
			f.runtime.gone = true
			f.runtime.mu.Unlock()
			f.move(t, r.ID, sandbox.Failed, func(r *sandbox.Record) { r.Reason, r.LogTail = "broken", "[1] a\n[2] b\n[3] c\n" })
			rest, err := io.ReadAll(lines)
			if err != nil {
				t.Fatal(err)
			}
			if got.Write(rest); got.String() != "[1] a\n[2] b\n[3] c\n" {
				t.Errorf("log = %q, want each line once", got.String())
			}
			if once := f.call(t, "GET", "/v1/sandboxes/"+r.ID+"/logs", ""); once.body != "[1] a\n[2] b\n[3] c\n" {
				t.Errorf("log afterwards = %q, want the tail", once.body)
			}
		})
	}
}

func TestLogsNow(t *testing.T) {
	t.Parallel()
	f := start(t)
	r := f.sandbox(t, "one", sandbox.Building, sandbox.Starting)
	if got := f.call(t, "GET", "/v1/sandboxes/"+r.ID+"/logs", ""); got.StatusCode != http.StatusOK || got.body != "" {
		t.Errorf("logs before any: %d %q, want 200 and none", got.StatusCode, got.body)
	}
	f.runtime.print(sandbox.PhaseBuild, "b\n")
	f.runtime.print(sandbox.PhaseServe, "s\n")
	for query, want := range map[string]string{"": "b\ns\n", "?phase=build": "b\n", "?phase=serve": "s\n", "?phase=serve&offset=1": "\n", "?phase=serve&offset=99": "", "?phase=build&limit=1": "b", "?phase=build&limit=1&offset=1": "\n", "?phase=serve&limit=9": "s\n"} {
		if got := f.call(t, "GET", "/v1/sandboxes/"+r.ID+"/logs"+query, ""); got.body != want {
			t.Errorf("logs%s = %q, want %q", query, got.body, want)
		}
	}
	for _, query := range []string{"phase=run", "offset=-1&phase=build", "offset=x", "offset=5", "follow=perhaps", "limit=0&phase=build", "limit=x&phase=build", "limit=5", "limit=5&phase=build&follow=1"} {
		f.call(t, "GET", "/v1/sandboxes/"+r.ID+"/logs?"+query, "").wantProblem(t, 400, "invalid")
	}
	f.call(t, "GET", "/v1/sandboxes/"+sandbox.IDFor("nobody")+"/logs", "").wantProblem(t, 404, "not-found")
	f.move(t, r.ID, sandbox.Failed, func(r *sandbox.Record) { r.Reason, r.LogTail = "broken", "tail\n" })
	for query, want := range map[string]string{"": "tail\n", "?phase=build&limit=3": "tai", "?phase=build&limit=3&offset=3": "l\n", "?phase=build&limit=3&offset=5": ""} {
		if got := f.call(t, "GET", "/v1/sandboxes/"+r.ID+"/logs"+query, ""); got.body != want {
			t.Errorf("of an ended sandbox: logs%s = %q, want %q", query, got.body, want)
		}
	}
}

func TestDrainEndsStreams(t *testing.T) {
	t.Parallel()
	f := start(t)
	r := f.sandbox(t, "one", sandbox.Building)
	f.runtime.print(sandbox.PhaseBuild, "one\n")
	logs, _ := f.stream(t, "/v1/sandboxes/"+r.ID+"/logs?follow=1")
	wantLine(t, logs, "one")
	events, _ := f.stream(t, "/v1/sandboxes/"+r.ID+"/events")
	wantLine(t, events, "event: sandbox")
	f.gateway.Drain()
	wantEnd(t, logs)
	if _, err := io.ReadAll(events); err != nil {
		t.Errorf("event stream: %v, want a clean end", err)
	}
}

func TestEventsShowEachChangeAndEnd(t *testing.T) {
	t.Parallel()
	f := start(t)
	r := f.sandbox(t, "one")
	lines, resp := f.stream(t, "/v1/sandboxes/"+r.ID+"/events")
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type = %q", got)
	}
	next := func(state sandbox.State, version string) {
		t.Helper()
		wantLine(t, lines, "event: sandbox")
		wantLine(t, lines, "id: "+version)
		data, err := lines.ReadString('\n')
		if err != nil || !strings.Contains(data, `"state":"`+string(state)+`"`) {
			t.Fatalf("data %q, %v; want state %s", data, err, state)
		}
		wantLine(t, lines, "")
	}
	next(sandbox.Requested, "1")
	f.move(t, r.ID, sandbox.Building, nil)
	next(sandbox.Building, "2")
	f.move(t, r.ID, sandbox.Failed, func(r *sandbox.Record) { r.Reason = "two\nlines" })
	next(sandbox.Failed, "3")
	wantEnd(t, lines)
	f.call(t, "GET", "/v1/sandboxes/"+sandbox.IDFor("nobody")+"/events", "").wantProblem(t, 404, "not-found")
}

func TestLiveEndpointsNeedAReadySandbox(t *testing.T) {
	t.Parallel()
	f := start(t)
	r := f.sandbox(t, "one", sandbox.Building)
	calls := []struct{ method, path string }{
		{"GET", "/files"}, {"GET", "/files/a"}, {"PUT", "/files/a"}, {"DELETE", "/files/a"}, {"POST", "/commands"}, {"GET", "/errors"}, {"DELETE", "/errors"},
	}
	for _, c := range calls {
		f.call(t, c.method, "/v1/sandboxes/"+r.ID+c.path, `{"commands":["ls"]}`).wantProblem(t, 409, "not-ready")
	}
	f.move(t, r.ID, sandbox.Starting, nil)
	f.move(t, r.ID, sandbox.Ready, nil) // at an address where nothing listens
	for _, c := range calls {
		f.call(t, c.method, "/v1/sandboxes/"+r.ID+c.path, `{"commands":["ls"]}`).wantProblem(t, 503, "unavailable")
	}
	f.call(t, "PUT", "/v1/sandboxes/"+r.ID+"/files/a", strings.Repeat("x", sandbox.ControlFileLimit+1)).wantProblem(t, 413, "too-large")
	f.call(t, "POST", "/v1/sandboxes/"+r.ID+"/commands", `{"commands":[]}`).wantProblem(t, 400, "invalid")
	f.call(t, "POST", "/v1/sandboxes/"+r.ID+"/commands", `{"cmd":"x"}`).wantProblem(t, 400, "invalid")
}

func TestUploadIsStoredUnderItsDigest(t *testing.T) {
	t.Parallel()
	f := start(t)
	archive := "\x1f\x8b rest of an archive"
	var first, second gateway.Source
	got := f.call(t, "POST", "/v1/sources", archive)
	got.decode(t, &first)
	f.call(t, "POST", "/v1/sources", archive).decode(t, &second)
	if got.StatusCode != http.StatusCreated || first != second || first.Size != int64(len(archive)) {
		t.Errorf("uploads: %d, %+v and %+v; want the same twice", got.StatusCode, first, second)
	}
	if want := "file:///sources/" + gateway.SourcePrefix + first.SHA256 + ".tar.gz"; first.ArchiveURI != want {
		t.Errorf("archiveUri = %q, want %q", first.ArchiveURI, want)
	}
	stored, err := f.sources.ReadAll(t.Context(), gateway.SourcePrefix+first.SHA256+".tar.gz")
	if err != nil || string(stored) != archive {
		t.Errorf("stored %q, %v", stored, err)
	}
	f.call(t, "POST", "/v1/sources", "plain text").wantProblem(t, 400, "invalid")
	f.call(t, "POST", "/v1/sources", "").wantProblem(t, 400, "invalid")
	f.call(t, "POST", "/v1/sources", "\x1f\x8b"+strings.Repeat("x", gateway.MaxSource)).wantProblem(t, 413, "too-large")
}
