package callbackrunner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/workers/callbackrunner"
	"vibesdk-gcp/workers/workertest"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// clock is moved by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// world is a runner on a real store and a real bus, and an agent host.
type world struct {
	*workertest.Sessions
	*callbackrunner.Runner
	*clock
	publisher *callbackrunner.Publisher
	outbox    *outbox
	host      *host
	log       *bytes.Buffer
}

func newWorld(t *testing.T, change ...func(*callbackrunner.Options)) *world {
	t.Helper()
	c := &clock{at: t0}
	return newWorldOn(t, workertest.NewSessions(t, "", nil, session.Options{Now: c.now}), c, change...)
}

func newWorldOn(t *testing.T, s *workertest.Sessions, c *clock, change ...func(*callbackrunner.Options)) *world {
	t.Helper()
	w := &world{Sessions: s, clock: c, outbox: &outbox{Publisher: s.Bus}, host: newHost(t), log: &bytes.Buffer{}}
	w.publisher = callbackrunner.NewPublisher(callbackrunner.PublisherOptions{Sessions: s.Store.Reader, Publisher: w.outbox, Now: c.now})
	o := callbackrunner.Options{
		Sessions: s.Store, Publisher: w.publisher, Host: w.host.URL, Key: "secret-key", Now: c.now,
		Logger: slog.New(slog.NewTextHandler(&locked{w: w.log}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&o)
	}
	var err error
	if w.Runner, err = callbackrunner.New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// locked is a writer for several goroutines.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

var mutations struct {
	sync.Mutex
	n int
}

// apply applies a mutation of jobs to session "s".
func (w *world) apply(t *testing.T, kind session.Kind, payload string) session.Outcome {
	t.Helper()
	mutations.Lock()
	mutations.n++
	id := fmt.Sprint("m", mutations.n)
	mutations.Unlock()
	outcomes, err := w.Store.Apply(t.Context(), "s", []session.Mutation{{ID: id, Kind: kind, Payload: []byte(payload)}})
	if err != nil || outcomes[0].Err != nil {
		t.Fatal(err, outcomes)
	}
	return outcomes[0]
}

// wake publishes what is due and returns the messages.
func (w *world) wake(t *testing.T) []events.Message {
	t.Helper()
	w.outbox.take()
	if err := w.publisher.Wake(t.Context(), "s"); err != nil {
		t.Fatal(err)
	}
	return w.outbox.take()
}

// due is the one message that is published.
func (w *world) due(t *testing.T) events.Message {
	t.Helper()
	msgs := w.wake(t)
	if len(msgs) != 1 {
		t.Fatalf("%d runs are published, want 1", len(msgs))
	}
	return msgs[0]
}

// handle handles a message as the bus would: "" is acknowledged, else the words of the error.
func (w *world) handle(t *testing.T, m events.Message) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), events.CallbackRunner.AttemptTimeout)
	defer cancel()
	if m.Time.IsZero() {
		m.Time = w.now()
	}
	err := w.Handle(ctx, m)
	switch {
	case err == nil:
		return ""
	case events.IsPermanent(err):
		return "permanent: " + err.Error()
	default:
		return err.Error()
	}
}

func (w *world) jobs(t *testing.T) []session.Job {
	t.Helper()
	rec, err := w.Store.Get(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := rec.Jobs()
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

func wantAnswer(t *testing.T, got, want string) {
	t.Helper()
	if got != want && (want == "" || !strings.HasPrefix(got, want)) {
		t.Errorf("handled with %q, want %q", got, want)
	}
}

// outbox passes messages on and remembers them.
type outbox struct {
	events.Publisher
	mu   sync.Mutex
	sent []events.Message
}

func (o *outbox) Publish(ctx context.Context, topic events.Topic, msgs ...events.Message) error {
	if topic.Name != events.AgentCallbacks.Name {
		return fmt.Errorf("published to %s", topic.Name)
	}
	if err := o.Publisher.Publish(ctx, topic, msgs...); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent = append(o.sent, msgs...)
	return nil
}

// take returns what was published since the last call.
func (o *outbox) take() []events.Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	sent := o.sent
	o.sent = nil
	return sent
}

// host is an agent host.
type host struct {
	*httptest.Server
	mu    sync.Mutex
	seen  []request
	serve func(w http.ResponseWriter, r *http.Request, call callbackrunner.Call)
}

type request struct {
	Path, Key string
	Header    http.Header
	Body      string
	callbackrunner.Call
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{}
	h.Server = httptest.NewServer(http.HandlerFunc(h.answer))
	t.Cleanup(h.Close)
	return h
}

func (h *host) answer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	req := request{Path: r.URL.EscapedPath(), Key: r.Header.Get("Idempotency-Key"), Header: r.Header, Body: string(body)}
	if err == nil {
		err = json.Unmarshal(body, &req.Call)
	}
	if err != nil || r.Method != http.MethodPost {
		http.Error(w, "bad call", http.StatusTeapot)
		return
	}
	h.mu.Lock()
	h.seen = append(h.seen, req)
	serve := h.serve
	h.mu.Unlock()
	if serve != nil {
		serve(w, r, req.Call)
	}
}

// answers lets the host answer with these status codes in turn, and then with 204.
func (h *host) answers(codes ...int) {
	h.does(func(w http.ResponseWriter, _ *http.Request, _ callbackrunner.Call) {
		h.mu.Lock()
		code := http.StatusNoContent
		if len(codes) > 0 {
			code, codes = codes[0], codes[1:]
		}
		h.mu.Unlock()
		w.WriteHeader(code)
		if code != http.StatusNoContent {
			fmt.Fprintf(w, "because of\n%d", code)
		}
	})
}

func (h *host) does(serve func(w http.ResponseWriter, r *http.Request, call callbackrunner.Call)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serve = serve
}

// calls returns the calls so far.
func (h *host) calls() []request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]request(nil), h.seen...)
}
