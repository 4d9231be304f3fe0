package app_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/auth"
	"vibesdk-gcp/platform/ratelimit"
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
		Auth: app.AuthConfig{OIDCIssuer: auth.GoogleIssuer, OIDCKeysURL: auth.GoogleKeys}, MaxConnections: 30_000,
		SandboxTTL: 30 * time.Minute, SandboxIdle: 10 * time.Minute, SandboxMaxTTL: 24 * time.Hour,
		BuildTimeout: 10 * time.Minute, StartTimeout: 2 * time.Minute, Builds: 2, DrainTimeout: 8 * time.Second, LogFormat: "auto",
		Session: app.SessionConfig{Backend: "sql", FirestoreDatabase: "(default)", CallbackTimeout: time.Minute},
		Push:    app.PushConfig{Issuer: auth.GoogleIssuer, KeysURL: auth.GoogleKeys, Deadline: 10 * time.Minute},
		Runner:  app.RunnerConfig{Wait: 55 * time.Second},
		Limit:   app.LimitConfig{Backend: "sql", Binding: "RATE_LIMITS", Timeout: 250 * time.Millisecond, Limits: ratelimit.PresetH()},
		Agent: app.AgentConfig{
			MaxSockets: 20_000, MaxSessionSockets: 1_000, HostTimeout: time.Minute, HostStreamTimeout: 15 * time.Minute, HostCalls: 64,
		},
		Telemetry:      app.TelemetryConfig{SampleRatio: 1, StallExit: 10 * time.Minute},
		DeadLetter:     app.DeadLetterConfig{AlarmAge: time.Hour, AlarmCount: 100},
		SandboxBackend: "process", CloudRun: app.CloudRunConfig{Job: "vibesdk-sandbox-job", Installation: "default", Previews: "services", CPU: "1", Memory: "1Gi"},
		Router: app.RouterConfig{Scheme: "auto", MaxBody: 100, MaxPerApp: 1000},
		Canary: app.CanaryConfig{ParityRatio: 1}, Console: app.ConsoleConfig{Enabled: true},
		Scheduler: app.SchedulerConfig{Timeout: 5 * time.Second},
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
		"LISTEN": "8787", "RUNTIME_PROVIDER": "azure", "BUS_BACKEND": "kafka", "DATABASE_URL": "mysql://user:hunter2@db",
		"API_KEY_FILE": short, "SANDBOX_TTL": "soon", "SANDBOX_BUILDS": "0", "DRAIN_TIMEOUT": "1h", "LOG_LEVEL": "loud",
		"LOG_FORMAT": "xml", "SANDBOX_PASS_ENV": "NOT_SET", "SESSION_BACKEND": "mongo", "SESSION_DATABASE_URL": "mysql://user:hunter2@db",
		"SESSION_TTL": "30s", "BRIDGE_URL": "bridge", "BRIDGE_KEY_FILE": short, "AGENT_HOST_URL": "https://user:hunter2@host",
		"AGENT_HOST_KEY_FILE": short, "ROUTER_SCHEME": "ftp", "ROUTER_ORIGINS": "https://ok.test, build.example.com", "APP_ENDPOINT_HOSTS": "*.*",
		"APP_ENDPOINT_NETWORKS": "10.0.0.1", "OWNER_TOKEN_KEY_FILE": short, "ROUTER_MAX_BODY": "0", "ROUTER_MAX_PER_APP": "many",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318", "OTEL_TRACES_SAMPLER_ARG": "NaN",
		"STALL_EXIT": "-1s", "SOURCES_URL": "gs://user:hunter2@bucket",
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

func TestSessionBackendsNeedTheirSettings(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		vars map[string]string
		want []string // variables at fault
	}{
		"firestore without a project": {map[string]string{"SESSION_BACKEND": "firestore"}, []string{"FIRESTORE_PROJECT"}},
		"firestore":                   {map[string]string{"SESSION_BACKEND": "firestore", "FIRESTORE_PROJECT": "p"}, nil},
		"cloudflare without a bridge": {map[string]string{"SESSION_BACKEND": "cloudflare"}, []string{"BRIDGE_URL", "BRIDGE_KEY_FILE"}},
		"cloudflare":                  {map[string]string{"SESSION_BACKEND": "cloudflare", "BRIDGE_URL": "https://bridge.example", "BRIDGE_KEY_FILE": key}, nil},
		"postgres on SQLite":          {map[string]string{"SESSION_BACKEND": "postgres"}, []string{"SESSION_BACKEND"}},
		"postgres beside SQLite":      {map[string]string{"SESSION_BACKEND": "postgres", "SESSION_DATABASE_URL": "postgres://db/x"}, nil},
		"sqlite on Postgres":          {map[string]string{"SESSION_BACKEND": "sqlite", "DATABASE_URL": "postgres://db/x"}, []string{"SESSION_BACKEND"}},
		"sqlite":                      {map[string]string{"SESSION_BACKEND": "sqlite"}, nil},
		"a database without use": {
			map[string]string{"SESSION_BACKEND": "firestore", "FIRESTORE_PROJECT": "p", "SESSION_DATABASE_URL": "sqlite:x"},
			[]string{"SESSION_DATABASE_URL"},
		},
		"host with a query": {map[string]string{"AGENT_HOST_URL": "http://h/?a=1"}, []string{"AGENT_HOST_URL"}},
		"agent in capitals": {map[string]string{"AGENT_CLASSES": "good-agent, CounterAgent"}, []string{"AGENT_CLASSES"}},
		"main agent":        {map[string]string{"AGENT_MAIN": "a_b"}, []string{"AGENT_MAIN"}},
		"origin":            {map[string]string{"AGENT_ORIGINS": "https://x.test"}, []string{"AGENT_ORIGINS"}},
		"agents":            {map[string]string{"AGENT_CLASSES": "a,b-c", "AGENT_MAIN": "a", "AGENT_ORIGINS": "*.x.test y.test", "AGENT_MAX_SOCKETS": "5"}, nil},
		"what needs a host": {map[string]string{"AGENT_HOST_CONNECT": "true", "AGENT_PROXY": "a", "AGENT_HOST_METHODS": "initialize"}, []string{"AGENT_HOST_CONNECT", "AGENT_PROXY", "AGENT_HOST_METHODS"}},
		"settings of hosts": {map[string]string{"AGENT_PROXY": "A", "AGENT_HOST_CONNECT": "yes", "AGENT_HOST_TIMEOUT": "1", "AGENT_HOST_CALLS": "0"}, []string{"AGENT_PROXY", "AGENT_HOST_CONNECT", "AGENT_HOST_TIMEOUT", "AGENT_HOST_CALLS"}},
		"a host": {map[string]string{
			"AGENT_HOST_URL": "http://h", "AGENT_HOST_CONNECT": "true", "AGENT_PROXY": "a, b-c", "AGENT_HOST_STATE": "true",
			"AGENT_HOST_TIMEOUT": "30s", "AGENT_HOST_STREAM_TIMEOUT": "1h", "AGENT_HOST_HEADERS": "cookie", "AGENT_HOST_CALLS": "1",
		}, nil},
		"host with a path": {map[string]string{"AGENT_HOST_URL": "http://h:8080/base", "SESSION_TTL": "0s"}, nil},
	} {
		_, err := app.ReadConfig(environment(c.vars))
		if (err != nil) != (len(c.want) > 0) {
			t.Errorf("%s: %v", name, err)
		}
		for _, variable := range c.want {
			if err == nil || !strings.Contains(err.Error(), "\n  "+variable+": ") {
				t.Errorf("%s: the error does not name %s: %v", name, variable, err)
			}
		}
	}
}

func TestAProviderIsOneSwitch(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	complete := map[string]string{
		"PUBSUB_PROJECT": "p", "FIRESTORE_PROJECT": "p", "REDIS_URL": "redis://redis:6379", "BRIDGE_URL": "https://bridge.example", "BRIDGE_KEY_FILE": key,
		"DATABASE_URL": "postgres://db/x", "SOURCES_URL": "gs://bucket",
	}
	for _, want := range []struct{ provider, bus, session, limit string }{
		{"local", "sql", "sql", "sql"}, {"gcp", "pubsub", "firestore", "redis"}, {"cloudflare", "pubsub", "cloudflare", "cloudflare"},
	} {
		vars := maps.Clone(complete)
		vars["RUNTIME_PROVIDER"] = want.provider
		if want.limit != "redis" {
			delete(vars, "REDIS_URL") // it would have no use
		}
		c, err := app.ReadConfig(environment(vars))
		if err != nil {
			t.Errorf("%s: %v", want.provider, err)
			continue
		}
		if c.Bus != want.bus || c.Session.Backend != want.session || c.Limit.Backend != want.limit {
			t.Errorf("%s means bus %s, sessions %s, limits %s", want.provider, c.Bus, c.Session.Backend, c.Limit.Backend)
		}
	}

	// One port can be elsewhere, and then what its default would have needed is not asked for.
	c, err := app.ReadConfig(environment(map[string]string{
		"RUNTIME_PROVIDER": "gcp", "DATABASE_URL": "postgres://db/x", "SOURCES_URL": "file:///srv/blobs/", "BUS_BACKEND": "sql", "SESSION_BACKEND": "postgres", "LIMIT_BACKEND": "sql",
	}))
	if err != nil || c.Bus != "sql" || c.Session.Backend != "postgres" || c.Limit.Backend != "sql" || c.SourcesURL != "file:///srv/blobs" {
		t.Errorf("overridden: %+v, %v", c, err)
	}

	_, err = app.ReadConfig(environment(map[string]string{"RUNTIME_PROVIDER": "gcp"}))
	for _, needed := range []string{"DATABASE_URL", "SOURCES_URL", "PUBSUB_PROJECT", "FIRESTORE_PROJECT", "REDIS_URL"} {
		if err == nil || !strings.Contains(err.Error(), "\n  "+needed+": ") {
			t.Errorf("without anything the error does not name %s: %v", needed, err)
		}
	}
	for _, address := range []string{"s3://bucket", "gs://", "gs://bucket/folder", "file://host/x", "file:relative", "gs://bucket?x=1"} {
		if _, err := app.ReadConfig(environment(map[string]string{"SOURCES_URL": address})); err == nil || !strings.Contains(err.Error(), "SOURCES_URL") {
			t.Errorf("SOURCES_URL=%s: %v", address, err)
		}
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

func TestAFakeCloudRunIsSharedByName(t *testing.T) {
	t.Parallel()
	base := map[string]string{
		"SANDBOX_BACKEND": "cloudrun", "CLOUD_RUN": "fake", "CLOUD_RUN_EMULATOR_HOST": "127.0.0.1:1", "CLOUD_RUN_EMULATOR_BUCKET": "http://127.0.0.1:2/bucket/?key=0a",
	}
	c, err := app.ReadConfig(environment(base))
	if err != nil || c.CheckRoles([]app.Role{app.RoleJanitor}) != nil {
		t.Errorf("shared: %v, %v", err, c.CheckRoles([]app.Role{app.RoleJanitor}))
	}
	for _, missing := range []string{"CLOUD_RUN", "CLOUD_RUN_EMULATOR_BUCKET", "CLOUD_RUN_EMULATOR_HOST"} {
		vars := maps.Clone(base)
		delete(vars, missing)
		if _, err := app.ReadConfig(environment(vars)); err == nil || !strings.Contains(err.Error(), "\n  CLOUD_RUN_EMULATOR_HOST: ") || strings.Contains(err.Error(), "0a") {
			t.Errorf("without %s: %v", missing, err)
		}
	}
	alone, err := app.ReadConfig(environment(map[string]string{"SANDBOX_BACKEND": "cloudrun", "CLOUD_RUN": "fake"}))
	if err != nil || alone.CheckRoles([]app.Role{app.RoleJanitor}) == nil || alone.CheckRoles(app.AllRoles()) != nil {
		t.Errorf("a fake of its own: %v", err)
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
