package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/cmd/internal/app"
)

func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	c, err := app.ReadConfig(environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	want := app.Config{
		Listen: "127.0.0.1:8787", DataDir: "data", Provider: "local", Bus: "sql",
		PreviewDomain: "preview.localhost", AppDomain: "localhost", SandboxEnv: map[string]string{},
		SandboxTTL: 30 * time.Minute, SandboxIdle: 10 * time.Minute, SandboxMaxTTL: 24 * time.Hour,
		BuildTimeout: 10 * time.Minute, StartTimeout: 2 * time.Minute, Builds: 2, DrainTimeout: 8 * time.Second, LogFormat: "auto",
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestConfigReportsAllFaultsByName(t *testing.T) {
	t.Parallel()
	short := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(short, []byte("tiny-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{
		"LISTEN": "8787", "RUNTIME_PROVIDER": "gcp", "BUS_BACKEND": "kafka", "DATABASE_URL": "mysql://user:hunter2@db",
		"API_KEY_FILE": short, "SANDBOX_TTL": "soon", "SANDBOX_BUILDS": "0", "DRAIN_TIMEOUT": "1h", "LOG_LEVEL": "loud",
		"LOG_FORMAT": "xml", "SANDBOX_PASS_ENV": "NOT_SET",
	}
	_, err := app.ReadConfig(environment(vars))
	if err == nil {
		t.Fatal("accepted")
	}
	for name := range vars {
		if !strings.Contains(err.Error(), "\n  "+name+": ") {
			t.Errorf("the error does not name %s:\n%v", name, err)
		}
	}
	for _, secret := range []string{"tiny-secret", "hunter2"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells a secret:\n%v", err)
		}
	}
	if _, err := app.ReadConfig(environment(map[string]string{"BUS_BACKEND": "pubsub"})); err == nil || !strings.Contains(err.Error(), "PUBSUB_PROJECT") {
		t.Errorf("pubsub without a project: %v", err)
	}
}

func TestSandboxesSeeOnlyWhatIsPassed(t *testing.T) {
	t.Parallel()
	c, err := app.ReadConfig(environment(map[string]string{
		"PATH": "/bin", "LANG": "C.UTF-8", "GOPROXY": "https://proxy.example,direct", "HTTP_PROXY": "http://proxy:3128",
		"HTTPS_PROXY": "http://user:pass@proxy:3128", "NPM_CONFIG_REGISTRY": "https://tok@registry.example/",
		"DATABASE_URL": "sqlite:x", "AWS_SECRET_ACCESS_KEY": "s", "HOME": "/root", "EXTRA": "given", "SANDBOX_PASS_ENV": "EXTRA, ",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"PATH": "/bin", "LANG": "C.UTF-8", "GOPROXY": "https://proxy.example,direct", "HTTP_PROXY": "http://proxy:3128", "EXTRA": "given",
	}
	if diff := cmp.Diff(want, c.SandboxEnv); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestClientConfig(t *testing.T) {
	t.Parallel()
	c, err := app.ReadClientConfig(environment(nil))
	if err != nil || c.Addr != app.DefaultAddr || c.APIKey != "" {
		t.Errorf("defaults: %+v, %v", c, err)
	}
	if _, err := app.ReadClientConfig(environment(map[string]string{"VIBE_API_KEY_FILE": "/no/such"})); err == nil || !strings.Contains(err.Error(), "VIBE_API_KEY_FILE") {
		t.Errorf("missing key file: %v", err)
	}
}

func TestPlainLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"[2026-11-23T13:46:21.53Z] [stdout] hello":        "hello",
		"[2026-11-23T13:46:21.53Z] [stdout] [vite] ready": "[vite] ready",
		"[vite] not stamped":                              "[vite] not stamped",
		"[2026-11-23T13:46:21.53Z] [stdout] ":             "",
		"\x1b[31mred\x1b[0m":                              "\x1b[31mred\x1b[0m",
		"\x1b]0;title\x07 \x1b[2Jcleared\r\u009b5A":       "]0;title [2Jcleared5A",
		"tab\tkept, ünïcode kept ➜":                       "tab\tkept, ünïcode kept ➜",
	} {
		if got := app.PlainLine(in); got != want {
			t.Errorf("PlainLine(%q) = %q, want %q", in, got, want)
		}
	}
}
