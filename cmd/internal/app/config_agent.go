package app

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"vibesdk-gcp/gateway"
)

// AgentConfig is about the clients of agents, who connect to /agents/{agent}/{name}.
type AgentConfig struct {
	// Classes are the agents that exist, in kebab case, with commas between them. AGENT_CLASSES. Defaults to any.
	Classes []string
	// Main is the agent whose sessions are called by the name alone; those of others are called agent/name. AGENT_MAIN. Defaults to
	// none, and with JWT_SECRET_FILE to code-generator-agent, what VibeSDK calls its own.
	Main string
	// Origins are hosts, or patterns like *.example.com, whose pages may connect and call agents. AGENT_ORIGINS. Defaults to our own
	// alone. All hosts, *, needs keys, and does not go with JWT_SECRET_FILE, whose clients sign in with cookies.
	Origins []string
	// MaxSockets is how many connections one process holds. AGENT_MAX_SOCKETS. Defaults to 20000.
	MaxSockets int
	// MaxSessionSockets is how many of them one session has. AGENT_MAX_SESSION_SOCKETS. Defaults to 1000.
	MaxSessionSockets int

	// The agent host at AGENT_HOST_URL has what agents do on their own: see config_session.go and docs/agent-host.md.

	// HostTimeout bounds the wait for its answer to begin, and for each line of one that is a stream. AGENT_HOST_TIMEOUT. Defaults
	// to 1m.
	HostTimeout time.Duration
	// HostStreamTimeout bounds a whole call. AGENT_HOST_STREAM_TIMEOUT. Defaults to 15m.
	HostStreamTimeout time.Duration
	// HostConnect asks the host about each new connection. AGENT_HOST_CONNECT. Defaults to false.
	HostConnect bool
	// HostState sends the state with each call. AGENT_HOST_STATE. Defaults to false: the version alone is sent.
	HostState bool
	// HostMethods are built-in methods that the host answers instead. AGENT_HOST_METHODS. Defaults to none.
	HostMethods []string
	// HostHeaders are headers about the caller's identity that the host is passed: cookie, authorization. AGENT_HOST_HEADERS.
	// Defaults to none.
	HostHeaders []string
	// HostCalls is how many calls of one connection are under way at once. AGENT_HOST_CALLS. Defaults to 64.
	HostCalls int
	// Proxy are the agents whose WebSockets the host serves by itself, in kebab case. AGENT_PROXY. Defaults to none.
	Proxy []string
}

var agentClass = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

func (r *reader) agent() AgentConfig {
	c := AgentConfig{
		Classes: list(r.text("AGENT_CLASSES", "")), Main: r.text("AGENT_MAIN", ""), Origins: list(r.text("AGENT_ORIGINS", "")),
		MaxSockets:        r.number("AGENT_MAX_SOCKETS", 20_000, 1, 1_000_000),
		MaxSessionSockets: r.number("AGENT_MAX_SESSION_SOCKETS", 1_000, 1, 32_768),
		HostTimeout:       r.duration("AGENT_HOST_TIMEOUT", time.Minute, 100*time.Millisecond, time.Hour),
		HostStreamTimeout: r.duration("AGENT_HOST_STREAM_TIMEOUT", 15*time.Minute, 100*time.Millisecond, 24*time.Hour),
		HostConnect:       r.oneOf("AGENT_HOST_CONNECT", "false", "true") == "true",
		HostState:         r.oneOf("AGENT_HOST_STATE", "false", "true") == "true",
		HostMethods:       list(r.text("AGENT_HOST_METHODS", "")),
		HostHeaders:       list(r.text("AGENT_HOST_HEADERS", "")),
		HostCalls:         r.number("AGENT_HOST_CALLS", 64, 1, 1_000),
		Proxy:             list(r.text("AGENT_PROXY", "")),
	}
	for _, class := range c.Classes {
		if !agentClass.MatchString(class) {
			r.fault("AGENT_CLASSES", "%q is not in kebab case, like code-generator-agent", class)
		}
	}
	if c.Main != "" && !agentClass.MatchString(c.Main) {
		r.fault("AGENT_MAIN", "%q is not in kebab case, like code-generator-agent", c.Main)
	}
	for _, origin := range c.Origins {
		if _, err := path.Match(origin, ""); err != nil || strings.Contains(origin, "/") {
			r.fault("AGENT_ORIGINS", "%q is not a host or a pattern of hosts, like *.example.com", origin)
		}
	}
	for _, class := range c.Proxy {
		if !agentClass.MatchString(class) {
			r.fault("AGENT_PROXY", "%q is not in kebab case, like code-generator-agent", class)
		}
	}
	return c
}

// checkAgent holds the rules between the fields of agents and of their host.
func (r *reader) checkAgent(c Config) {
	if slices.ContainsFunc(c.Agent.Origins, gateway.AnyHost) {
		switch {
		case !c.Auth.Enabled():
			r.fault("AGENT_ORIGINS", "* needs API_KEY_FILE or API_KEYS_FILE: any web page could use this server otherwise")
		case c.VibeSDK.JWTSecret != "":
			r.fault("AGENT_ORIGINS", "* does not go with JWT_SECRET_FILE: any web page could use its visitor's cookies")
		}
	}
	if c.Session.AgentHostURL != "" {
		return
	}
	for _, setting := range []struct {
		name string
		set  bool
	}{
		{"AGENT_HOST_CONNECT", c.Agent.HostConnect}, {"AGENT_HOST_METHODS", len(c.Agent.HostMethods) > 0}, {"AGENT_PROXY", len(c.Agent.Proxy) > 0},
	} {
		if setting.set {
			r.fault(setting.name, "needs AGENT_HOST_URL")
		}
	}
}

// list splits what has commas or spaces between its entries; nil when there are none.
func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}
