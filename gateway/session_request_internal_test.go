package gateway

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/schemas"
)

// FuzzSessionPath sends an id and a part through the mux and holds that they arrive as they were, decoded once, or are
// refused.
func FuzzSessionPath(f *testing.F) {
	for _, seed := range []string{"chat-1", "/", "a/b", "..", ".", "%2F", "a b", "ü", "a:initialize", "\x00", "a%", "?x=1#y", strings.Repeat("x", 129), "\xff", "//", "a/../b", ";"} {
		f.Add(seed, "m")
	}
	f.Fuzz(func(t *testing.T, id, mutation string) {
		var gotID, gotMutation string
		var err error
		mux := http.NewServeMux()
		mux.HandleFunc("GET /v1/sessions/{id}/mutations/{mutation}", func(_ http.ResponseWriter, r *http.Request) {
			if gotID, err = sessionID(r); err == nil {
				gotMutation, err = pathID(r, "mutation", "mutationId")
			}
		})
		r, bad := http.NewRequest(http.MethodGet, "http://localhost"+sessionPath(id, "mutations", mutation), nil)
		if bad != nil {
			t.Fatalf("address of %q and %q: %v", id, mutation, bad)
		}
		w := httptest.NewRecorder()
		spellLoneSlash(r)
		mux.ServeHTTP(w, r)
		if id == "" || mutation == "" {
			return // another route, or none
		}
		if w.Code != http.StatusOK {
			t.Fatalf("%q and %q are answered %d: they did not reach the handler", id, mutation, w.Code)
		}
		valid := checkID("", id) == nil && checkID("", mutation) == nil
		if valid != (err == nil) || valid && (gotID != id || gotMutation != mutation) {
			t.Errorf("%q, %q arrive as %q, %q, %v", id, mutation, gotID, gotMutation, err)
		}
	})
}

// FuzzHeaders holds that no header makes a write unconditional that asks for a condition, or wait for longer than the limit.
func FuzzHeaders(f *testing.F) {
	for _, seed := range []string{"", `"7"`, `W/"7"`, "*", `"7", "8"`, `"-1"`, `"07"`, `"+7"`, "7", "respond-async", "wait=5", "wait=99999", `wait="3"; x=1, respond-async`, "WAIT = 2", "wait=-1"} {
		f.Add(seed, seed, seed)
	}
	f.Fuzz(func(t *testing.T, match, none, prefer string) {
		h := http.Header{"If-Match": {match}, "If-None-Match": {none}, "Prefer": {prefer}}
		version, err := expectedVersion(h)
		if version == nil && err == nil && (match != "" || none != "") {
			t.Errorf("If-Match %q, If-None-Match %q are no condition", match, none)
		}
		if version != nil && match != "" && etag(*version) != strings.TrimSpace(match) {
			t.Errorf("If-Match %q is version %d", match, *version)
		}
		if p := preferenceOf(h, time.Second); p.wait < 0 || p.wait > maxWait {
			t.Errorf("Prefer %q waits for %s", prefer, p.wait)
		}
		_ = matchesETag(none, 7)
	})
}

// FuzzRawMutation holds that a body cannot choose another session, nor pass the schema by.
func FuzzRawMutation(f *testing.F) {
	for _, seed := range []string{
		`{"kind":"PUT","payload":"{}"}`, `{"kind":"PUT","payload":"{}","sessionId":"other"}`, `{"session_id":null,"kind":"DESTROY"}`,
		`{"mutationId":"m","mutation_id":null,"kind":"CLONE","cloneOf":"x"}`, `[]`, `null`, `{"kind":3,"expectedVersion":"7"}`, `{"sessionId":"a","sessionId":"b"}`,
	} {
		f.Add("chat-1", "", seed)
		f.Add("a/b", "key", seed)
	}
	f.Fuzz(func(t *testing.T, id, key, body string) {
		if checkID("", id) != nil {
			return
		}
		m, err := rawMutation(id, key, []byte(body))
		if err != nil {
			return
		}
		if m.message.GetSessionId() != id {
			t.Errorf("%q made a mutation of %q", body, m.message.GetSessionId())
		}
		if key != "" && m.message.GetMutationId() != key {
			t.Errorf("%q with key %q made mutation %q", body, key, m.message.GetMutationId())
		}
		if err := schemas.ValidateStateMutation(m.message); err != nil {
			t.Errorf("%q passed: %v", body, err)
		}
	})
}

// FuzzQueries holds that queries give times and types in their bounds or an error.
func FuzzQueries(f *testing.F) {
	for _, seed := range []string{"", "limit=5&type=cron", "from=2026-01-01T00:00:00Z&to=x", "limit=0", "limit=1001", "type=queue", "from=2026-01-01T00:00:00.123456789%2B25:00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		query, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		if n, err := limitOf(query.Get("limit"), 100, 1000); err == nil && (n < 1 || n > 1000) {
			t.Errorf("%q: limit %d", raw, n)
		}
		filter, err := jobFilter(query)
		if err == nil && filter.Type == session.JobQueue {
			t.Errorf("%q: type %s", raw, filter.Type)
		}
	})
}

func TestPreferences(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]preference{
		"":                        {wait: 10 * time.Second},
		"return=minimal":          {wait: 10 * time.Second},
		"respond-async":           {applied: "respond-async"},
		"Respond-Async":           {applied: "respond-async"},
		"wait=3":                  {wait: 3 * time.Second, applied: "wait=3"},
		"respond-async, wait=3":   {wait: 3 * time.Second, applied: "wait=3"},
		`foo; bar, wait="4"; x=1`: {wait: 4 * time.Second, applied: "wait=4"},
		"wait=600":                {wait: maxWait, applied: "wait=60"},
		"wait=0":                  {applied: "wait=0"},
		"wait=x":                  {wait: 10 * time.Second},
	} {
		if got := preferenceOf(http.Header{"Prefer": {header}}, 10*time.Second); got != want {
			t.Errorf("Prefer: %s is %+v, want %+v", header, got, want)
		}
	}
}
