package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/gateway/client"
)

// seen is what a server was asked.
type seen struct {
	mu    sync.Mutex
	calls []string
	keys  []string
}

func (s *seen) add(r *http.Request) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, r.Method+" "+r.RequestURI)
	s.keys = append(s.keys, r.Header.Get("Idempotency-Key"))
	return len(s.calls)
}

func TestWritesAreRepeatedUnderOneID(t *testing.T) {
	t.Parallel()
	var s seen
	c := connect(t, client.Options{}, func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err != nil || string(body) != "{}" {
			t.Errorf("body %q, %v", body, err)
		}
		if s.add(r) < 3 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, `{"mutationId":%q,"code":"applied","version":7}`, r.Header.Get("Idempotency-Key"))
	})
	m, err := c.Sessions().Put(t.Context(), "a/b", client.PartState, []byte("{}"), client.WriteOptions{})
	if err != nil || m.Version != 7 || m.MutationID == "" {
		t.Fatalf("Put = %+v, %v", m, err)
	}
	if !slices.Equal(s.keys, []string{m.MutationID, m.MutationID, m.MutationID}) || s.calls[0] != "PUT /v1/sessions/a%2Fb/state" {
		t.Errorf("calls %q under ids %q", s.calls, s.keys)
	}
}

func TestAWriteWaitsForItsOutcome(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]error{
		"applied": nil, "conflict": client.ErrVersion, "initialized": client.ErrConflict, "not-found": client.ErrNotFound,
		"invalid": client.ErrRejected, "too-large": client.ErrTooLarge,
	} {
		var s seen
		c := connect(t, client.Options{}, func(w http.ResponseWriter, r *http.Request) {
			switch s.add(r) {
			case 1:
				w.WriteHeader(http.StatusAccepted)
				io.WriteString(w, `{"mutationId":"m","code":"pending"}`)
			case 2:
				w.WriteHeader(http.StatusNotFound)
			default:
				fmt.Fprintf(w, `{"mutationId":"m","code":%q,"version":3,"reason":"because"}`, code)
			}
		})
		version := int64(2)
		m, err := c.Sessions().Destroy(t.Context(), "s", client.WriteOptions{IfVersion: &version})
		if !errors.Is(err, want) || m.Code != code || m.Version != 3 {
			t.Errorf("%s: %+v, %v; want %v", code, m, err, want)
		}
		if e, ok := errors.AsType[*client.Error](err); want != nil && (!ok || e.Version == nil || *e.Version != 3 || e.Error() != "because") {
			t.Errorf("%s: error %#v", code, err)
		}
		if len(s.calls) != 3 || s.calls[2] != "GET /v1/sessions/s/mutations/m" {
			t.Errorf("%s: calls %q", code, s.calls)
		}
	}
}

func TestAWriteWithoutOutcomeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var s seen
	c := connect(t, client.Options{}, func(w http.ResponseWriter, r *http.Request) {
		if s.add(r) == 1 {
			w.WriteHeader(http.StatusAccepted)
			io.WriteString(w, `{"mutationId":"m","code":"pending"}`)
			return
		}
		cancel()
		w.WriteHeader(http.StatusNotFound)
	})
	m, err := c.Sessions().Put(ctx, "s", client.PartMCPServers, []byte("{}"), client.WriteOptions{MutationID: "m"})
	if !errors.Is(err, context.Canceled) || m.Code != client.Pending || m.MutationID != "m" {
		t.Errorf("Put = %+v, %v", m, err)
	}
}

func TestAsyncWritesDoNotWait(t *testing.T) {
	t.Parallel()
	c := connect(t, client.Options{}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Prefer") != "respond-async" || r.Method != http.MethodPost || r.RequestURI != "/v1/sessions/s:append" {
			t.Errorf("%s %s, Prefer %q", r.Method, r.RequestURI, r.Header.Get("Prefer"))
		}
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, `{"mutationId":%q,"code":"pending"}`, r.Header.Get("Idempotency-Key"))
	})
	m, err := c.Sessions().Append(t.Context(), "s", "", "/a", []byte(`"<&>"`), client.WriteOptions{Async: true})
	if err != nil || m.Code != client.Pending {
		t.Errorf("Append = %+v, %v", m, err)
	}
}

func TestConditionsAndBodies(t *testing.T) {
	t.Parallel()
	zero, seven := int64(0), int64(7)
	var got *http.Request
	var body []byte
	c := connect(t, client.Options{}, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		io.WriteString(w, `{"mutationId":"m","code":"applied","version":1}`)
	})
	s, ctx := c.Sessions(), t.Context()
	check := func(name string, err error, method, uri, kind, sent string) {
		t.Helper()
		if err != nil || got.Method != method || got.RequestURI != uri || kind != "" && got.Header.Get("Content-Type") != kind || string(bytes.TrimSpace(body)) != sent {
			t.Errorf("%s: %v, %s %s %s %s", name, err, got.Method, got.RequestURI, got.Header.Get("Content-Type"), body)
		}
	}
	_, err := s.Merge(ctx, "..", client.PartState, []byte(`{"a":1}`), client.WriteOptions{IfVersion: &seven})
	check("merge", err, "PATCH", "/v1/sessions/%2E%2E/state", "application/merge-patch+json", `{"a":1}`)
	if got.Header.Get("If-Match") != `"7"` || got.Header.Get("If-None-Match") != "" {
		t.Errorf("headers %v", got.Header)
	}
	_, err = s.Patch(ctx, "s", client.PartMCPServers, []byte(`[]`), client.WriteOptions{IfVersion: &zero})
	check("patch", err, "PATCH", "/v1/sessions/s/parts/mcp_servers", "application/json-patch+json", `[]`)
	if got.Header.Get("If-Match") != "" || got.Header.Get("If-None-Match") != "*" {
		t.Errorf("headers %v", got.Header)
	}
	_, err = s.Append(ctx, "s", client.PartFullConversations, "", []byte(`"<&>"`), client.WriteOptions{})
	check("append", err, "POST", "/v1/sessions/s:append", "application/json", `{"part":"full_conversations","value":"<&>"}`)
	_, err = s.Clone(ctx, "a:b", "c", client.WriteOptions{})
	check("clone", err, "POST", "/v1/sessions/a:b:clone", "application/json", `{"from":"c"}`)
	_, err = s.Initialize(ctx, "s", []byte(`{ }`), client.WriteOptions{})
	check("initialize", err, "POST", "/v1/sessions/s:initialize", "application/json", `{ }`)
	_, err = s.Import(ctx, "s", []byte(`{"tables":{}}`), client.WriteOptions{})
	check("import", err, "POST", "/v1/sessions/s/import", "application/json", `{"tables":{}}`)
	_, err = s.Mutate(ctx, "s", client.StateMutation{Kind: "PUT", Payload: "1"}, client.WriteOptions{})
	check("mutate", err, "POST", "/v1/sessions/s/mutations", "application/json", `{"kind":"PUT","payload":"1"}`)
	delay := 1.5
	_, err = s.Schedule(ctx, "s", client.ScheduleRequest{Callback: "c", DelaySeconds: &delay, Payload: json.RawMessage(`"<"`)}, client.WriteOptions{})
	check("schedule", err, "POST", "/v1/sessions/s/schedules", "application/json", `{"callback":"c","payload":"<","delaySeconds":1.5}`)
	_, err = s.Enqueue(ctx, "s", client.EnqueueRequest{Callback: "c"}, client.WriteOptions{})
	check("enqueue", err, "POST", "/v1/sessions/s/queue", "application/json", `{"callback":"c"}`)
	_, err = s.CancelSchedule(ctx, "s", "j/1", client.WriteOptions{})
	check("cancel", err, "DELETE", "/v1/sessions/s/schedules/j%2F1", "", "")
	_, err = s.DequeueAll(ctx, "s", "", client.WriteOptions{})
	check("dequeue all", err, "DELETE", "/v1/sessions/s/queue?all=1", "", "")
	_, err = s.DequeueAll(ctx, "s", "c&d", client.WriteOptions{})
	check("dequeue callback", err, "DELETE", "/v1/sessions/s/queue?callback=c%26d", "", "")
}

func TestAnEmptyIDIsNotSent(t *testing.T) {
	t.Parallel()
	c := connect(t, client.Options{}, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s was sent", r.Method, r.URL) })
	s, ctx, o := c.Sessions(), t.Context(), client.WriteOptions{}
	for name, call := range map[string]func() error{
		"get":      func() error { _, err := s.Get(ctx, ""); return err },
		"read":     func() error { _, err := s.Read(ctx, "", client.PartState); return err },
		"part":     func() error { _, err := s.Read(ctx, "s", ""); return err },
		"destroy":  func() error { _, err := s.Destroy(ctx, "", o); return err },
		"clone":    func() error { _, err := s.Clone(ctx, "", "x", o); return err },
		"cancel":   func() error { _, err := s.CancelSchedule(ctx, "s", "", o); return err },
		"dequeue":  func() error { _, err := s.Dequeue(ctx, "s", "", o); return err },
		"outcome":  func() error { _, err := s.Outcome(ctx, "s", ""); return err },
		"bad JSON": func() error { _, err := s.Append(ctx, "s", "", "", []byte("{"), o); return err },
	} {
		if err := call(); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	for _, err := range s.Watch(ctx, "", client.WatchOptions{}) {
		if !errors.Is(err, client.ErrInvalid) {
			t.Errorf("watch: %v, want ErrInvalid", err)
		}
	}
}

func TestReadNewerAsksForWhatChanged(t *testing.T) {
	t.Parallel()
	c := connect(t, client.Options{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"8"`)
		if r.Header.Get("If-None-Match") == `"8"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, "{ \"a\": 1.0 }")
	})
	s := c.Sessions()
	if got, changed, err := s.ReadNewer(t.Context(), "s", client.PartState, 7); err != nil || !changed || got.Version != 8 || string(got.Data) != "{ \"a\": 1.0 }" {
		t.Errorf("older: %+v, %t, %v", got, changed, err)
	}
	if got, changed, err := s.ReadNewer(t.Context(), "s", client.PartState, 8); err != nil || changed {
		t.Errorf("same: %+v, %t, %v", got, changed, err)
	}
}

func TestListReadsEveryPage(t *testing.T) {
	t.Parallel()
	var s seen
	c := connect(t, client.Options{}, func(w http.ResponseWriter, r *http.Request) {
		if s.add(r) == 1 {
			io.WriteString(w, `{"sessions":[{"id":"a"},{"id":"b"}],"next":"b","nextTime":"2026-01-01T00:00:00.5Z"}`)
			return
		}
		if q := r.URL.Query(); q.Get("after") != "b" || q.Get("afterTime") != "2026-01-01T00:00:00.5Z" || q.Get("due") == "" {
			t.Errorf("second page: %s", r.URL)
		}
		io.WriteString(w, `{"sessions":[{"id":"c"}]}`)
	})
	var ids []string
	for head, err := range c.Sessions().ListDue(t.Context(), time.Now()) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, head.ID)
	}
	if !slices.Equal(ids, []string{"a", "b", "c"}) {
		t.Errorf("ids %q", ids)
	}
}

func TestSessionWatchGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	var s seen
	var lasts []string
	c := connect(t, client.Options{}, func(w http.ResponseWriter, r *http.Request) {
		n := s.add(r)
		lasts = append(lasts, r.Header.Get("Last-Event-ID"))
		switch n {
		case 1:
			large := strings.Repeat("x", 2<<20) // more than other streams have in a line
			fmt.Fprintf(w, ": still here\n\nevent: state\nid: 4\ndata: {\"version\":3,\"commit\":4,\"present\":true,\"state\":%q}\n\n", large)
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			io.WriteString(w, "event: state\nid: 9\ndata: {\"version\":5,\"commit\":9,\"present\":false}\n\n")
		}
	})
	var versions []int64
	for e, err := range c.Sessions().Watch(t.Context(), "s", client.WatchOptions{Heads: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if versions = append(versions, e.Version); e.Commit == 9 {
			break
		}
	}
	if !slices.Equal(versions, []int64{3, 5}) || !slices.Equal(lasts, []string{"", "4", "4"}) || s.calls[0] != "GET /v1/sessions/s/events?state=false" {
		t.Errorf("versions %v, Last-Event-ID %q, calls %q", versions, lasts, s.calls)
	}
}
