package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/client"
	"vibesdk-gcp/internal/testenv"
)

// serveWith starts the platform in this process with settings and roles of its own.
func serveWith(t *testing.T, settings map[string]string, roles ...app.Role) string {
	t.Helper()
	vars := map[string]string{"LISTEN": "127.0.0.1:0", "DATA_DIR": t.TempDir(), "SANDBOXD": testenv.Program(t, "sandboxd", ""), "PATH": os.Getenv("PATH")}
	for name, value := range settings {
		vars[name] = value
	}
	c, err := app.ReadConfig(func(name string) (string, bool) { v, ok := vars[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Start(t.Context(), c, roles, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := a.Stop(ctx); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return a.Addr()
}

func TestASessionInCommands(t *testing.T) {
	t.Parallel()
	addr := serve(t)
	state := "{ \"phase\": \"planning\", \"n\": 1.0 }"
	file := filepath.Join(t.TempDir(), "state.json")
	if err := os.WriteFile(file, []byte(state), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := must(t, addr, "", "session", "list"); got != "no sessions\n" {
		t.Errorf("list of none: %q", got)
	}
	if got := must(t, addr, "", "session", "init", "team/chat 1", "@"+file); got != "team/chat 1 is at version 1\n" {
		t.Errorf("init: %q", got)
	}
	if got := must(t, addr, "", "session", "get", "team/chat 1", "state"); got != state {
		t.Errorf("get state: %q, want it byte for byte", got)
	}
	if got := must(t, addr, "", "session", "patch", "team/chat 1", `{"phase":"building","files":[]}`, "--if-version", "1"); got != "team/chat 1 is at version 2\n" {
		t.Errorf("patch: %q", got)
	}
	if _, err := vibectl(t, addr, "", "session", "patch", "team/chat 1", `{"phase":"late"}`, "--if-version", "1"); !errors.Is(err, client.ErrVersion) {
		t.Errorf("patch of an old version: %v, want ErrVersion", err)
	}
	must(t, addr, `"a.ts"`, "session", "append", "team/chat 1", "-", "--path", "/files")
	must(t, addr, "", "session", "patch", "team/chat 1", `[{"op":"add","path":"/files/-","value":"b.ts"}]`)
	var now struct {
		Phase string
		Files []string
		N     json.RawMessage
	}
	if err := json.Unmarshal([]byte(must(t, addr, "", "session", "get", "team/chat 1", "state")), &now); err != nil || now.Phase != "building" || strings.Join(now.Files, " ") != "a.ts b.ts" || string(now.N) != "1.0" {
		t.Errorf("after patches: %+v, %v", now, err)
	}
	must(t, addr, "", "session", "append", "team/chat 1", `{"role":"user"}`, "--part", "full_conversations")
	detail := must(t, addr, "", "session", "get", "team/chat 1")
	for _, want := range []string{"initialized", "true", "full_conversations", "17 bytes", "version"} {
		if !strings.Contains(detail, want) {
			t.Errorf("get does not show %q:\n%s", want, detail)
		}
	}
	var first, again client.MutationResult
	for _, m := range []*client.MutationResult{&first, &again} {
		if err := json.Unmarshal([]byte(must(t, addr, "", "-o", "json", "session", "put", "team/chat 1", `{"phase":"done"}`, "--mutation-id", "once")), m); err != nil {
			t.Fatal(err)
		}
	}
	if first.Duplicate || !again.Duplicate || first.Version != again.Version {
		t.Errorf("the same write twice: %+v, %+v", first, again)
	}
	history := strings.Split(strings.TrimSpace(must(t, addr, "", "session", "history", "team/chat 1", "--limit", "4")), "\n")
	if len(history) != 5 || !strings.Contains(history[1], "put") || !strings.Contains(history[4], "append") {
		t.Errorf("history:\n%s", strings.Join(history, "\n"))
	}
	watched := must(t, addr, "", "-o", "json", "session", "watch", "team/chat 1", "--count", "1")
	var event client.SessionEvent
	if err := json.Unmarshal([]byte(watched), &event); err != nil || event.Version != first.Version || string(event.State) != `{"phase":"done"}` {
		t.Errorf("watch: %s, %v", watched, err)
	}
	if got := must(t, addr, "", "session", "watch", "team/chat 1", "--count", "1"); !strings.HasSuffix(got, `  {"phase":"done"}`+"\n") {
		t.Errorf("watch in lines: %q", got)
	}

	must(t, addr, "", "session", "clone", "team/chat 1", "copy")
	dump := must(t, addr, "", "session", "export", "copy")
	must(t, addr, dump, "session", "import", "moved", "-")
	if got := must(t, addr, "", "session", "get", "moved", "state"); got != must(t, addr, "", "session", "get", "copy", "state") {
		t.Errorf("after export and import: %q", got)
	}
	list := must(t, addr, "", "session", "list")
	for _, want := range []string{"ID", "copy", "moved", "team/chat 1"} {
		if !strings.Contains(list, "\n"+want+" ") && !strings.HasPrefix(list, want) {
			t.Errorf("list does not show %q:\n%s", want, list)
		}
	}
	if got := must(t, addr, "", "session", "list", "--due", "1h"); got != "no sessions\n" {
		t.Errorf("list of what is due: %q", got)
	}
	for _, id := range []string{"team/chat 1", "copy", "moved"} {
		must(t, addr, "", "session", "destroy", id)
	}
	if got := must(t, addr, "", "session", "list"); got != "no sessions\n" {
		t.Errorf("list after the end: %q", got)
	}
}

func TestJobsInCommands(t *testing.T) {
	t.Parallel()
	type call struct {
		path, key, auth string
		body            struct {
			SessionID string          `json:"sessionId"`
			Payload   json.RawMessage `json:"payload"`
		}
	}
	calls := make(chan call, 10)
	host := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		in := call{path: r.URL.EscapedPath(), key: r.Header.Get("Idempotency-Key"), auth: r.Header.Get("Authorization")}
		if err := json.NewDecoder(r.Body).Decode(&in.body); err != nil {
			t.Errorf("call: %v", err)
		}
		calls <- in
	}))
	t.Cleanup(host.Close)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("agent-host-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := serveWith(t, map[string]string{"AGENT_HOST_URL": host.URL, "AGENT_HOST_KEY_FILE": key}, app.AllRoles()...)

	must(t, addr, "", "session", "schedule", "add", "s/1", "remind", "--in", "20ms", "--payload", `{"text":"hi"}`)
	got := <-calls
	if got.path != "/callbacks/s%2F1/remind" || got.body.SessionID != "s/1" || string(got.body.Payload) != `{"text":"hi"}` || got.key == "" || got.auth != "Bearer agent-host-secret" {
		t.Errorf("call %+v", got)
	}
	for _, callback := range []string{"first", "second"} {
		must(t, addr, "", "session", "queue", "add", "s/1", callback)
	}
	for _, want := range []string{"first", "second"} {
		if got := <-calls; got.path != "/callbacks/s%2F1/"+want {
			t.Errorf("called %s, want %s", got.path, want)
		}
	}
	must(t, addr, "", "session", "schedule", "add", "s/1", "later", "--at", "2040-01-01T00:00:00Z", "--id", "far")
	must(t, addr, "", "session", "schedule", "add", "s/1", "beat", "--every", "2h", "--id", "beat")
	must(t, addr, "", "session", "schedule", "add", "s/1", "night", "--cron", "0 3 1 1 *", "--id", "night")
	schedules := must(t, addr, "", "session", "schedule", "list", "s/1")
	for _, want := range []string{"far", "beat", "every 2h0m0s", "cron 0 3 1 1 *", "waits"} {
		if !strings.Contains(schedules, want) {
			t.Errorf("schedules do not show %q:\n%s", want, schedules)
		}
	}
	if got := must(t, addr, "", "session", "schedule", "list", "s/1", "--type", "scheduled"); strings.Contains(got, "beat") || !strings.Contains(got, "far") {
		t.Errorf("schedules of a type:\n%s", got)
	}
	if got := must(t, addr, "", "session", "list", "--due", "3h"); !strings.Contains(got, "s/1") {
		t.Errorf("list of what is due: %s", got)
	}
	for _, id := range []string{"far", "beat", "night"} {
		must(t, addr, "", "session", "schedule", "cancel", "s/1", id)
	}
	if got := must(t, addr, "", "session", "schedule", "list", "s/1"); got != "no schedules\n" {
		t.Errorf("schedules after cancel: %q", got)
	}
}

func TestQueueInCommands(t *testing.T) {
	t.Parallel()
	addr := serve(t) // without an agent host the items wait
	for _, id := range []string{"one", "two", "three"} {
		must(t, addr, "", "session", "queue", "add", "s", "work", "--id", id)
	}
	if got := must(t, addr, "", "session", "queue", "remove", "s", "two"); !strings.HasSuffix(got, ", 1\n") {
		t.Errorf("remove: %q", got)
	}
	var jobs []client.Job
	if err := json.Unmarshal([]byte(must(t, addr, "", "-o", "json", "session", "queue", "list", "s")), &jobs); err != nil || len(jobs) != 2 || jobs[0].ID != "one" || jobs[1].ID != "three" {
		t.Errorf("queue %+v, %v", jobs, err)
	}
	if got := must(t, addr, "", "session", "queue", "remove", "s", "--callback", "work"); !strings.HasSuffix(got, ", 2\n") {
		t.Errorf("remove by callback: %q", got)
	}
	if got := must(t, addr, "", "session", "queue", "list", "s"); got != "the queue is empty\n" {
		t.Errorf("queue after: %q", got)
	}
}

func TestSessionFailuresAreClear(t *testing.T) {
	t.Parallel()
	addr := serve(t)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"unknown session": {[]string{"get", "nobody"}, "not found"},
		"no JSON":         {[]string{"put", "s", "state.json"}, "named with @file"},
		"no file":         {[]string{"put", "s", "@no/such"}, "no/such"},
		"bad version":     {[]string{"put", "s", "1", "--if-version", "-7"}, "--if-version"},
		"unknown part":    {[]string{"put", "s", "1", "--part", "jobs"}, "part"},
		"no time":         {[]string{"schedule", "add", "s", "c"}, "in"},
		"two times":       {[]string{"schedule", "add", "s", "c", "--in", "1s", "--every", "1s"}, "every"},
		"bad time":        {[]string{"schedule", "add", "s", "c", "--at", "noon"}, "--at"},
		"bad cron":        {[]string{"schedule", "add", "s", "c", "--cron", "noon"}, "cron"},
		"nothing named":   {[]string{"queue", "remove", "s"}, "--all"},
		"bad form":        {[]string{"export", "s", "--form", "x"}, "tables nor jobs"},
		"bad limit":       {[]string{"list", "--limit", "0"}, "--limit"},
	} {
		_, err := vibectl(t, addr, "", append([]string{"session"}, c.args...)...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	alone := serveWith(t, nil, app.RoleGateway)
	if _, err := vibectl(t, alone, "", "session", "put", "s", "1", "--timeout", "20ms", "--mutation-id", "m1"); err == nil || !strings.Contains(err.Error(), "m1") || !strings.Contains(err.Error(), "statewriter") {
		t.Errorf("without a state writer: %v", err)
	}
	if got := must(t, alone, "", "session", "put", "s", "1", "--async", "--mutation-id", "m2"); got != "mutation m2 is on its way\n" {
		t.Errorf("async: %q", got)
	}
}
