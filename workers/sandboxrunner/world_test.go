package sandboxrunner_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"testing"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/sandbox/sandboxtest"
	"vibesdk-gcp/workers/sandboxrunner"
	"vibesdk-gcp/workers/workertest"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// patience bounds every wait for what comes about by itself. It is a limit for what hangs; no case measures time.
const patience = 3 * time.Minute

// world is a runner on the real platform.
type world struct {
	*workertest.Sandboxes
	*sandboxrunner.Runner
	options sandboxrunner.Options
}

func newWorld(t *testing.T, change ...func(*sandboxrunner.Options)) *world {
	t.Helper()
	return newWorldOn(t, workertest.NewSandboxes(t, nil), change...)
}

func newWorldOn(t *testing.T, s *workertest.Sandboxes, change ...func(*sandboxrunner.Options)) *world {
	t.Helper()
	w := &world{Sandboxes: s, options: sandboxrunner.Options{
		Records: s.Records, Runtime: s.Runtime, Routes: s.Routes, Logger: slog.New(slog.DiscardHandler),
	}}
	for _, c := range change {
		c(&w.options)
	}
	w.Runner = sandboxrunner.New(w.options)
	return w
}

// Restart ends all processes and goes on with a runner on the new runtime.
func (w *world) Restart(t *testing.T) {
	t.Helper()
	w.Sandboxes.Restart(t)
	w.options.Runtime = w.Runtime
	w.Runner = sandboxrunner.New(w.options)
}

func at(now func() time.Time) func(*sandboxrunner.Options) {
	return func(o *sandboxrunner.Options) { o.Now = now }
}

// app is a request for a small static app whose build command is given.
func app(requestID, build string, more ...map[string]any) events.Message {
	fields := map[string]any{
		"requestId": requestID, "projectName": "shop", "buildCommand": build, "staticDir": ".",
		"source": map[string]any{"files": []any{map[string]any{"path": "index.html", "content": "hello from " + requestID}}},
	}
	for _, m := range more {
		for k, v := range m {
			fields[k] = v
		}
	}
	return message(fields)
}

func stop(requestID, reason string) events.Message {
	return message(map[string]any{"requestId": "stop-" + requestID, "action": "STOP", "sandboxId": sandbox.IDFor(requestID), "stopReason": reason})
}

func resume(requestID string) events.Message {
	return message(map[string]any{"requestId": "resume-" + requestID, "action": "RESUME", "sandboxId": sandbox.IDFor(requestID)})
}

func message(fields map[string]any) events.Message {
	data, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return events.Message{ID: fmt.Sprint("m-", fields["requestId"]), Data: data}
}

// deliver delivers the message until it is done and fails if it is parked.
func (w *world) deliver(t *testing.T, m events.Message) {
	t.Helper()
	if parked := w.try(t, m); parked != nil {
		t.Fatalf("message %s was parked: %v", m.ID, parked)
	}
}

func (w *world) try(t *testing.T, m events.Message) (parked error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	parked, err := workertest.Deliver(ctx, w.Handle, m)
	if err != nil {
		t.Fatal(err)
	}
	return parked
}

func (w *world) load(t *testing.T, requestID string) sandbox.Record {
	t.Helper()
	rec, err := w.Records.Load(t.Context(), sandbox.IDFor(requestID))
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// await polls until the record satisfies ok.
func (w *world) await(t *testing.T, requestID string, ok func(sandbox.Record) bool) sandbox.Record {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		rec, err := w.Records.Load(t.Context(), sandbox.IDFor(requestID))
		if err == nil && ok(rec) {
			return rec
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %+v (%v)", rec, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// printed waits until the first generation's build has printed the words.
func (w *world) printed(t *testing.T, requestID, words string) {
	t.Helper()
	sandboxtest.Printed(t, w.Runtime, sandbox.Ref{ID: sandbox.IDFor(requestID), Fence: 1}, sandbox.PhaseBuild, words)
}

// get fetches the preview's first page from where its route leads.
func (w *world) get(t *testing.T, requestID string) string {
	t.Helper()
	route, err := w.Routes.Preview(t.Context(), sandbox.IDFor(requestID))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + route.Endpoint + "/")
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

// state is the one sandbox that there is.
func (w *world) state(t *testing.T) workertest.SandboxState {
	t.Helper()
	all, err := w.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 {
		t.Fatalf("there are %d sandboxes: %+v", len(all), all)
	}
	return all[0]
}
