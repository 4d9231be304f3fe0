package app

import (
	"path"
	"regexp"
	"strings"
)

// AgentConfig is about the clients of agents, who connect to /agents/{agent}/{name}.
type AgentConfig struct {
	// Classes are the agents that exist, in kebab case, with commas between them. AGENT_CLASSES. Defaults to any.
	Classes []string
	// Main is the agent whose sessions are called by the name alone; those of others are called agent/name. AGENT_MAIN. Defaults to
	// none, and with JWT_SECRET_FILE to code-generator-agent, what VibeSDK calls its own.
	Main string
	// Origins are hosts, or patterns like *.example.com, whose pages may connect. AGENT_ORIGINS. Defaults to our own alone.
	Origins []string
	// MaxSockets is how many connections one process holds. AGENT_MAX_SOCKETS. Defaults to 20000.
	MaxSockets int
	// MaxSessionSockets is how many of them one session has. AGENT_MAX_SESSION_SOCKETS. Defaults to 1000.
	MaxSessionSockets int
}

var agentClass = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

func (r *reader) agent() AgentConfig {
	c := AgentConfig{
		Classes: list(r.text("AGENT_CLASSES", "")), Main: r.text("AGENT_MAIN", ""), Origins: list(r.text("AGENT_ORIGINS", "")),
		MaxSockets:        r.number("AGENT_MAX_SOCKETS", 20_000, 1, 1_000_000),
		MaxSessionSockets: r.number("AGENT_MAX_SESSION_SOCKETS", 1_000, 1, 32_768),
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
	return c
}

// list splits what has commas or spaces between its entries; nil when there are none.
func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}
