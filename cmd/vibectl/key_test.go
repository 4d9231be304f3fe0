package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/auth"
	"vibesdk-gcp/gateway/client"
)

func makeKey(t *testing.T, args ...string) newKey {
	t.Helper()
	var made newKey
	if err := json.Unmarshal([]byte(must(t, "", "", append([]string{"-o", "json", "key", "create"}, args...)...)), &made); err != nil {
		t.Fatal(err)
	}
	return made
}

func TestAKeyThatWasMadeWorksUntilItsLineIsTakenOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	callers := filepath.Join(dir, "callers.yaml")
	reader := makeKey(t, "--name", "reader", "--scope", "sessions:read,sandboxes:read", "--file", callers)
	writer := makeKey(t, "--name", "writer", "--scope", "sessions:write", "--expires-in", "1h", "--file", callers)
	addr := serveWith(t, map[string]string{"API_KEYS_FILE": callers}, app.AllRoles()...)
	keyFile := func(name, key string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	read, write := keyFile("read", reader.Key), keyFile("write", writer.Key)

	must(t, addr, "", "--api-key-file", write, "session", "put", "chat", `{"n":1}`)
	if got := must(t, addr, "", "--api-key-file", read, "session", "get", "chat", "state"); got != `{"n":1}` {
		t.Errorf("the reader gets %q", got)
	}
	_, err := vibectl(t, addr, "", "--api-key-file", read, "session", "put", "chat", `{"n":2}`)
	if !errors.Is(err, client.ErrForbidden) || !strings.Contains(err.Error(), "sessions:write") {
		t.Errorf("the reader writes: %v, want ErrForbidden naming the scope", err)
	}
	if _, err := vibectl(t, addr, "", "session", "get", "chat"); !errors.Is(err, client.ErrUnauthorized) {
		t.Errorf("without a key: %v, want ErrUnauthorized", err)
	}

	if err := os.WriteFile(callers, []byte(writer.Line), 0o600); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		_, err := vibectl(t, addr, "", "--api-key-file", read, "session", "get", "chat")
		if errors.Is(err, client.ErrUnauthorized) {
			break
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("a key that was taken out: %v", err)
		}
	}
	must(t, addr, "", "--api-key-file", write, "session", "get", "chat")
}

func TestKeyCreate(t *testing.T) {
	t.Parallel()
	out := must(t, "", "", "key", "create", "--name", "ci", "--scope", "admin")
	lines := strings.Split(out, "\n")
	if len(lines) < 5 || !strings.HasPrefix(lines[1], auth.KeyPrefix) || !strings.Contains(lines[4], auth.Digest(lines[1])) || strings.Contains(lines[4], lines[1]) {
		t.Errorf("output %q", out)
	}
	path := filepath.Join(t.TempDir(), "callers.yaml")
	if err := os.WriteFile(path, []byte("- {name: ci, email: a@b.test, scopes: [admin]}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no name":      {[]string{"--scope", "admin"}, "name"},
		"no scope":     {[]string{"--name", "x"}, "scopes"},
		"wrong scope":  {[]string{"--name", "x", "--scope", "everything"}, `"everything"`},
		"ended before": {[]string{"--name", "x", "--scope", "admin", "--expires-in", "-1h"}, "--expires-in"},
		"a name twice": {[]string{"--name", "ci", "--scope", "admin", "--file", path}, "there is another"},
	} {
		out, err := vibectl(t, "", "", append([]string{"key", "create"}, c.args...)...)
		if err == nil || !strings.Contains(err.Error(), c.want) || out != "" {
			t.Errorf("%s: %q, %v, want %q and no key", name, out, err, c.want)
		}
	}
	if n := strings.Count(readFile(t, path), "\n"); n != 0 {
		t.Errorf("a refused line was written: %q", readFile(t, path))
	}
	must(t, "", "", "key", "create", "--name", "two", "--scope", "admin", "--file", path)
	if n, err := auth.Parse([]byte(readFile(t, path))); n != 2 || err != nil {
		t.Errorf("%d callers, %v: %q", n, err, readFile(t, path))
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	var document struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(must(t, serve(t), "", "openapi")), &document); err != nil {
		t.Fatal(err)
	}
	if document.OpenAPI != "3.1.0" || document.Paths["/v1/sessions/{id}/state"] == nil {
		t.Errorf("document %s with %d paths", document.OpenAPI, len(document.Paths))
	}
}
