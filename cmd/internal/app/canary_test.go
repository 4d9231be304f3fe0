package app_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/auth"
	"vibesdk-gcp/gateway/client"
)

const canaryKey = "the key of the canaries"

// secondEnv is a configuration of the provider gcp whose sessions and limits are in a database of its own.
func secondEnv(t testing.TB, more map[string]string) (path, database string) {
	t.Helper()
	dir := t.TempDir()
	database = "sqlite:" + filepath.Join(dir, "second.db")
	values := map[string]string{
		"RUNTIME_PROVIDER": "gcp", "DATABASE_URL": database, "SOURCES_URL": "file://" + dir, "PUBSUB_PROJECT": "p",
		"SESSION_BACKEND": "sql", "LIMIT_BACKEND": "sql", "SANDBOX_BACKEND": "process",
	}
	for name, value := range more {
		values[name] = value
	}
	path, _ = envFile(t, values)
	return path, database
}

// withSecond is a configuration with a second provider, and with a key.
func withSecond(t testing.TB, more map[string]string) (c app.Config, database string) {
	t.Helper()
	path, database := secondEnv(t, nil)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(canaryKey), 0o600); err != nil {
		t.Fatal(err)
	}
	c = config(t)
	second, err := app.ReadConfig(func(name string) (string, bool) {
		v, ok := map[string]string{"CANARY_ENV_FILE": path, "API_KEY_FILE": key, "PARITY": more["PARITY"]}[name]
		return v, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Auth, c.Canary = second.Auth, second.Canary
	c.Canary.Second.Limit.Timeout = patient
	return c, database
}

// named sends a header with each request.
type named struct{ provider string }

func (n named) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Runtime-Provider", n.provider)
	return http.DefaultTransport.RoundTrip(r)
}

// at is a client whose calls name a provider.
func (w *world) at(t testing.TB, provider string) *client.Client {
	t.Helper()
	c, err := client.New("http://"+w.Addr(), client.Options{APIKey: w.config.Auth.Key, HTTP: &http.Client{Transport: named{provider}}, RetryFor: -1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCallsNameTheirProvider: sessions and limits of calls with the header are the second provider's, the first knows nothing of them, and
// the workers serve both.
func TestCallsNameTheirProvider(t *testing.T) {
	t.Parallel()
	c, database := withSecond(t, nil)
	called := make(chan string, 10)
	host := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { called <- r.URL.EscapedPath() }))
	t.Cleanup(host.Close)
	c.Session.AgentHostURL = host.URL
	w, ctx, o := start(t, c), within(t), client.WriteOptions{}
	first, second := w.client.Sessions(), w.at(t, "gcp").Sessions()

	if _, err := second.Initialize(ctx, "canary", []byte(`{"n":1}`), o); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Get(ctx, "canary"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("the first provider has the canary: %v", err)
	}
	got, err := second.Read(ctx, "canary", client.PartState)
	if err != nil || string(got.Data) != `{"n":1}` || got.Version != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if rec, err := openHomes(t, database).store.Get(ctx, "canary"); err != nil || rec.Version != 1 {
		t.Errorf("in the second store: %v, %v", rec, err)
	}

	// Its jobs run, too.
	delay := 0.01
	if _, err := second.Schedule(ctx, "canary", client.ScheduleRequest{Callback: "remind", DelaySeconds: &delay}, o); err != nil {
		t.Fatal(err)
	}
	select {
	case path := <-called:
		if path != "/callbacks/canary/remind" {
			t.Errorf("called %s", path)
		}
	case <-ctx.Done():
		t.Fatal("the agent host was not called")
	}

	// A session of the first provider is not changed at the second: it would become two.
	if _, err := first.Put(ctx, "ours", client.PartState, []byte("1"), o); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Put(ctx, "ours", client.PartState, []byte("2"), o); !errors.Is(err, client.ErrConflict) {
		t.Errorf("a session of the first at the second: %v, want ErrConflict", err)
	}
	if out, err := w.at(t, "local").Sessions().Put(ctx, "ours", client.PartState, []byte("3"), o); err != nil || out.Version != 2 {
		t.Errorf("with the first provider's name: %+v, %v", out, err)
	}

	// Limits count apart.
	charge := client.LimitCharge{Limit: "burst", Identifier: "user:1", N: 60, Config: hundred}
	for _, l := range []*client.Limits{w.client.Limits(), w.at(t, "gcp").Limits()} {
		if result, err := l.Increment(ctx, charge); err != nil || !result.Success || result.RemainingLimit != 40 {
			t.Errorf("%+v, %v", result, err)
		}
	}
}

func TestWhoMayNameAProvider(t *testing.T) {
	t.Parallel()
	c, _ := withSecond(t, nil)
	w := start(t, c)
	ask := func(w *world, provider, key, path, body string) (int, string) {
		t.Helper()
		method := http.MethodGet
		if body != "" {
			method = http.MethodPost
		}
		r, err := http.NewRequestWithContext(within(t), method, "http://"+w.Addr()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Runtime-Provider", provider)
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		data, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(data)
	}
	const limits = "/v1/limits"
	if status, body := ask(w, "gcp", canaryKey, limits, ""); status != http.StatusOK {
		t.Errorf("with a key: %d %s", status, body)
	}
	if status, body := ask(w, "gcp", "a key that is wrong", limits, ""); status != http.StatusUnauthorized {
		t.Errorf("with a wrong key: %d %s", status, body)
	}
	for key, want := range map[string]int{scoped(t, &c, "limits:read"): http.StatusForbidden, scoped(t, &c, "limits:read", "providers:choose"): http.StatusOK} {
		c.DataDir = t.TempDir()
		limited := start(t, c)
		if status, body := ask(limited, "", key, limits, ""); status != http.StatusOK {
			t.Errorf("without the header: %d %s", status, body)
		}
		if status, body := ask(limited, "gcp", key, limits, ""); status != want {
			t.Errorf("want %d: %d %s", want, status, body)
		}
	}
	if status, body := ask(w, "azure", canaryKey, limits, ""); status != http.StatusBadRequest || !strings.Contains(body, "local or gcp") {
		t.Errorf("a provider that is not there: %d %s", status, body)
	}
	if _, err := w.client.Sessions().Put(within(t), "ours", client.PartState, []byte("1"), client.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	// A message does not choose its provider: the header does, and who may send it.
	message := func(session string, attributes map[string]string) string {
		data, err := json.Marshal(map[string]any{"messages": []any{map[string]any{
			"data":        base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"mutation_id":"m","session_id":%q,"kind":"PUT","payload":"1"}`, session)),
			"orderingKey": session, "attributes": attributes,
		}}})
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	const publish = "/v1/projects/p/topics/state-mutations:publish"
	if status, body := ask(w, "gcp", canaryKey, publish, message("ours", nil)); status != http.StatusConflict || !strings.Contains(body, "FAILED_PRECONDITION") {
		t.Errorf("a message for the second about a session of the first: %d %s", status, body)
	}
	if status, body := ask(w, "gcp", canaryKey, publish, message("theirs", nil)); status != http.StatusOK {
		t.Errorf("a message for the second: %d %s", status, body)
	}
	if status, body := ask(w, "", canaryKey, publish, message("s", map[string]string{"provider": "gcp"})); status != http.StatusBadRequest || !strings.Contains(body, "attribute provider") {
		t.Errorf("a message that names a provider: %d %s", status, body)
	}

	open := c
	open.Auth, open.DataDir = app.AuthConfig{}, t.TempDir()
	path, _ := secondEnv(t, nil)
	second, err := app.ReadConfigFile(path)
	if err != nil {
		t.Fatal(err)
	}
	open.Canary.Second = &second
	if status, body := ask(start(t, open), "gcp", "", limits, ""); status != http.StatusForbidden {
		t.Errorf("nobody known: %d %s", status, body)
	}
	alone := start(t, config(t))
	for provider, want := range map[string]int{"local": http.StatusOK, "gcp": http.StatusBadRequest} {
		if status, body := ask(alone, provider, "", limits, ""); status != want {
			t.Errorf("one provider alone, asked for %s: %d %s", provider, status, body)
		}
	}
}

// TestMutationsOfAProviderThatIsNotThere are parked, and not applied to another.
func TestMutationsOfAProviderThatIsNotThere(t *testing.T) {
	t.Parallel()
	c, _ := withSecond(t, nil)
	w, ctx := start(t, c, app.RoleGateway), within(t) // nobody applies
	out, err := w.at(t, "gcp").Sessions().Put(ctx, "canary", client.PartState, []byte("1"), client.WriteOptions{Async: true})
	if err != nil {
		t.Fatal(err)
	}
	w.stop()
	c.Canary = app.CanaryConfig{}
	w = start(t, c)
	if _, err := w.client.Sessions().Put(ctx, "canary", client.PartState, []byte("2"), client.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	got, err := w.client.Sessions().Read(ctx, "canary", client.PartState)
	if err != nil || string(got.Data) != "2" || got.Version != 1 {
		t.Errorf("%+v, %v: mutation %s of the second provider was applied to the first", got, err, out.MutationID)
	}
}

// TestParityComparesBesideTheAnswers through the gateway, by its metrics.
func TestParityComparesBesideTheAnswers(t *testing.T) {
	t.Parallel()
	c, database := withSecond(t, map[string]string{"PARITY": "on"})
	w, ctx := start(t, c), within(t)
	if _, err := w.client.Sessions().Put(ctx, "s", client.PartState, []byte("1"), client.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	charge := client.LimitCharge{Limit: "llmCalls", Identifier: "user:1", N: 5}
	if _, err := w.client.Limits().Increment(ctx, charge); err != nil {
		t.Fatal(err)
	}
	report := migrate(t, app.MigrateOptions{From: c, To: *c.Canary.Second, Sessions: true, Limits: true, Verify: true})
	if !report.Clean() || report.Sessions.Copied != 1 || report.Limits.Copied != 1 {
		t.Fatalf("%+v, %+v", report.Sessions, report.Limits)
	}
	read := func() {
		t.Helper()
		if _, err := w.client.Sessions().Read(ctx, "s", client.PartState); err != nil {
			t.Fatal(err)
		}
		if left, err := w.client.Limits().Remaining(ctx, charge); err != nil || left.RemainingLimit != 195 {
			t.Fatalf("%+v, %v", left, err)
		}
	}
	until := func(line string) {
		t.Helper()
		for {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.Addr()+"/metrics", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+canaryKey)
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatalf("until %s: %v", line, err)
			}
			var body bytes.Buffer
			_, err = body.ReadFrom(answer.Body)
			answer.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			for text := range strings.Lines(body.String()) {
				if strings.HasPrefix(text, strings.SplitN(line, " ", 2)[0]) && strings.Contains(text, strings.SplitN(line, " ", 2)[1]) {
					return
				}
			}
			select {
			case <-ctx.Done():
				t.Fatalf("there is no %s in\n%s", line, body.String())
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	read()
	until(`session_parity_total{ result="same"`)
	until(`ratelimit_parity_total{ result="same"`)
	openHomes(t, database).put(t, "s", "elsewhere", "2")
	read()
	until(`session_parity_total{ result="ahead"`)
}

func TestSecondProvidersThatAreRefused(t *testing.T) {
	t.Parallel()
	good, _ := secondEnv(t, nil)
	database := "sqlite:" + filepath.Join(t.TempDir(), "first.db")
	same, _ := secondEnv(t, map[string]string{"DATABASE_URL": database})
	nested := filepath.Join(t.TempDir(), "nested.env")
	if err := os.WriteFile(nested, []byte("CANARY_ENV_FILE="+good), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, env := range map[string]map[string]string{
		"PARITY: on needs CANARY_ENV_FILE":              {"PARITY": "on"},
		"PARITY_RATIO: 2 is not from 0 to 1":            {"CANARY_ENV_FILE": good, "PARITY_RATIO": "2"},
		"no such file":                                  {"CANARY_ENV_FILE": good + ".gone"},
		"there are two providers at most":               {"CANARY_ENV_FILE": nested},
		"which is the first provider's":                 {"CANARY_ENV_FILE": good, "RUNTIME_PROVIDER": "gcp"},
		"has its sessions where the first provider has": {"CANARY_ENV_FILE": same, "DATABASE_URL": database},
	} {
		_, err := app.ReadConfig(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", env, err, want)
		}
	}
}

// scoped adds a caller with a key of its own to those of a configuration, and returns the key.
func scoped(t testing.TB, c *app.Config, scopes ...string) string {
	t.Helper()
	key := auth.NewKey()
	entry := auth.Entry{Name: "canary-" + auth.Digest(key)[:8], SHA256: auth.Digest(key), Scopes: scopes}
	if c.Auth.File == "" {
		c.Auth.File = filepath.Join(t.TempDir(), "callers.yaml")
	}
	file, err := os.OpenFile(c.Auth.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(entry.Line()); err != nil {
		t.Fatal(err)
	}
	return key
}
