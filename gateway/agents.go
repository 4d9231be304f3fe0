package gateway

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"

	"vibesdk-gcp/platform/session"
)

// AgentOptions are about the clients of agents, who come to /agents/{agent}/{name}.
type AgentOptions struct {
	// Classes are the agents that exist, as they stand in addresses: kebab case. Empty means any.
	Classes []string
	// Main is the agent whose sessions are called by the name alone. Sessions of the others are called agent/name.
	Main string
	// Origins are hosts, or patterns of hosts, whose pages may connect and call agents besides our own. A pattern of all hosts needs
	// Callers, and no VibeSDK, whose clients sign in with cookies.
	Origins []string
	// MaxSockets is how many connections this process holds at most, and MaxSessionSockets one session here. Default to 20,000 and 1,000.
	MaxSockets, MaxSessionSockets int
	// QueueBytes and QueueFrames bound what waits for a client that reads slowly: over either it is closed. Default to 32 MiB and
	// 1,024. One frame may be larger than QueueBytes when nothing else waits.
	QueueBytes, QueueFrames int
	// PingEvery is how often a connection is tried. One that does not answer within PongTimeout is closed. Both default to 30 s.
	PingEvery, PongTimeout time.Duration
	// MessageTimeout is how long one message of a client may take to arrive. Defaults to 60 s.
	MessageTimeout time.Duration
	// MaxMessage is the largest message of a client in bytes. Defaults to [AgentMaxMessage].
	MaxMessage int
	// Host has what agents do on their own.
	Host AgentHostOptions
}

func (o AgentOptions) withDefaults() AgentOptions {
	setDefault(&o.MaxSockets, 20_000)
	setDefault(&o.MaxSessionSockets, 1_000)
	setDefault(&o.QueueBytes, 32<<20)
	setDefault(&o.QueueFrames, 1024)
	setDefault(&o.PingEvery, 30*time.Second)
	setDefault(&o.PongTimeout, 30*time.Second)
	setDefault(&o.MessageTimeout, time.Minute)
	setDefault(&o.MaxMessage, AgentMaxMessage)
	o.Host = o.Host.withDefaults()
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

const (
	// AgentMaxMessage is the largest message of a client in bytes, unless another is set.
	AgentMaxMessage = 32 << 20
	// agentMaxKey is the longest connection id in bytes.
	agentMaxKey = 256
	agentPrefix = "/agents/"
)

// agentName is how an agent is written in an address. The lookup is exact: capitals match nothing.
var agentName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// agentAddress is what the path of a request says.
type agentAddress struct {
	agent, name string
	// rest are the segments behind the name.
	rest []string
}

// sessionID is the id of the session that keeps the agent.
func (a agentAddress) sessionID(main string) string {
	if a.agent == main {
		return a.name
	}
	return a.agent + "/" + a.name
}

// agentPath splits a path. Empty segments do not count, and nothing is percent-decoded: a%20b is a name of five characters.
func agentPath(u *url.URL) (agentAddress, bool) {
	segments := slices.DeleteFunc(strings.Split(strings.TrimPrefix(u.EscapedPath(), agentPrefix), "/"), func(s string) bool { return s == "" })
	if len(segments) < 2 {
		return agentAddress{}, false
	}
	return agentAddress{agent: segments[0], name: segments[1], rest: segments[2:]}, true
}

// isAgentCall reports whether a request is for an agent. Prefixes in capitals are not.
func isAgentCall(r *http.Request) bool { return strings.HasPrefix(r.URL.EscapedPath(), agentPrefix) }

// agentOrigin reports whether the page that calls is one of those that may. Patterns are those that the upgrade is checked with.
func (g *Gateway) agentOrigin(r *http.Request) bool {
	u, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && u.Host != "" && slices.ContainsFunc(g.Agents.Origins, func(pattern string) bool {
		ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(u.Host))
		return ok && err == nil
	})
}

// ownOrigin reports whether a page is of this host or of those that may connect, as an upgrade is checked.
func (g *Gateway) ownOrigin(r *http.Request) bool {
	u, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && u.Host != "" && (strings.EqualFold(u.Host, r.Host) || g.agentOrigin(r))
}

func isUpgrade(r *http.Request) bool {
	return slices.ContainsFunc(r.Header.Values("Upgrade"), func(v string) bool { return strings.EqualFold(strings.TrimSpace(v), "websocket") })
}

// serveAgent answers what comes to an agent. Plain texts and their status are what clients of agents expect.
func (g *Gateway) serveAgent(w http.ResponseWriter, r *http.Request) {
	r.Pattern = "/agents/{agent}/{name}"
	at, ok := agentPath(r.URL)
	switch {
	case !ok:
		plain(w, http.StatusNotFound, "Not found")
		return
	case !agentName.MatchString(at.agent), len(g.Agents.Classes) > 0 && !slices.Contains(g.Agents.Classes, at.agent):
		plain(w, http.StatusBadRequest, "Invalid request")
		return
	case g.host != nil && g.host.has(r, at.agent):
		g.host.serve(g, w, r, at)
		return
	case !isUpgrade(r):
		plain(w, http.StatusNotFound, "Not implemented")
		return
	}
	query := r.URL.Query()
	key := query.Get("_pk")
	if key == "" {
		key = rand.Text()[:21]
	}
	switch id := at.sessionID(g.Agents.Main); {
	case len(id) > session.MaxID:
		g.refuseAgent(w, r, "the name is too long")
	case len(key) > agentMaxKey:
		g.refuseAgent(w, r, "_pk is longer than 256 bytes")
	case query.Get("__agents_transport") == "capnweb":
		g.refuseAgent(w, r, "the capnweb transport is not supported")
	case len(at.rest) > 0 && at.rest[0] == "sub":
		g.refuseAgent(w, r, "sub-agents are not supported")
	default:
		g.connectAgent(w, r, at, id, key)
	}
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain;charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // a client that is gone needs no answer
}

// accept makes the upgrade. Its answer is written already when it fails.
func (g *Gateway) accept(w http.ResponseWriter, r *http.Request) (*websocket.Conn, error) {
	return g.upgrade(w, r, &websocket.AcceptOptions{OriginPatterns: g.Agents.Origins})
}

// upgrade is accept with the given rule about origins.
func (g *Gateway) upgrade(w http.ResponseWriter, r *http.Request, o *websocket.AcceptOptions) (*websocket.Conn, error) {
	o.CompressionMode, o.CompressionThreshold = websocket.CompressionNoContextTakeover, 4<<10
	ws, err := websocket.Accept(w, r, o)
	if err == nil {
		ws.SetReadLimit(-1) // the reader has its own, with the reason that clients know
	}
	return ws, err
}

// refuseAgent accepts and closes: clients take a refused upgrade for a failure of the network and try for ever, and only the codes
// 1008 and 4000 to 4999 for an answer.
func (g *Gateway) refuseAgent(w http.ResponseWriter, r *http.Request, reason string) {
	if ws, err := g.accept(w, r); err == nil {
		_ = ws.Close(websocket.StatusPolicyViolation, reason) // a client that is gone needs no reason
	}
}
