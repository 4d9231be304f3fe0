package auth

import (
	"fmt"
	"slices"
	"strings"
)

// Scope is a right to a part of the API. A write scope includes the read scope of its area.
type Scope string

// The scopes. Publish is a right to write sessions and sandboxes as well: it reaches the topics that they are written by.
const (
	SandboxesRead    Scope = "sandboxes:read"
	SandboxesWrite   Scope = "sandboxes:write"
	SessionsRead     Scope = "sessions:read"
	SessionsWrite    Scope = "sessions:write"
	LimitsRead       Scope = "limits:read"
	LimitsWrite      Scope = "limits:write"
	DeploymentsRead  Scope = "deployments:read"
	DeploymentsWrite Scope = "deployments:write"
	// Dead letters show the payloads of messages, whatever they hold, and writing them is publishing.
	DeadLettersRead  Scope = "dead-letters:read"
	DeadLettersWrite Scope = "dead-letters:write"
	// AgentsConnect is for clients of agents, who read and write the one session that they connect to.
	AgentsConnect Scope = "agents:connect"
	// Publish is for messages to any topic.
	Publish Scope = "publish"
	// MetricsRead is for those that watch the server.
	MetricsRead Scope = "metrics:read"
	// ProvidersChoose is for callers that name the provider of a call; what they may do there, other scopes say.
	ProvidersChoose Scope = "providers:choose"
	// Admin includes all others.
	Admin Scope = "admin"
)

// Scopes are all scopes there are, in the order of the documentation.
func Scopes() []Scope {
	return []Scope{
		SandboxesRead, SandboxesWrite, SessionsRead, SessionsWrite, LimitsRead, LimitsWrite, DeploymentsRead, DeploymentsWrite,
		DeadLettersRead, DeadLettersWrite, AgentsConnect, Publish, MetricsRead, ProvidersChoose, Admin,
	}
}

// ParseScopes reads names of scopes. The error names the first that does not exist, or says that there is none.
func ParseScopes(names []string) ([]Scope, error) {
	if len(names) == 0 {
		return nil, fmt.Errorf("scopes: at least one of %s is required", scopeNames())
	}
	scopes := make([]Scope, len(names))
	for i, name := range names {
		if scopes[i] = Scope(name); !slices.Contains(Scopes(), scopes[i]) {
			return nil, fmt.Errorf("scopes: %.40q is none of %s", name, scopeNames())
		}
	}
	return scopes, nil
}

func scopeNames() string {
	all := Scopes()
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

// grants reports whether a scope includes another.
func (s Scope) grants(need Scope) bool {
	if s == need || s == Admin {
		return true
	}
	area, read := strings.CutSuffix(string(need), ":read")
	return read && s == Scope(area+":write")
}

// Caller is who calls.
type Caller struct {
	// Name is for logs.
	Name string
	// ID tells callers apart where they are counted. It says nothing about a key that could be used.
	ID string
	// Scopes are what the caller may do.
	Scopes []Scope
}

// May reports whether the caller has a scope, by itself or in another one.
func (c Caller) May(need Scope) bool {
	return slices.ContainsFunc(c.Scopes, func(s Scope) bool { return s.grants(need) })
}
