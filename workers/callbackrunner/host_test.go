package callbackrunner_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/workers/callbackrunner"
	"vibesdk-gcp/workers/workertest"
)

func TestAddressesOfHosts(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"ftp://host":            "must be like",
		"host":                  "must be like",
		"http://":               "must be like",
		"http://[":              "must be like",
		"http://u:shown@host":   "user or a password",
		"https://host?q=shown":  "query or a fragment",
		"https://host#shown":    "query or a fragment",
		"https://host?":         "query or a fragment",
		"http://h\x00st/":       "must be like",
		"http://127.0.0.1:8080": "",
		"https://host/base/":    "",
	} {
		_, err := callbackrunner.New(callbackrunner.Options{Host: address})
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", address, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "shown")):
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
	for _, timeout := range []time.Duration{-1, 100*time.Second + 1} {
		if _, err := callbackrunner.New(callbackrunner.Options{Timeout: timeout}); err == nil {
			t.Errorf("a timeout of %s is taken", timeout)
		}
	}
}

// TestPathsOfAnyNames: whatever session and callback are called, they are two segments of the path.
func TestPathsOfAnyNames(t *testing.T) {
	t.Parallel()
	c := &clock{at: t0}
	s := workertest.NewSessions(t, "", nil, session.Options{Now: c.now})
	w := newWorldOn(t, s, c)
	based := newWorldOn(t, s, c, func(o *callbackrunner.Options) { o.Host = w.host.URL + "/base/" })
	for id, want := range map[string]string{
		"user@x.com":  "/callbacks/user@x.com/do%2Fit%3F",
		"a/b c":       "/callbacks/a%2Fb%20c/do%2Fit%3F",
		"..":          "/callbacks/%2E%2E/do%2Fit%3F",
		"é%2F":        "/callbacks/%C3%A9%252F/do%2Fit%3F",
		"https://x/#": "/callbacks/https:%2F%2Fx%2F%23/do%2Fit%3F",
	} {
		outcomes, err := s.Store.Apply(t.Context(), id, []session.Mutation{{ID: "m", Kind: session.Enqueue, Payload: []byte(`{"callback":"do/it?"}`)}})
		if err != nil || outcomes[0].Err != nil {
			t.Fatal(err, outcomes)
		}
		if err := w.publisher.Wake(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		for _, m := range w.outbox.take() {
			wantAnswer(t, based.handle(t, m), "")
		}
		calls := w.host.calls()
		if last := calls[len(calls)-1]; last.Path != "/base"+want || last.SessionID != id {
			t.Errorf("%q: called %s for %q", id, last.Path, last.SessionID)
		}
	}
}

func TestAHostThatIsTooSlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *callbackrunner.Options) { o.Timeout = 50 * time.Millisecond })
	w.apply(t, session.Enqueue, `{"id":"j","callback":"c","retry":{"maxAttempts":1}}`)
	w.host.does(func(_ http.ResponseWriter, r *http.Request, _ callbackrunner.Call) { <-r.Context().Done() })
	wantAnswer(t, w.handle(t, w.due(t)), "")
	if j := w.jobs(t)[0]; !j.Parked || j.LastError != "agent host did not answer in time" {
		t.Errorf("after a call that took too long: %+v", j)
	}
}

// TestAConnectionThatBreaks counts as an attempt: the host may have done anything.
func TestAConnectionThatBreaks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(t, session.Enqueue, `{"id":"j","callback":"c","retry":{"maxAttempts":1}}`)
	w.host.does(func(http.ResponseWriter, *http.Request, callbackrunner.Call) { panic(http.ErrAbortHandler) })
	wantAnswer(t, w.handle(t, w.due(t)), "")
	if j := w.jobs(t)[0]; !j.Parked || !strings.HasPrefix(j.LastError, "agent host was not reached: ") {
		t.Errorf("after a broken connection: %+v", j)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var visited atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visited.Add(1) }))
	defer elsewhere.Close()
	for _, code := range []int{http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		w := newWorld(t)
		w.apply(t, session.Enqueue, `{"id":"j","callback":"c"}`)
		w.host.does(func(rw http.ResponseWriter, r *http.Request, _ callbackrunner.Call) {
			http.Redirect(rw, r, elsewhere.URL, code)
		})
		wantAnswer(t, w.handle(t, w.due(t)), "")
		if j := w.jobs(t)[0]; j.Attempt != 1 {
			t.Errorf("%d: %+v", code, j)
		}
	}
	if visited.Load() > 0 {
		t.Error("the payload went elsewhere")
	}
}

// TestAGiantAnswer is neither read nor kept.
func TestAGiantAnswer(t *testing.T) {
	t.Parallel()
	for code, attempts := range map[int]int{http.StatusOK: 0, http.StatusInternalServerError: 1} {
		w := newWorld(t)
		w.apply(t, session.Schedule, `{"id":"j","callback":"c","intervalSeconds":1}`)
		w.advance(time.Second)
		var written atomic.Int64
		done := make(chan struct{})
		w.host.does(func(rw http.ResponseWriter, _ *http.Request, _ callbackrunner.Call) {
			defer close(done)
			rw.WriteHeader(code)
			for range 1 << 10 {
				n, err := io.WriteString(rw, strings.Repeat("x\x00\xff\n", 1<<18))
				written.Add(int64(n))
				if err != nil {
					return
				}
			}
		})
		wantAnswer(t, w.handle(t, w.due(t)), "")
		<-done
		if written.Load() >= 1<<30 {
			t.Error("all of the answer was taken")
		}
		j := w.jobs(t)[0]
		if j.Attempt != attempts || len(j.LastError) > 300 || attempts == 1 && !strings.HasPrefix(j.LastError, "agent host answered 500: x x x x") {
			t.Errorf("%d: attempt %d, error %q", code, j.Attempt, j.LastError)
		}
	}
}

// TestTheKeyIsKeptToItself looks for the bearer key wherever people can read.
func TestTheKeyIsKeptToItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(t, session.Enqueue, `{"id":"j","callback":"c"}`)
	w.host.answers(500, 503)
	var seen strings.Builder
	for range 3 {
		seen.WriteString(w.handle(t, w.due(t)))
		w.advance(3 * time.Second)
	}
	w.apply(t, session.Enqueue, `{"id":"k","callback":"c"}`)
	w.host.Close()
	seen.WriteString(w.handle(t, w.due(t)))
	for _, j := range w.jobs(t) {
		seen.WriteString(j.LastError)
	}
	if text := seen.String() + w.log.String(); strings.Contains(text, "secret-key") || text == "" {
		t.Errorf("the key is in %s", text)
	}
	keyless := newWorld(t, func(o *callbackrunner.Options) { o.Key = "" })
	keyless.apply(t, session.Enqueue, `{"id":"j","callback":"c"}`)
	keyless.handle(t, keyless.due(t))
	if header, given := keyless.host.calls()[0].Header["Authorization"]; given {
		t.Errorf("without a key the host gets %q", header)
	}
}

func TestTheTraceGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(t, session.Enqueue, `{"id":"j","callback":"c"}`)
	m := w.due(t)
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	m.Attributes = map[string]string{"traceparent": parent}
	w.handle(t, m)
	if got := w.host.calls()[0].Header.Get("Agent-Timeout-Ms"); got != "60000" {
		t.Errorf("the host is told a timeout of %s ms", got)
	}
	if got := w.host.calls()[0].Header.Get("Traceparent"); got != parent {
		t.Errorf("traceparent %q", got)
	}
	w.apply(t, session.Enqueue, `{"id":"k","callback":"c"}`)
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	m = w.due(t)
	m.Attributes = map[string]string{"traceparent": "x\r\nInjected: 1"}
	if err := w.Handle(trace.ContextWithSpanContext(t.Context(), span), events.Message{Data: m.Data, Attributes: m.Attributes, Time: w.now()}); err != nil {
		t.Fatal(err)
	}
	if got := w.host.calls()[1].Header.Get("Traceparent"); got != "00-01000000000000000000000000000000-0200000000000000-00" {
		t.Errorf("traceparent %q", got)
	}
}
