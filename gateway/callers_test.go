package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/gateway/auth"
)

// callersOf writes a file of callers, one for each name with its scopes, whose key is the name with " key" behind it.
func callersOf(t testing.TB, scopes map[string]auth.Scope) func(*gateway.Options) {
	t.Helper()
	var text strings.Builder
	for name, scope := range scopes {
		text.WriteString(auth.Entry{Name: name, SHA256: auth.Digest(name + " key"), Scopes: []string{string(scope)}}.Line())
	}
	path := filepath.Join(t.TempDir(), "callers.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	callers, err := auth.New(auth.Options{File: path})
	if err != nil {
		t.Fatal(err)
	}
	return func(o *gateway.Options) { o.Callers = callers }
}

func as(name string) func(*http.Request) { return header("Authorization", "Bearer "+name+" key") }

// Every route of the table is tried with every scope: what a key does not say it may do it cannot do.
func TestEveryRouteNeedsItsScope(t *testing.T) {
	t.Parallel()
	names := map[string]auth.Scope{}
	for _, s := range auth.Scopes() {
		names[string(s)] = s
	}
	f := start(t, callersOf(t, names), func(o *gateway.Options) {
		o.Metrics, o.WaitFor, o.Runner.Wait = http.NotFoundHandler(), time.Nanosecond, time.Millisecond
	})
	f.Server = httptest.NewServer(f.gateway) // what is sent here is nothing that the document knows
	t.Cleanup(f.Server.Close)
	tried := map[string]int{}
	for _, row := range gateway.Rows(f.gateway) {
		if row.Scope == "anyone" || row.Scope == "own" || strings.HasSuffix(row.Path, "/events") {
			continue // streams that are admitted have no end here
		}
		path := strings.NewReplacer("{agent}/{name}", "counter/x", "{", "", "}", "").Replace(row.Path)
		refused := f.call(t, row.Method, path, "{}")
		if refused.StatusCode != http.StatusUnauthorized || refused.Header.Get("WWW-Authenticate") != `Bearer realm="vibesdk"` {
			t.Errorf("%s %s without a key: %s, %q", row.Method, path, refused.Status, refused.Header.Get("WWW-Authenticate"))
		}
		for name, scope := range names {
			got := f.call(t, row.Method, path, "{}", as(name))
			allowed := auth.Caller{Scopes: []auth.Scope{scope}}.May(auth.Scope(row.Scope))
			challenge := got.Header.Get("WWW-Authenticate")
			if refused := got.StatusCode == http.StatusForbidden && strings.Contains(challenge, `error="insufficient_scope", scope="`+row.Scope+`"`); refused == allowed || got.StatusCode == http.StatusUnauthorized {
				t.Errorf("%s %s with %s: %s %q, allowed %v", row.Method, path, name, got.Status, challenge, allowed)
			}
			tried[row.Scope]++
		}
	}
	if len(tried) < 10 {
		t.Errorf("only the scopes %v were tried", tried)
	}
}

func TestErrorsOfCallersHaveTheFormOfTheRoute(t *testing.T) {
	t.Parallel()
	f := start(t, callersOf(t, map[string]auth.Scope{"reader": auth.SessionsRead}))
	f.call(t, "GET", "/v1/sandboxes", "", as("reader")).wantProblem(t, 403, "scope")
	f.call(t, "GET", "/v1/sandboxes", "", as("nobody")).wantProblem(t, 401, "unauthorized")
	f.call(t, "GET", "/v1/nothing", "").wantProblem(t, 401, "unauthorized")
	f.call(t, "GET", "/v1/nothing", "", as("reader")).wantProblem(t, 404, "no-route")
	if got := f.call(t, "GET", "/v1/sandboxes", "", as("nobody")).Header.Get("WWW-Authenticate"); got != `Bearer realm="vibesdk", error="invalid_token"` {
		t.Errorf("WWW-Authenticate of a wrong key: %q", got)
	}
	for name, want := range map[string]struct {
		code   int
		status string
	}{"reader": {403, "PERMISSION_DENIED"}, "nobody": {401, "UNAUTHENTICATED"}} {
		var google struct {
			Error struct {
				Code            int
				Status, Message string
			}
		}
		got := f.call(t, "POST", "/v1/projects/p/topics/state-mutations:publish", `{"messages":[{"data":"e30="}]}`, as(name))
		if err := json.Unmarshal([]byte(got.body), &google); err != nil || got.StatusCode != want.code || google.Error.Code != want.code || google.Error.Status != want.status {
			t.Errorf("publish as %s: %s %s, want %+v", name, got.Status, got.body, want)
		}
		var outcome gateway.Outcome
		if f.call(t, "GET", "/instances", "", as(name)).decode(t, &outcome); outcome.Success || outcome.Error == "" {
			t.Errorf("instances as %s: %+v", name, outcome)
		}
	}
	if len(f.outbox.sent) != 0 {
		t.Errorf("%d messages were published", len(f.outbox.sent))
	}
}

func TestARequestThatDeploysNeedsThatScope(t *testing.T) {
	t.Parallel()
	f := start(t, callersOf(t, map[string]auth.Scope{"builder": auth.SandboxesWrite, "boss": auth.Admin}))
	body := `{"projectName":"p","staticDir":".","source":{"files":[{"path":"a","content":"b"}]},"appName":"shop"}`
	f.call(t, "POST", "/v1/sandboxes", body, as("builder")).wantProblem(t, 403, "scope")
	if len(f.outbox.sent) != 0 {
		t.Fatal("it was published all the same")
	}
	if got := f.call(t, "POST", "/v1/sandboxes", strings.Replace(body, `,"appName":"shop"`, "", 1), as("builder")); got.StatusCode != http.StatusAccepted {
		t.Errorf("without an app: %s %s", got.Status, got.body)
	}
	if got := f.call(t, "POST", "/v1/sandboxes", body, as("boss")); got.StatusCode != http.StatusAccepted {
		t.Errorf("as admin: %s %s", got.Status, got.body)
	}
}
