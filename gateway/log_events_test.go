package gateway_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/platform/sandbox"
)

// logLine is one event as it came.
type logLine struct {
	name, id, data string
}

// events opens a stream of events; next returns false at its end.
func (f *fixture) logEvents(t *testing.T, path, lastID string) (next func() (logLine, bool), resp *http.Response) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	if resp, err = f.Client().Do(req); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	return func() (logLine, bool) {
		var e logLine
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "event":
				e.name = value
			case "id":
				e.id = value
			case "data":
				e.data = value
			}
			if lines.Text() == "" && e.data != "" {
				return e, true
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatalf("stream: %v", err)
		}
		return logLine{}, false
	}, resp
}

// log reads events until their text is want, and returns the last one's id.
func wantLog(t *testing.T, next func() (logLine, bool), generation int64, phase sandbox.Phase, want string) (id string) {
	t.Helper()
	var text string
	for len(text) < len(want) {
		e, ok := next()
		if !ok {
			t.Fatalf("the stream ended after %q, want %q", text, want)
		}
		var data gateway.LogEvent
		if err := json.Unmarshal([]byte(e.data), &data); err != nil || e.name != "log" || data.Generation != generation || data.Phase != phase {
			t.Fatalf("event %+v, %v; want log of generation %d, phase %s", e, err, generation, phase)
		}
		text, id = text+data.Text, e.id
	}
	if text != want {
		t.Fatalf("text %q, want %q", text, want)
	}
	return id
}

func TestLogEventsGoOnWhereTheCallerWas(t *testing.T) {
	t.Parallel()
	f := start(t)
	r := f.sandbox(t, "one", sandbox.Building)
	f.runtime.report(sandbox.Status{Build: sandbox.Running})
	f.runtime.print(sandbox.PhaseBuild, "one\ntwo\nha")
	path := "/v1/sandboxes/" + r.ID + "/logs"
	next, resp := f.logEvents(t, path, "")
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || got != "text/event-stream" || resp.Header.Get("Vary") != "Accept" {
		t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	id := wantLog(t, next, 1, sandbox.PhaseBuild, "one\ntwo\n") // half a line waits
	if id != "1.build.8" {
		t.Errorf("id %q, want 1.build.8", id)
	}
	resp.Body.Close()

	f.runtime.print(sandbox.PhaseBuild, "lf ü\n")
	next, _ = f.logEvents(t, path, id)
	wantLog(t, next, 1, sandbox.PhaseBuild, "half ü\n")
	f.runtime.report(sandbox.Status{Build: sandbox.Done})
	f.move(t, r.ID, sandbox.Starting, nil)
	f.runtime.print(sandbox.PhaseServe, "serving\n")
	if id = wantLog(t, next, 1, sandbox.PhaseServe, "serving\n"); id != "1.serve.8" {
		t.Errorf("id %q, want 1.serve.8", id)
	}

	f.move(t, r.ID, sandbox.Stopping, nil)
	f.runtime.print(sandbox.PhaseServe, "bye, and no end of line")
	wantEvent := "bye, and no end of line"
	f.move(t, r.ID, sandbox.Deleted, func(r *sandbox.Record) { r.Reason, r.LogTail = "asked for", "serving\nbye, and no end of line" })
	wantLog(t, next, 1, sandbox.PhaseServe, wantEvent)
	last, ok := next()
	if !ok || last.name != "end" || last.id != "end" {
		t.Errorf("last event %+v, %v", last, ok)
	}
	if e, ok := next(); ok {
		t.Errorf("after the end came %+v", e)
	}
	if got := f.call(t, "GET", path, "", header("Accept", "text/event-stream"), header("Last-Event-ID", "end")); got.StatusCode != http.StatusNoContent {
		t.Errorf("after the end: %s, want 204", got.Status)
	}
	// Whoever comes back after the files are gone gets the tail.
	f.runtime.gone = true
	next, _ = f.logEvents(t, path, id)
	wantLog(t, next, 1, sandbox.PhaseServe, "serving\nbye, and no end of line")
}

func TestLogEventsOfANewGeneration(t *testing.T) {
	t.Parallel()
	f := start(t)
	r := f.sandbox(t, "one", sandbox.Building)
	f.runtime.report(sandbox.Status{Build: sandbox.Running})
	f.runtime.print(sandbox.PhaseBuild, "first\n")
	next, _ := f.logEvents(t, "/v1/sandboxes/"+r.ID+"/logs?phase=build", "")
	id := wantLog(t, next, 1, sandbox.PhaseBuild, "first\n")
	f.move(t, r.ID, sandbox.Requested, func(r *sandbox.Record) {
		r.Fence, r.Token, r.ControlToken = 2, sandbox.NewToken(), sandbox.NewControlToken()
	})
	wantLog(t, next, 2, sandbox.PhaseBuild, "first\n") // the runtime of the test prints the same for all
	next, _ = f.logEvents(t, "/v1/sandboxes/"+r.ID+"/logs?phase=build", id)
	wantLog(t, next, 2, sandbox.PhaseBuild, "first\n")
}

func TestLogEventsRefuseIDsOfOthers(t *testing.T) {
	t.Parallel()
	f := start(t)
	r := f.sandbox(t, "one", sandbox.Building)
	for _, id := range []string{"x", "1", "1.build", "1.build.x", "1.build.-1", "0.build.0", "-1.build.0", "1.cook.0", "2.build.0", "01.build.0", "1.build.+1", "1.serve.0"} {
		got := f.call(t, "GET", "/v1/sandboxes/"+r.ID+"/logs?phase=build", "", header("Accept", "text/event-stream"), header("Last-Event-ID", id))
		if p := got.wantProblem(t, 400, "invalid"); len(p.Faults) != 1 || p.Faults[0].Field != "Last-Event-ID" {
			t.Errorf("id %q: %s", id, got.body)
		}
	}
	f.call(t, "GET", "/v1/sandboxes/sbx-none/logs", "", header("Accept", "text/event-stream")).wantProblem(t, 404, "not-found")
}

func TestLongLinesComeInPiecesOfWholeCharacters(t *testing.T) {
	t.Parallel()
	f := start(t)
	r := f.sandbox(t, "one", sandbox.Building)
	f.runtime.report(sandbox.Status{Build: sandbox.Running})
	text := "x" + strings.Repeat("ü€😀", 30_000) + "\n"
	f.runtime.print(sandbox.PhaseBuild, text)
	next, _ := f.logEvents(t, "/v1/sandboxes/"+r.ID+"/logs", "")
	wantLog(t, next, 1, sandbox.PhaseBuild, text)
}
