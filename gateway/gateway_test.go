package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"vibesdk-gcp/events"
	"vibesdk-gcp/gateway"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/sandbox/sqlsandbox"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/sqlsession"
	"vibesdk-gcp/schemas"
)

// outbox keeps what the gateway published. The bus itself is in the tests of cmd/internal/app.
type outbox struct {
	mu   sync.Mutex
	sent []events.Message
	to   []string
	err  error
}

func (o *outbox) Publish(_ context.Context, topic events.Topic, msgs ...events.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	for _, m := range msgs {
		o.sent, o.to = append(o.sent, m), append(o.to, topic.Name)
	}
	return nil
}

// logbook is a runtime whose logs and progress the test writes.
type logbook struct {
	mu     sync.Mutex
	logs   map[sandbox.Phase]string
	status sandbox.Status
	gone   bool
	looks  int
}

func (l *logbook) Inspect(context.Context, sandbox.Ref) (sandbox.Status, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looks++
	return l.status, nil
}

func (l *logbook) Logs(_ context.Context, _ sandbox.Ref, phase sandbox.Phase, offset int64) (io.ReadCloser, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text, ok := l.logs[phase]
	if !ok || l.gone {
		return nil, sandbox.ErrNotFound
	}
	return io.NopCloser(strings.NewReader(text[min(offset, int64(len(text))):])), nil
}

func (l *logbook) print(phase sandbox.Phase, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.logs[phase] += text
}

func (l *logbook) report(s sandbox.Status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status = s
}

type fixture struct {
	*httptest.Server

	gateway *gateway.Gateway
	outbox  *outbox
	runtime *logbook
	records *sandbox.Records
	sources *blob.Bucket
}

func start(t testing.TB, change ...func(*gateway.Options)) *fixture {
	t.Helper()
	db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "test.db"), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Migrate(t.Context(), schemas.SQL()); err != nil {
		t.Fatal(err)
	}
	f := &fixture{
		outbox: &outbox{}, runtime: &logbook{logs: map[sandbox.Phase]string{}},
		records: sandbox.NewRecords(sqlsandbox.New(db)), sources: memblob.OpenBucket(nil),
	}
	t.Cleanup(func() { f.sources.Close() })
	o := gateway.Options{
		Publisher: f.outbox, Records: f.records, Runtime: f.runtime,
		Sessions: session.NewReader(sqlsession.New(db), session.Options{}),
		Sources:  f.sources, SourcesURL: "file:///sources",
		PreviewURL: func(id, token string) string { return "http://" + id + "-" + token + ".preview.test/" },
		PollEvery:  2 * time.Millisecond,
	}
	for _, c := range change {
		c(&o)
	}
	if f.gateway, err = gateway.New(o); err != nil {
		t.Fatal(err)
	}
	f.Server = httptest.NewServer(handlerOf(t, f.gateway))
	t.Cleanup(f.Server.Close)
	return f
}

// answer is what a call got.
type answer struct {
	*http.Response

	body string
}

func (f *fixture) call(t testing.TB, method, path, body string, change ...func(*http.Request)) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(req)
	}
	resp, err := f.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp, string(data)}
}

func (a answer) decode(t testing.TB, into any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader([]byte(a.body)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		t.Fatalf("answer %q: %v", a.body, err)
	}
}

// wantProblem checks that the answer is a problem document of the given kind.
func (a answer) wantProblem(t *testing.T, status int, kind string) gateway.Problem {
	t.Helper()
	var p gateway.Problem
	a.decode(t, &p)
	if a.StatusCode != status || p.Status != status || p.Type != "urn:vibesdk:problem:"+kind || a.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("answer %d %s %s, want problem %d %s", a.StatusCode, a.Header.Get("Content-Type"), a.body, status, kind)
	}
	return p
}

// sandbox stores a record in the first state and moves it on.
func (f *fixture) sandbox(t *testing.T, requestID string, states ...sandbox.State) sandbox.Record {
	t.Helper()
	now := time.Now()
	r := sandbox.Record{
		ID: sandbox.IDFor(requestID), RequestID: requestID, Fingerprint: "f", ProjectName: "demo", State: sandbox.Requested,
		Fence: 1, Token: sandbox.NewToken(), ControlToken: sandbox.NewControlToken(), TTL: time.Hour, Idle: time.Minute,
		CreatedAt: now, ExpiresAt: now.Add(time.Hour), PhaseDeadline: now.Add(time.Minute),
	}
	spec := sandbox.Spec{ProjectName: "demo", StaticDir: ".", Source: sandbox.Source{Files: []sandbox.File{{Path: "index.html", Data: []byte("hi")}}}}
	if err := f.records.Create(t.Context(), r, spec); err != nil {
		t.Fatal(err)
	}
	for _, state := range states {
		r = f.move(t, r.ID, state, nil)
	}
	return r
}

func (f *fixture) move(t *testing.T, id string, to sandbox.State, change func(*sandbox.Record)) sandbox.Record {
	t.Helper()
	r, err := f.records.Update(t.Context(), id, func(r *sandbox.Record) error {
		r.State = to
		if to == sandbox.Ready {
			r.Endpoint, r.PhaseDeadline = "127.0.0.1:1", time.Time{}
		}
		if change != nil {
			change(r)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// handlerOf holds the gateway of a test against its document.
func handlerOf(t testing.TB, g *gateway.Gateway) http.Handler {
	if t, ok := t.(*testing.T); ok {
		return conform(t, g)
	}
	return g
}
