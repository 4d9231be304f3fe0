package auth_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/gateway/auth"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestKeysAreRandomAndOfOneForm(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		key := auth.NewKey()
		if !strings.HasPrefix(key, auth.KeyPrefix) || len(key) != len(auth.KeyPrefix)+43 || seen[key] {
			t.Fatalf("key %q", key)
		}
		seen[key] = true
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		have, need auth.Scope
		want       bool
	}{
		{auth.SessionsRead, auth.SessionsRead, true}, {auth.SessionsWrite, auth.SessionsRead, true},
		{auth.SessionsRead, auth.SessionsWrite, false}, {auth.SessionsWrite, auth.SandboxesRead, false},
		{auth.Admin, auth.SessionsWrite, true}, {auth.Admin, auth.Publish, true}, {auth.Publish, auth.SessionsWrite, false},
		{auth.SessionsWrite, auth.Admin, false}, {auth.SessionsWrite, auth.AgentsConnect, false}, {"", auth.SessionsRead, false},
	} {
		if got := (auth.Caller{Scopes: []auth.Scope{auth.MetricsRead, c.have}}).May(c.need); got != c.want {
			t.Errorf("%q may %q = %v, want %v", c.have, c.need, got, c.want)
		}
	}
	if (auth.Caller{}).May(auth.SessionsRead) {
		t.Error("a caller without scopes may read sessions")
	}
}

func TestTheLineOfAnEntryIsReadBack(t *testing.T) {
	t.Parallel()
	key, other := auth.NewKey(), auth.NewKey()
	ends := time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	path := filepath.Join(t.TempDir(), "callers.yaml")
	write(t, path, auth.Entry{Name: `ci:"main"`, SHA256: auth.Digest(key), Scopes: []string{"sessions:write", "limits:read"}}.Line()+
		auth.Entry{Name: "other", SHA256: auth.Digest(other), Scopes: []string{"admin"}, Expires: ends}.Line())
	now := ends.Add(-time.Second)
	callers, err := auth.New(auth.Options{File: path, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	caller, err := callers.Identify(t.Context(), key)
	if err != nil || caller.Name != `ci:"main"` || !caller.May(auth.SessionsWrite) || !caller.May(auth.LimitsRead) || caller.May(auth.LimitsWrite) {
		t.Errorf("caller %+v, %v", caller, err)
	}
	if strings.Contains(caller.ID, key) || strings.Contains(caller.ID, auth.Digest(key)) {
		t.Errorf("the id %q gives the key or its digest away", caller.ID)
	}
	if _, err := callers.Identify(t.Context(), other); err != nil {
		t.Errorf("a second before its end: %v", err)
	}
	now = ends
	if _, err := callers.Identify(t.Context(), other); !errors.Is(err, auth.ErrUnknown) {
		t.Errorf("at its end: %v, want ErrUnknown", err)
	}
}

func TestJSONIsAFileOfCallersAsWell(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "callers.json")
	write(t, path, `[{"name":"ci","sha256":"`+auth.Digest("k")+`","scopes":["publish"]}]`)
	callers, err := auth.New(auth.Options{File: path})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := callers.Identify(t.Context(), "k"); err != nil || c.Name != "ci" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestTheOneKeyMayDoEverything(t *testing.T) {
	t.Parallel()
	callers, err := auth.New(auth.Options{Key: "correct horse battery"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := callers.Identify(t.Context(), "correct horse battery")
	if err != nil || !c.May(auth.Admin) || !c.May(auth.SessionsWrite) {
		t.Errorf("%+v, %v", c, err)
	}
	for _, token := range []string{"", "wrong", "correct horse batter", "correct horse battery ", auth.Digest("correct horse battery")} {
		if _, err := callers.Identify(t.Context(), token); !errors.Is(err, auth.ErrUnknown) {
			t.Errorf("token %q: %v, want ErrUnknown", token, err)
		}
	}
}

func TestFaultsOfTheFileNameEntryAndField(t *testing.T) {
	t.Parallel()
	key := auth.NewKey()
	sum := auth.Digest(key)
	for text, want := range map[string]string{
		"- {name: a, sha256: " + sum + ", scopes: [read]}":                                   `entry 1: scopes: "read"`,
		"- {name: a, sha256: " + sum + "}":                                                   "entry 1: scopes",
		"- {sha256: " + sum + ", scopes: [admin]}":                                           "entry 1: name",
		"- {name: \"a b\", sha256: " + sum + ", scopes: [admin]}":                            "entry 1: name",
		"- {name: a, scopes: [admin]}":                                                       "sha256, email, subject",
		"- {name: a, sha256: " + sum + ", email: a@b, scopes: [admin]}":                      "sha256, email, subject",
		"- {name: a, sha256: " + key + ", scopes: [admin]}":                                  "entry 1: sha256",
		"- {name: a, email: nobody, scopes: [admin]}":                                        "entry 1: email",
		"- {name: a, email: a@b, scopes: [admin]}\n- {name: a, email: c@d, scopes: [admin]}": "entry 2: name",
		"- {name: a, email: a@b, scopes: [admin]}\n- {name: b, email: A@b, scopes: [admin]}": "entry 2: the caller",
		"- {name: a, sha256: " + sum + ", scope: [admin]}":                                   "is not a YAML list",
		"name: a":                             "is not a YAML list",
		strings.Repeat("- {name: a}\n", 1001): "1001 entries",
		strings.Repeat("#", 1<<20+1):          "larger than",
	} {
		path := filepath.Join(t.TempDir(), "callers.yaml")
		write(t, path, text)
		_, err := auth.New(auth.Options{File: path})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%.80q: %v, want %q and the path", text, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), key) || strings.Contains(err.Error(), sum)) {
			t.Errorf("the error repeats what is secret: %v", err)
		}
	}
	if _, err := auth.New(auth.Options{File: filepath.Join(t.TempDir(), "none")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestAKeyThatIsTakenOutStopsWithinASecond(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "callers.yaml")
	first, second := auth.NewKey(), auth.NewKey()
	line := func(name, key string) string {
		return auth.Entry{Name: name, SHA256: auth.Digest(key), Scopes: []string{"admin"}}.Line()
	}
	write(t, path, line("first", first))
	now := time.Now()
	var log bytes.Buffer
	callers, err := auth.New(auth.Options{File: path, Now: func() time.Time { return now }, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	known := func(key string, want bool) {
		t.Helper()
		if _, err := callers.Identify(t.Context(), key); (err == nil) != want {
			t.Errorf("known = %v, want %v (%v)", err == nil, want, err)
		}
	}
	known(first, true)
	write(t, path, line("other", second)) // of the same size, maybe within one tick of the file system's clock
	now = now.Add(time.Second)
	known(first, false)
	known(second, true)

	for _, broken := range []string{"- {", ""} {
		log.Reset()
		if broken == "" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		} else {
			write(t, path, broken)
		}
		for range 3 {
			now = now.Add(time.Second)
			known(second, true)
			known(first, false)
		}
		if n := strings.Count(log.String(), "has a fault"); n != 1 {
			t.Errorf("the log tells the fault %d times, want once: %s", n, log.String())
		}
		if strings.Contains(log.String(), second) || strings.Contains(log.String(), auth.Digest(second)) {
			t.Error("the log has a key or its digest")
		}
	}
	write(t, path, "[]") // nobody any more
	now = now.Add(time.Second)
	known(second, false)
}

func FuzzFile(f *testing.F) {
	f.Add([]byte("- {name: ci, sha256: " + auth.Digest("k") + ", scopes: [sessions:write], expires: 2027-01-31T00:00:00Z}"))
	f.Add([]byte(`[{"name":"a","email":"a@b.test","scopes":["admin"]}]`))
	f.Add([]byte("&a [*a]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "callers.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		callers, err := auth.New(auth.Options{File: path})
		if err != nil {
			return
		}
		// Whatever it says, it admits nobody without a token.
		if _, err := callers.Identify(t.Context(), ""); err == nil {
			t.Error("a call without a token has a caller")
		}
	})
}
