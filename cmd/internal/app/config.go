package app

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"vibesdk-gcp/internal/obs"
)

// Config is everything that can be set from outside. Each field names its environment variable; a flag of the
// program of the same meaning wins over it.
type Config struct {
	// Listen is where the gateway, the router and pushed consumers answer, host:port. LISTEN. Defaults to 127.0.0.1:8787. An
	// address that other machines can reach needs callers in Auth, and for pushes an account in Push.
	Listen string
	// DataDir holds the database, the sandboxes, uploads and caches. DATA_DIR. Defaults to data.
	DataDir string
	// Provider says at once where messages, sessions, limits and sandboxes are: local, gcp or cloudflare. It sets the defaults of
	// BUS_BACKEND, SESSION_BACKEND, LIMIT_BACKEND and SANDBOX_BACKEND; see config_provider.go. RUNTIME_PROVIDER. Defaults to local.
	Provider string
	// DatabaseURL is sqlite:<path> or postgres://…. DATABASE_URL. Defaults to sqlite:<DataDir>/vibed.db.
	DatabaseURL string
	// Bus is where messages are kept: sql, in the database, or pubsub. BUS_BACKEND. Defaults to sql, with other providers to pubsub.
	Bus string
	// SourcesURL is where uploads and large payloads go, an address that all roles share: gs://bucket or file:///folder. SOURCES_URL.
	// Defaults to a folder in DataDir.
	SourcesURL string
	// PubSubProject is the project of the topics. PUBSUB_PROJECT. Required with Bus pubsub.
	PubSubProject string
	// PubSubEndpoint is the address of an emulator. PUBSUB_EMULATOR_HOST. Defaults to the service itself.
	PubSubEndpoint string
	// PubSubPrefix stands before the names of topics and subscriptions, so that several installations can share a project.
	// PUBSUB_PREFIX. Defaults to none.
	PubSubPrefix string
	// PreviewDomain is below which previews have their hosts. PREVIEW_DOMAIN. Defaults to preview.localhost, which browsers
	// take for this machine.
	PreviewDomain string
	// AppDomain is below which deployed apps have their hosts. APP_DOMAIN. Defaults to localhost.
	AppDomain string
	// Auth is about who may call the gateway. See config_auth.go.
	Auth AuthConfig
	// MaxConnections is how many connections are served at once; more wait. MAX_CONNECTIONS. Defaults to 30000.
	MaxConnections int
	// SchedulesFile is what the ticker fires. SCHEDULES_FILE. Defaults to the file built in.
	SchedulesFile string

	// Sandboxd is the guest program. SANDBOXD. Defaults to sandboxd beside this program, then on PATH.
	Sandboxd string
	// SandboxEnv is the environment of every project's commands. See config_sandbox.go.
	SandboxEnv map[string]string
	// SandboxTTL and SandboxIdle are for requests that say nothing. SANDBOX_TTL, SANDBOX_IDLE. Default to 30m and 10m.
	SandboxTTL, SandboxIdle time.Duration
	// SandboxMaxTTL bounds what a request may ask for. SANDBOX_MAX_TTL. Defaults to 24h.
	SandboxMaxTTL time.Duration
	// BuildTimeout and StartTimeout bound the phases of a sandbox. SANDBOX_BUILD_TIMEOUT, SANDBOX_START_TIMEOUT. Default to
	// 10m and 2m.
	BuildTimeout, StartTimeout time.Duration
	// Builds is how many builds run at once. SANDBOX_BUILDS. Defaults to 2.
	Builds int

	// SandboxBackend is where sandboxes run: process, on this machine, or cloudrun. SANDBOX_BACKEND. Defaults to process, with other
	// providers to cloudrun.
	SandboxBackend string
	// CloudRun is about sandboxes there. See config_cloudrun.go.
	CloudRun CloudRunConfig

	// Push is about consumers that Pub/Sub calls. See config_push.go.
	Push PushConfig

	// Session is about agent sessions. See config_session.go.
	Session SessionConfig
	// Limit is about rate limits. See config_limit.go.
	Limit LimitConfig

	// DeadLetter is about messages that were given up. See config_deadletter.go.
	DeadLetter DeadLetterConfig

	// Router is about the hosts of previews and apps. See config_router.go.
	Router RouterConfig
	// Runner is about the routes that VibeSDK calls as its remote sandbox service. See config_runner.go.
	Runner RunnerConfig
	// Agent is about the clients of agents. See config_agent.go.
	Agent AgentConfig
	// VibeSDK is about VibeSDK's own clients. See config_vibesdk.go.
	VibeSDK VibeSDKConfig

	// Console is about the operator's pages. See config_console.go.
	Console ConsoleConfig

	// Scheduler is where the console finds the jobs of Cloud Scheduler. See config_scheduler.go.
	Scheduler SchedulerConfig

	// Canary is about a second provider. See config_canary.go.
	Canary CanaryConfig

	// Telemetry is about traces, metrics and stalls. See config_telemetry.go.
	Telemetry TelemetryConfig

	// DrainTimeout is how long a stop waits for work under way. DRAIN_TIMEOUT. Defaults to 8s, inside the 10 s that Cloud
	// Run gives.
	DrainTimeout time.Duration
	// LogLevel is debug, info, warn or error. LOG_LEVEL. Defaults to info.
	LogLevel slog.Level
	// LogLevelSet tells a chosen level from the default.
	LogLevelSet bool
	// LogFormat is auto, text or json. LOG_FORMAT. Defaults to auto: text on a terminal.
	LogFormat obs.Format
}

// ClientConfig is what vibectl needs to find the gateway.
type ClientConfig struct {
	// Addr is the gateway's address. VIBE_ADDR. Defaults to http://127.0.0.1:8787.
	Addr string
	// APIKey is sent with each call. Read from the file that VIBE_API_KEY_FILE names. Defaults to none.
	APIKey string
}

// Defaults that more than one program names.
const (
	DefaultListen = "127.0.0.1:8787"
	DefaultAddr   = "http://" + DefaultListen
)

// ConfigFromEnvironment reads the environment of this process.
func ConfigFromEnvironment() (Config, error) { return ReadConfig(os.LookupEnv) }

// ClientConfigFromEnvironment reads the environment of this process.
func ClientConfigFromEnvironment() (ClientConfig, error) { return ReadClientConfig(os.LookupEnv) }

// ReadConfig reads and checks the variables that lookup knows. The error lists every fault, each with its variable.
func ReadConfig(lookup func(string) (string, bool)) (Config, error) {
	r := reader{lookup: lookup}
	provider, b := r.provider()
	c := Config{
		Listen:         r.text("LISTEN", DefaultListen),
		DataDir:        r.text("DATA_DIR", "data"),
		Provider:       provider,
		DatabaseURL:    r.text("DATABASE_URL", ""),
		Bus:            r.choice("BUS_BACKEND", b.bus, "sql", "pubsub"),
		SourcesURL:     strings.TrimRight(r.text("SOURCES_URL", ""), "/"),
		PubSubProject:  r.text("PUBSUB_PROJECT", ""),
		PubSubEndpoint: r.text("PUBSUB_EMULATOR_HOST", ""),
		PubSubPrefix:   r.text("PUBSUB_PREFIX", ""),
		PreviewDomain:  strings.ToLower(r.text("PREVIEW_DOMAIN", "preview.localhost")),
		AppDomain:      strings.ToLower(r.text("APP_DOMAIN", "localhost")),
		Auth:           r.auth(),
		MaxConnections: r.number("MAX_CONNECTIONS", 30_000, 1, 10_000_000),
		SchedulesFile:  r.text("SCHEDULES_FILE", ""),
		Sandboxd:       r.text("SANDBOXD", ""),
		SandboxTTL:     r.duration("SANDBOX_TTL", 30*time.Minute, 5*time.Second, 24*time.Hour),
		SandboxIdle:    r.duration("SANDBOX_IDLE", 10*time.Minute, 5*time.Second, 24*time.Hour),
		SandboxMaxTTL:  r.duration("SANDBOX_MAX_TTL", 24*time.Hour, 5*time.Second, 24*time.Hour),
		BuildTimeout:   r.duration("SANDBOX_BUILD_TIMEOUT", 10*time.Minute, time.Second, 24*time.Hour),
		StartTimeout:   r.duration("SANDBOX_START_TIMEOUT", 2*time.Minute, time.Second, time.Hour),
		Builds:         r.number("SANDBOX_BUILDS", 2, 1, 64),
		SandboxBackend: r.choice("SANDBOX_BACKEND", b.sandbox, "process", "cloudrun"),
		CloudRun:       r.cloudRun(),
		Push:           r.push(),
		Session:        r.session(b.session),
		Router:         r.router(),
		Runner:         r.runner(),
		Limit:          r.limits(b.limit),
		Agent:          r.agent(),
		VibeSDK:        r.vibeSDK(),
		Console:        r.console(),
		Scheduler:      r.scheduler(),
		DeadLetter:     r.deadLetters(),
		Telemetry:      r.telemetry(),
		DrainTimeout:   r.duration("DRAIN_TIMEOUT", 8*time.Second, 100*time.Millisecond, 10*time.Minute),
		LogLevel:       parsed(&r, "LOG_LEVEL", "info", obs.ParseLevel),
		LogFormat:      parsed(&r, "LOG_FORMAT", "auto", obs.ParseFormat),
	}
	_, c.LogLevelSet = lookup("LOG_LEVEL")
	c.SandboxEnv = r.sandboxEnv()
	c.Canary = r.canary()
	r.check(c)
	return c, r.err()
}

// ReadClientConfig reads and checks the variables that lookup knows.
func ReadClientConfig(lookup func(string) (string, bool)) (ClientConfig, error) {
	r := reader{lookup: lookup}
	c := ClientConfig{Addr: r.text("VIBE_ADDR", DefaultAddr), APIKey: r.secretFile("VIBE_API_KEY_FILE")}
	return c, r.err()
}

// check holds the rules between fields.
func (r *reader) check(c Config) {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		r.fault("LISTEN", "%q is not host:port, like %s", c.Listen, DefaultListen)
	}
	r.checkProvider(c)
	r.databaseAddress("DATABASE_URL", c.DatabaseURL)
	if c.Bus == "pubsub" && c.PubSubProject == "" {
		r.fault("PUBSUB_PROJECT", "is required with BUS_BACKEND=pubsub")
	}
	if c.SandboxTTL > c.SandboxMaxTTL {
		r.fault("SANDBOX_TTL", "%s is longer than SANDBOX_MAX_TTL, %s", c.SandboxTTL, c.SandboxMaxTTL)
	}
	r.checkScheduler(c.Scheduler)
	r.checkPush(c)
	r.checkCloudRun(c)
	r.checkSession(c)
	r.checkAgent(c)
	r.checkLimits(c)
	r.checkCanary(c)
}

// databaseAddress checks the address of a database; none is the default.
func (r *reader) databaseAddress(name, address string) {
	if address != "" && !strings.HasPrefix(address, "sqlite:") && !strings.HasPrefix(address, "postgres://") && !strings.HasPrefix(address, "postgresql://") {
		r.fault(name, "must begin with sqlite: or postgres://")
	}
}

// databaseURL is DatabaseURL with its default.
func (c Config) databaseURL() string {
	if c.DatabaseURL != "" {
		return c.DatabaseURL
	}
	return "sqlite:" + filepath.Join(c.DataDir, "vibed.db")
}
