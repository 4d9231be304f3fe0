package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/sqlbus"
	"vibesdk-gcp/gateway"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/sqlsession"
	"vibesdk-gcp/schemas"
	"vibesdk-gcp/workers/statewriter"
)

// live is a gateway over the embedded bus with a state writer behind it.
type live struct {
	*fixture

	store *session.Store
	bus   *events.Bus
}

func startLive(t testing.TB, change ...func(*gateway.Options)) *live {
	t.Helper()
	return startLiveOn(t, "sqlite:"+filepath.Join(t.TempDir(), "sessions.db"), change...)
}

// startLiveOn is startLive on a database that several may share.
func startLiveOn(t testing.TB, database string, change ...func(*gateway.Options)) *live {
	t.Helper()
	return startLiveWith(t, database, nil, change...)
}

// startLiveWith is startLiveOn with sessions that are kept elsewhere; nil is in the database.
func startLiveWith(t testing.TB, database string, sessions session.Driver, change ...func(*gateway.Options)) *live {
	t.Helper()
	db, err := sqldb.Open(t.Context(), database, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Migrate(t.Context(), schemas.SQL()); err != nil {
		t.Fatal(err)
	}
	driver, err := sqlbus.New(t.Context(), db, sqlbus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := &live{bus: events.New(driver, events.Options{})}
	t.Cleanup(func() { l.bus.Close() })
	if sessions == nil {
		sessions = sqlsession.New(db)
	}
	l.store = session.NewStore(sessions, session.Options{})
	l.fixture = start(t, append([]func(*gateway.Options){func(o *gateway.Options) {
		o.Publisher, o.Sessions = l.bus, l.store.Reader
	}}, change...)...)
	writer := statewriter.New(statewriter.Options{Store: l.store, Payloads: bucketOf{l.fixture}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.bus.ConsumeBatches(ctx, events.StateWriter, writer.Handle) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("state writer: %v", err)
		}
	})
	return l
}

// bucketOf reads what the gateway stored.
type bucketOf struct{ *fixture }

func (b bucketOf) Read(ctx context.Context, address string, limit int64) ([]byte, error) {
	key, ok := strings.CutPrefix(address, "file:///sources/")
	if !ok {
		return nil, fmt.Errorf("%s is not in the bucket", address)
	}
	data, err := b.sources.ReadAll(ctx, key)
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%d bytes, limit %d", len(data), limit)
	}
	return data, err
}

// with sets headers, given in pairs.
func with(headers ...string) func(*http.Request) {
	return func(r *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
}

// applied makes a write that must be applied.
func (l *live) applied(t *testing.T, method, path, body string, change ...func(*http.Request)) gateway.MutationResult {
	t.Helper()
	got := l.call(t, method, path, body, change...)
	if got.StatusCode != http.StatusOK && got.StatusCode != http.StatusCreated {
		t.Fatalf("%s %s: %d %s", method, path, got.StatusCode, got.body)
	}
	var m gateway.MutationResult
	got.decode(t, &m)
	if m.Code != "applied" || m.MutationID == "" || m.Version == 0 || m.At.IsZero() || got.Header.Get("ETag") != etag(m.Version) {
		t.Fatalf("%s %s: %s, ETag %s", method, path, got.body, got.Header.Get("ETag"))
	}
	return m
}

func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

const (
	merge = "application/merge-patch+json"
	patch = "application/json-patch+json"
)

func TestAStateIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	body := "{ \"n\": 1.0, \"big\":1e400,\n\"x\":\"<&>\\u2028\", \"deep\":[[[]]], \"\":null}"
	l.call(t, "GET", "/v1/sessions/chat/state", "").wantProblem(t, 404, "not-found")
	first := l.applied(t, "PUT", "/v1/sessions/chat/state", body)
	got := l.call(t, "GET", "/v1/sessions/chat/state", "")
	if got.StatusCode != http.StatusOK || got.body != body || got.Header.Get("ETag") != etag(first.Version) || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("GET: %d %q, %v", got.StatusCode, got.body, got.Header)
	}
	head := l.call(t, "HEAD", "/v1/sessions/chat/state", "")
	if head.StatusCode != http.StatusOK || head.body != "" || head.Header.Get("Content-Length") != strconv.Itoa(len(body)) || head.Header.Get("ETag") != etag(first.Version) {
		t.Errorf("HEAD: %d, %v", head.StatusCode, head.Header)
	}
	for tag, want := range map[string]int{
		etag(first.Version): 304, "W/" + etag(first.Version): 304, `"999", ` + etag(first.Version): 304, "*": 304, `"999"`: 200, "junk": 200,
	} {
		got := l.call(t, "GET", "/v1/sessions/chat/state", "", with("If-None-Match", tag))
		if got.StatusCode != want || want == 304 && got.body != "" || got.Header.Get("ETag") != etag(first.Version) {
			t.Errorf("If-None-Match %s: %d, want %d", tag, got.StatusCode, want)
		}
	}
	second := l.applied(t, "PATCH", "/v1/sessions/chat/state", `{"n":2.50,"":null}`, with("Content-Type", merge))
	if second.Version != first.Version+1 {
		t.Errorf("versions %d, then %d", first.Version, second.Version)
	}
	third := l.applied(t, "PATCH", "/v1/sessions/chat/state", `[{"op":"replace","path":"/deep","value":[1]}]`, with("Content-Type", patch+"; charset=utf-8"))
	l.applied(t, "POST", "/v1/sessions/chat:append", `{"path":"/deep","value":"end"}`)
	got = l.call(t, "GET", "/v1/sessions/chat/state", "")
	var now map[string]json.RawMessage
	if err := json.Unmarshal([]byte(got.body), &now); err != nil {
		t.Fatal(err)
	}
	if string(now["n"]) != "2.50" || string(now["big"]) != "1e400" || strings.ReplaceAll(string(now["deep"]), " ", "") != `[1,"end"]` || got.Header.Get("ETag") != etag(third.Version+1) {
		t.Errorf("after patches: %s", got.body)
	}
	refused := l.call(t, "PATCH", "/v1/sessions/chat/state", `{}`, with("Content-Type", "application/json"))
	refused.wantProblem(t, 415, "media-type")
	if refused.Header.Get("Accept-Patch") == "" {
		t.Error("a refused patch does not say which kinds are taken")
	}
}

func TestPartsAreApart(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	l.applied(t, "PUT", "/v1/sessions/p/parts/state", `{"a":1}`)
	l.applied(t, "POST", "/v1/sessions/p:append", `{"part":"full_conversations","value":{"role":"user"}}`)
	l.applied(t, "PUT", "/v1/sessions/p/parts/mcp_servers", `{"s1":{"name":"x"}}`)
	for path, want := range map[string]string{"state": `{"a":1}`, "parts/state": `{"a":1}`, "parts/full_conversations": `[{"role":"user"}]`, "parts/mcp_servers": `{"s1":{"name":"x"}}`} {
		if got := l.call(t, "GET", "/v1/sessions/p/"+path, ""); got.body != want {
			t.Errorf("%s: %d %s, want %s", path, got.StatusCode, got.body, want)
		}
	}
	l.call(t, "GET", "/v1/sessions/p/parts/compact_conversations", "").wantProblem(t, 404, "not-found")
	for _, method := range []string{"GET", "PUT"} {
		if p := l.call(t, method, "/v1/sessions/p/parts/jobs", `[]`).wantProblem(t, 400, "invalid"); p.Faults[0].Field != "part" {
			t.Errorf("faults %+v", p.Faults)
		}
	}
	var detail gateway.SessionDetail
	l.call(t, "GET", "/v1/sessions/p", "").decode(t, &detail)
	if !detail.Present || detail.Initialized || len(detail.Parts) != 3 || detail.Parts[0].Name != "full_conversations" || detail.Parts[0].Size != 17 {
		t.Errorf("detail %+v", detail)
	}
}

func TestPreconditions(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	const path = "/v1/sessions/c/state"
	created := l.applied(t, "PUT", path, `1`, with("If-None-Match", "*"))
	stale := l.call(t, "PUT", path, `2`, with("If-None-Match", "*"))
	p := stale.wantProblem(t, 412, "version")
	if p.Version == nil || *p.Version != created.Version || stale.Header.Get("ETag") != etag(created.Version) {
		t.Errorf("412 tells version %v, ETag %s; want %d", p.Version, stale.Header.Get("ETag"), created.Version)
	}
	second := l.applied(t, "PUT", path, `2`, with("If-Match", etag(created.Version)))
	l.call(t, "PUT", path, `3`, with("If-Match", etag(created.Version))).wantProblem(t, 412, "version")
	if got := l.call(t, "GET", path, ""); got.body != "2" || got.Header.Get("ETag") != etag(second.Version) {
		t.Errorf("after refused writes: %s, ETag %s", got.body, got.Header.Get("ETag"))
	}
	for _, headers := range [][]string{
		{"If-Match", "2"}, {"If-Match", `"x"`}, {"If-Match", "*"}, {"If-Match", `W/"2"`}, {"If-Match", `"1", "2"`}, {"If-None-Match", `"2"`}, {"If-Match", `"2"`, "If-None-Match", "*"},
	} {
		if p := l.call(t, "PUT", path, `4`, with(headers...)).wantProblem(t, 400, "invalid"); len(p.Faults) != 1 || !strings.HasPrefix(p.Faults[0].Field, "If-") {
			t.Errorf("%v: faults %+v", headers, p.Faults)
		}
	}
}

func TestTheSameKeyIsOneWrite(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	const path = "/v1/sessions/k/state"
	key := with("Idempotency-Key", "write 1/ü")
	l.applied(t, "PUT", path, `{"n":0}`)
	first := l.applied(t, "PATCH", path, `{"n":1}`, key, with("Content-Type", merge))
	l.applied(t, "PUT", path, `{"n":2}`)
	again := l.applied(t, "PATCH", path, `{"n":1}`, key, with("Content-Type", merge))
	if first.Duplicate || !again.Duplicate || again.Version != first.Version || again.MutationID != "write 1/ü" {
		t.Errorf("first %+v, again %+v", first, again)
	}
	l.call(t, "PATCH", path, `{"n":9}`, key, with("Content-Type", merge)).wantProblem(t, 422, "id-reused")
	l.call(t, "PUT", path, `{"n":1}`, key).wantProblem(t, 422, "id-reused")
	if got := l.call(t, "GET", path, ""); got.body != `{"n":2}` {
		t.Errorf("state %s", got.body)
	}
	// A refusal is remembered as well.
	refused := with("Idempotency-Key", "r", "If-Match", `"99"`)
	l.call(t, "PUT", path, `1`, refused).wantProblem(t, 412, "version")
	l.call(t, "PUT", path, `1`, refused).wantProblem(t, 412, "version")
	if p := l.call(t, "PUT", path, `1`, with("Idempotency-Key", strings.Repeat("x", 129))).wantProblem(t, 400, "invalid"); p.Faults[0].Field != "Idempotency-Key" || !strings.Contains(p.Faults[0].Message, "128") {
		t.Errorf("faults %+v", p.Faults)
	}
}

func TestALifeOfASession(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	l.applied(t, "POST", "/v1/sessions/src:initialize", `{"metadata":{"agentId":"src"},"behaviorType":"phasic"}`)
	l.call(t, "POST", "/v1/sessions/src:initialize", `{}`).wantProblem(t, 409, "initialized")
	l.call(t, "POST", "/v1/sessions/copy:clone", `{"from":"nobody"}`).wantProblem(t, 404, "not-found")
	// A name may hold a colon and a slash.
	l.applied(t, "POST", "/v1/sessions/team%2Fa:b:clone", `{"from":"src"}`)
	l.call(t, "POST", "/v1/sessions/team%2Fa:b:clone", `{"from":"src"}`).wantProblem(t, 409, "conflict")
	if got := l.call(t, "GET", "/v1/sessions/team%2Fa:b/state", ""); got.StatusCode != http.StatusOK || !strings.Contains(got.body, `"phasic"`) {
		t.Errorf("clone: %d %s", got.StatusCode, got.body)
	}
	if p := l.call(t, "POST", "/v1/sessions/src:clone", `{"from":"src"}`).wantProblem(t, 400, "invalid"); p.Faults[0].Field != "from" {
		t.Errorf("faults %+v", p.Faults)
	}
	var page gateway.SessionPage
	l.call(t, "GET", "/v1/sessions?limit=1", "").decode(t, &page)
	if len(page.Sessions) != 1 || page.Sessions[0].ID != "src" || page.Next != "src" || !page.Sessions[0].Initialized {
		t.Errorf("first page %+v", page)
	}
	page = gateway.SessionPage{}
	l.call(t, "GET", "/v1/sessions?after=src", "").decode(t, &page)
	if len(page.Sessions) != 1 || page.Sessions[0].ID != "team/a:b" || page.Next != "" {
		t.Errorf("second page %+v", page)
	}
	before := l.applied(t, "DELETE", "/v1/sessions/src", "")
	l.applied(t, "POST", "/v1/sessions/team%2Fa:b:destroy", "")
	l.call(t, "GET", "/v1/sessions/src", "").wantProblem(t, 404, "not-found")
	l.call(t, "GET", "/v1/sessions/src/state", "").wantProblem(t, 404, "not-found")
	var history gateway.SessionHistory
	l.call(t, "GET", "/v1/sessions/src/history", "").decode(t, &history)
	if len(history.Entries) != 3 || history.Entries[0].Kind != "destroy" || history.Entries[1].Code != "initialized" || history.Entries[1].Reason == "" || history.Entries[2].Kind != "initialize" {
		t.Errorf("history %+v", history.Entries)
	}
	again := l.applied(t, "POST", "/v1/sessions/src:initialize", `{}`, with("If-None-Match", "*"))
	if again.Version <= before.Version {
		t.Errorf("version %d after %d: it went back", again.Version, before.Version)
	}
}

func TestReadingMakesNoSession(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	for _, path := range []string{"", "/state", "/parts/mcp_servers", "/history", "/events", "/schedules", "/schedules/x", "/queue", "/queue/x", "/export", "/mutations/m"} {
		l.call(t, "GET", "/v1/sessions/ghost"+path, "").wantProblem(t, 404, "not-found")
	}
	if _, err := l.store.Load(t.Context(), "ghost"); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("after the reads: %v, want ErrNotFound", err)
	}
}

func TestAnswersBeforeTheOutcome(t *testing.T) {
	t.Parallel()
	f := start(t) // nothing consumes
	for name, headers := range map[string][]string{"async": {"Prefer", "respond-async"}, "wait over": {"Prefer", "wait=0"}} {
		got := f.call(t, "PUT", "/v1/sessions/a%2Fb/state", `{}`, with(headers...), with("Idempotency-Key", "m/1"))
		var m gateway.MutationResult
		got.decode(t, &m)
		location := got.Header.Get("Location")
		if got.StatusCode != http.StatusAccepted || m.MutationID != "m/1" || m.Code != "pending" || location != "/v1/sessions/a%2Fb/mutations/m%2F1" || got.Header.Get("Preference-Applied") == "" {
			t.Errorf("%s: %d %s, Location %s", name, got.StatusCode, got.body, location)
		}
		f.call(t, "GET", location, "").wantProblem(t, 404, "not-found")
	}
	sent, err := schemas.DecodeStateMutation(f.outbox.sent[0].Data)
	if err != nil || sent.GetSessionId() != "a/b" || sent.GetMutationId() != "m/1" || f.outbox.sent[0].Key != "a/b" || f.outbox.to[0] != "state-mutations" {
		t.Errorf("sent %v with key %q to %s, %v", sent, f.outbox.sent[0].Key, f.outbox.to[0], err)
	}
}

func TestTheDefaultWaitEnds(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) { o.WaitFor = time.Millisecond })
	if got := f.call(t, "DELETE", "/v1/sessions/a", ""); got.StatusCode != http.StatusAccepted {
		t.Errorf("without an outcome: %d %s", got.StatusCode, got.body)
	}
	g := start(t, func(o *gateway.Options) { o.WaitFor = time.Hour })
	g.gateway.Drain()
	if got := g.call(t, "DELETE", "/v1/sessions/a", ""); got.StatusCode != http.StatusAccepted {
		t.Errorf("while stopping: %d %s", got.StatusCode, got.body)
	}
}

func TestAnOutcomeCanBeAskedFor(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	got := l.call(t, "POST", "/v1/sessions/o:initialize", `{}`, with("Prefer", "respond-async", "Idempotency-Key", "init"))
	var m gateway.MutationResult
	l.call(t, "GET", got.Header.Get("Location"), "", with("Prefer", "wait=60")).decode(t, &m)
	if m.Code != "applied" || m.Version != 1 || m.MutationID != "init" {
		t.Errorf("outcome %+v", m)
	}
	l.call(t, "POST", "/v1/sessions/o:initialize", `{}`, with("Idempotency-Key", "twice")).wantProblem(t, 409, "initialized")
	m = gateway.MutationResult{}
	l.call(t, "GET", "/v1/sessions/o/mutations/twice", "").decode(t, &m)
	if m.Code != "initialized" || m.Reason == "" {
		t.Errorf("outcome of a rejected one %+v", m)
	}
	l.call(t, "GET", "/v1/sessions/o/mutations/other", "").wantProblem(t, 404, "not-found")
}

func TestALargePayloadTravelsBeside(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	body := `{"text":"` + strings.Repeat("five megabytes ", 350_000) + `", "n":1.0}`
	l.applied(t, "PUT", "/v1/sessions/large/state", body, with("Idempotency-Key", "big"))
	if got := l.call(t, "GET", "/v1/sessions/large/state", ""); got.body != body {
		t.Errorf("%d bytes come back, want %d", len(got.body), len(body))
	}
	again := l.applied(t, "PUT", "/v1/sessions/large/state", body, with("Idempotency-Key", "big"))
	if !again.Duplicate {
		t.Error("the same write again is no duplicate")
	}
	l.call(t, "PUT", "/v1/sessions/large/state", strings.Replace(body, "five", "four", 1), with("Idempotency-Key", "big")).wantProblem(t, 422, "id-reused")
	p := l.call(t, "PUT", "/v1/sessions/large/state", strings.Repeat(" ", session.MaxPart)+"1").wantProblem(t, 413, "too-large")
	if !strings.Contains(p.Detail, strconv.Itoa(session.MaxPart)) {
		t.Errorf("413 does not name the limit: %s", p.Detail)
	}
	f := start(t)
	f.call(t, "PUT", "/v1/sessions/s/state", body, with("Prefer", "respond-async", "Idempotency-Key", "m"))
	f.call(t, "PUT", "/v1/sessions/s/state", strings.Replace(body, "five", "four", 1), with("Prefer", "respond-async", "Idempotency-Key", "m"))
	first, err := schemas.DecodeStateMutation(f.outbox.sent[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	second, err := schemas.DecodeStateMutation(f.outbox.sent[1].Data)
	if err != nil {
		t.Fatal(err)
	}
	if first.GetPayload() != "" || !strings.HasPrefix(first.GetPayloadUri(), "file:///sources/mutations/") || first.GetPayloadUri() == second.GetPayloadUri() {
		t.Errorf("payloads at %q and %q: want one address for each content", first.GetPayloadUri(), second.GetPayloadUri())
	}
	if len(f.outbox.sent[0].Data) > 4<<10 {
		t.Errorf("the message has %d bytes", len(f.outbox.sent[0].Data))
	}
}

func TestRawMutations(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	m := l.applied(t, "POST", "/v1/sessions/raw/mutations", `{"mutationId":"m1","kind":"PUT","payload":"{\"a\": [1]}"}`)
	if m.MutationID != "m1" {
		t.Errorf("mutation id %q", m.MutationID)
	}
	l.applied(t, "POST", "/v1/sessions/raw/mutations", `{"kind":"APPEND","path":"/a","payload":"2","expectedVersion":"1"}`, with("Idempotency-Key", "m2"))
	for body, field := range map[string]string{
		`{"kind":"PUT","payload":"{}","sessionId":"other"}`:                        "sessionId",
		`{"kind":"PUT","payload":"{}","payloadUri":"file:///sources/mutations/x"}`: "payloadUri",
		`{"kind":"PUT","payloadUri":"file:///etc/passwd"}`:                         "payloadUri",
		`{"kind":"PUT","payloadUri":"gs://other/mutations/x"}`:                     "payloadUri",
		`{"kind":"PUT","payloadUri":"file:///sources/sources/x"}`:                  "payloadUri",
		`{"kind":"COOK"}`: "kind",
		`{"kind":"PUT","payload":"{}","expectedVersion":"-1"}`:                          "expectedVersion",
		`{"kind":"PUT","payload":"{}","mutationId":"` + strings.Repeat("x", 300) + `"}`: "mutationId",
	} {
		p := l.call(t, "POST", "/v1/sessions/raw/mutations", body).wantProblem(t, 400, "invalid")
		if len(p.Faults) == 0 || p.Faults[0].Field != field {
			t.Errorf("%s: faults %+v, want %s", body, p.Faults, field)
		}
	}
	l.call(t, "POST", "/v1/sessions/raw/mutations", `[]`).wantProblem(t, 400, "invalid")
}

func TestBadRequestsNameTheField(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	for _, c := range []struct{ method, path, body, field string }{
		{"GET", "/v1/sessions?limit=0", "", "limit"},
		{"GET", "/v1/sessions?limit=1001", "", "limit"},
		{"GET", "/v1/sessions?due=now", "", "due"},
		{"GET", "/v1/sessions?due=2026-01-01T00:00:00Z&after=a", "", "afterTime"},
		{"GET", "/v1/sessions?after=" + strings.Repeat("x", 129), "", "after"},
		{"GET", "/v1/sessions/" + strings.Repeat("x", 129), "", "sessionId"},
		{"GET", "/v1/sessions/a%0Ab/state", "", "sessionId"},
		{"PUT", "/v1/sessions/%FF/state", "{}", "sessionId"},
		{"GET", "/v1/sessions/a/history?limit=x", "", "limit"},
		{"GET", "/v1/sessions/a/export?form=x", "", "form"},
		{"GET", "/v1/sessions/a/schedules?type=queue", "", "type"},
		{"GET", "/v1/sessions/a/schedules?from=x", "", "from"},
		{"DELETE", "/v1/sessions/a/queue", "", "callback"},
		{"DELETE", "/v1/sessions/a/queue?all=1&callback=x", "", "callback"},
		{"POST", "/v1/sessions/a:append", `{"path":""}`, "value"},
		{"POST", "/v1/sessions/a:append", `{"path":"a","value":1}`, "path"},
		{"POST", "/v1/sessions/a:append", `{"part":"jobs","value":1}`, "part"},
		{"POST", "/v1/sessions/a:clone", `{}`, "from"},
	} {
		p := l.call(t, c.method, c.path, c.body).wantProblem(t, 400, "invalid")
		if len(p.Faults) != 1 || p.Faults[0].Field != c.field {
			t.Errorf("%s %s: faults %+v, want %s", c.method, c.path, p.Faults, c.field)
		}
	}
	for path, body := range map[string]string{"a/state": "{", "b/state": "\"\xff\"", "c/state": ""} {
		if p := l.call(t, "PUT", "/v1/sessions/"+path, body).wantProblem(t, 400, "invalid"); !strings.Contains(p.Detail, "JSON") {
			t.Errorf("body %q: %s", body, p.Detail)
		}
	}
	l.call(t, "PATCH", "/v1/sessions/a/state", `{}`, with("Content-Type", patch)).wantProblem(t, 400, "invalid")
	l.call(t, "POST", "/v1/sessions/a:cook", `{}`).wantProblem(t, 404, "no-route")
	l.applied(t, "PUT", "/v1/sessions/a/state", `{}`)
	l.call(t, "PATCH", "/v1/sessions/a/state", `[{"op":"remove","path":"/x"}]`, with("Content-Type", patch)).wantProblem(t, 404, "not-found")
	l.call(t, "PATCH", "/v1/sessions/a/state", `[{"op":"fly","path":"/x"}]`, with("Content-Type", patch)).wantProblem(t, 422, "rejected")
}

func TestUnpublishedWritesAreNotAnswered(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.outbox.err = errors.New("the disk is full")
	f.call(t, "PUT", "/v1/sessions/a/state", `{}`).wantProblem(t, 500, "internal")
}
