package app

import (
	"net/url"
	"strings"
	"time"
)

// SessionConfig says where agent sessions are kept, and who is called when one of their jobs is due.
type SessionConfig struct {
	// Backend is sql, the database at DATABASE_URL; sqlite or postgres, the same with the kind checked; firestore; or
	// cloudflare, Durable Objects through the bridge. SESSION_BACKEND. Defaults to sql, and with other
	// providers to theirs.
	Backend string
	// DatabaseURL is a database for the sessions alone, with the SQL backends. SESSION_DATABASE_URL. Defaults to
	// DATABASE_URL.
	DatabaseURL string
	// TTL is how long a session lives after its last change; 0 is for ever. SESSION_TTL. Defaults to 0.
	TTL time.Duration
	// FirestoreProject is the project of the sessions. FIRESTORE_PROJECT. Required with Backend firestore.
	FirestoreProject string
	// FirestoreDatabase is the database in it. FIRESTORE_DATABASE. Defaults to (default).
	FirestoreDatabase string
	// FirestoreEndpoint is the address of an emulator. FIRESTORE_EMULATOR_HOST. Defaults to the service itself.
	FirestoreEndpoint string
	// BridgeURL is the address of the bridge Worker. BRIDGE_URL. Required with Backend cloudflare.
	BridgeURL string
	// BridgeKey is sent to the bridge. Read from the file that BRIDGE_KEY_FILE names. Required with Backend cloudflare.
	BridgeKey string
	// AgentHostURL is called when a job is due, and by the gateway for what agents do on their own: see docs/agent-host.md.
	// AGENT_HOST_URL. Defaults to none, and then due jobs wait.
	AgentHostURL string
	// AgentHostKey is sent with each such call. Read from the file that AGENT_HOST_KEY_FILE names. Defaults to none.
	AgentHostKey string
	// CallbackTimeout is how long the agent host may take for one such call. CALLBACK_TIMEOUT. Defaults to 1m, at most 100s.
	CallbackTimeout time.Duration
}

// maxSessionTTL is ten years: longer is for ever.
const maxSessionTTL = 10 * 365 * 24 * time.Hour

func (r *reader) session(backend string) SessionConfig {
	return SessionConfig{
		Backend:           r.choice("SESSION_BACKEND", backend, "sql", "sqlite", "postgres", "firestore", "cloudflare"),
		DatabaseURL:       r.text("SESSION_DATABASE_URL", ""),
		TTL:               r.duration("SESSION_TTL", 0, 0, maxSessionTTL),
		FirestoreProject:  r.text("FIRESTORE_PROJECT", ""),
		FirestoreDatabase: r.text("FIRESTORE_DATABASE", "(default)"),
		FirestoreEndpoint: r.text("FIRESTORE_EMULATOR_HOST", ""),
		BridgeURL:         r.text("BRIDGE_URL", ""),
		BridgeKey:         r.secretFile("BRIDGE_KEY_FILE"),
		AgentHostURL:      r.text("AGENT_HOST_URL", ""),
		AgentHostKey:      r.secretFile("AGENT_HOST_KEY_FILE"),
		CallbackTimeout:   r.duration("CALLBACK_TIMEOUT", time.Minute, 100*time.Millisecond, 100*time.Second),
	}
}

// checkSession holds the rules between the fields of sessions. No fault repeats an address: it may hold a password.
func (r *reader) checkSession(c Config) {
	s := c.Session
	r.databaseAddress("SESSION_DATABASE_URL", s.DatabaseURL)
	switch s.Backend {
	case "sqlite", "postgres":
		if isSQLite(c.sessionDatabaseURL()) != (s.Backend == "sqlite") {
			r.fault("SESSION_BACKEND", "%s needs SESSION_DATABASE_URL or DATABASE_URL to be the address of such a database", s.Backend)
		}
	case "firestore":
		if s.FirestoreProject == "" {
			r.fault("FIRESTORE_PROJECT", "is required with SESSION_BACKEND=firestore")
		}
	case "cloudflare":
		if s.BridgeURL == "" {
			r.fault("BRIDGE_URL", "is required with SESSION_BACKEND=cloudflare")
		}
		if s.BridgeKey == "" {
			r.fault("BRIDGE_KEY_FILE", "is required with SESSION_BACKEND=cloudflare")
		}
	}
	if s.DatabaseURL != "" && (s.Backend == "firestore" || s.Backend == "cloudflare") {
		r.fault("SESSION_DATABASE_URL", "has no use with SESSION_BACKEND=%s", s.Backend)
	}
	if s.TTL > 0 && s.TTL < time.Minute {
		r.fault("SESSION_TTL", "%s is shorter than 1m; 0 is for ever", s.TTL)
	}
	r.httpAddress("BRIDGE_URL", s.BridgeURL)
	r.httpAddress("AGENT_HOST_URL", s.AgentHostURL)
}

// httpAddress checks the address of a server that is called; none is right.
func (r *reader) httpAddress(name, address string) {
	if address == "" {
		return
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		r.fault(name, "must be like https://host or http://127.0.0.1:8080")
	case u.User != nil:
		r.fault(name, "must not hold a user or a password: keys are read from files")
	case u.RawQuery != "" || u.Fragment != "":
		r.fault(name, "must not have a query or a fragment")
	}
}

func isSQLite(address string) bool { return strings.HasPrefix(address, "sqlite:") }

// sessionDatabaseURL is where SQL backends keep sessions.
func (c Config) sessionDatabaseURL() string {
	if c.Session.DatabaseURL != "" {
		return c.Session.DatabaseURL
	}
	return c.databaseURL()
}
