package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"

	"github.com/coder/websocket"

	"vibesdk-gcp/internal/jsondoc"
	"vibesdk-gcp/platform/ratelimit"
)

// connectVibeSDK connects VibeSDK's page or SDK to an agent. Who is let in, and the order of the checks, are VibeSDK's. A ticket that is
// not good is refused even when there is a good token beside it.
func (g *Gateway) connectVibeSDK(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("agentId")
	query := r.URL.Query()
	byTicket := query.Has("ticket")
	user, err := g.vibeSDKUser(w, r, id, byTicket)
	if err != nil {
		return err
	}
	if _, err := g.ownVibeSDK(r.Context(), id, user); err != nil {
		return err
	}
	switch {
	case r.Header.Get("Upgrade") != "websocket":
		return errNoUpgrade
	case !byTicket && !g.vibeSDKOrigin(r):
		return errOrigin // a ticket says already who asked for the connection
	}
	key := query.Get("_pk")
	if key == "" || len(key) > agentMaxKey {
		key = rand.Text()[:21]
	}
	at := agentAddress{agent: g.Agents.Main, name: id}
	if g.host != nil && g.host.proxies(at.agent) {
		r.Header.Del("Origin") // it was checked above, or needs not be
		g.host.proxySocket(g, w, r, at)
		return nil
	}
	ws, wire, err := g.upgradeWire(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // the origin was checked above
	if err != nil {
		return nil //nolint:nilerr // it has its answer
	}
	g.serveAgentConn(r, &agentConn{g: g, ws: ws, wire: wire, at: at, key: key, user: user}, id)
	return nil
}

// vibeSDKUser is who asks for a connection.
func (g *Gateway) vibeSDKUser(w http.ResponseWriter, r *http.Request, agent string, byTicket bool) (string, error) {
	if !byTicket {
		return g.tokenUser(w, r, true)
	}
	user, err := g.tickets.use(r.Context(), r.URL.Query().Get("ticket"), agent, g.VibeSDK.Now())
	switch {
	case err == nil:
		return user, nil
	case errors.Is(err, ratelimit.ErrUnavailable), r.Context().Err() != nil:
		g.log.WarnContext(r.Context(), "a ticket cannot be checked", "session_id", agent, "error", err)
		return "", errAuthDown
	}
	g.log.DebugContext(r.Context(), "a ticket was refused", "session_id", agent, "error", err)
	if limited := g.limitStrangers(w, r); limited != nil {
		return "", limited
	}
	return "", errTicket
}

// vibeSDKOrigin reports whether a page may connect: our own, and those of [AgentOptions.Origins]. A program has no page; it must have
// a bearer token, which no page can be made to send.
func (g *Gateway) vibeSDKOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		return strings.EqualFold(scheme, "Bearer")
	}
	return g.ownOrigin(r)
}

// otherPage reports whether a page that may not connect makes its visitor's browser call, with his cookies. Browsers name no origin for
// an image or a link.
func (g *Gateway) otherPage(r *http.Request) bool {
	if r.Header.Get("Origin") != "" {
		return !g.vibeSDKOrigin(r)
	}
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "cross-site" || site == "same-site"
}

// introduceVibeSDK queues what a client of VibeSDK is told first. Only these frames are typed: see [broadcastFrame].
func (c *agentConn) introduceVibeSDK(state, mcp []byte) {
	c.queue(identityFrame(c.at.agent, c.at.name, false)) // the SDK of that version promises no state
	if state != nil {
		c.queue(stateFrame(state))
	}
	c.queue(mcp)
	if c.greeted == nil { // else the agent host says it, with its template
		c.queue(connectedFrame(state))
	}
}

// hostRequests are the messages that VibeSDK's agents act on. Here there is none.
var hostRequests = map[string]bool{
	"generate_all": true, "code_review": true, "deploy": true, "capture_screenshot": true, "stop_generation": true,
	"resume_generation": true, "github_export": true, "user_suggestion": true, "get_model_configs": true, "clear_conversation": true,
	"rollback_to_commit": true,
}

// receiveVibeSDK handles one text message of a client of VibeSDK.
func (c *agentConn) receiveVibeSDK(ctx context.Context, text []byte) {
	f, ok := readAgentFrame(text)
	switch {
	case ok && f.State != nil:
		// A state that names another owner would give the session away, or keep its owner out.
		if owner, _ := stateOwner(f.State); owner != c.user {
			c.queue(vibeSDKErrorFrame("Error setting state: the state must keep its owner"))
			return
		}
		if c.isReadonly() {
			c.queue(vibeSDKErrorFrame("Error setting state: " + readonlyText))
			return
		}
		c.settle(ctx, maxUndecided-1)
		c.setState(ctx, f.State)
	case ok:
		// VibeSDK's agents let clients call nothing.
		text := "Method " + f.Method + " does not exist"
		if _, known := agentMethods[f.Method]; known {
			text = "Method " + f.Method + " is not callable"
		}
		c.queue(failureFrame(f.ID, text))
	case c.g.host != nil:
		message := string(text)
		c.pass(ctx, HostCall{Text: &message})
	default:
		c.answerVibeSDK(ctx, text)
	}
}

// answerVibeSDK answers a message of VibeSDK's own without an agent host: what the session alone can tell, and why not for all else.
func (c *agentConn) answerVibeSDK(ctx context.Context, text []byte) {
	if jsondoc.Check(text) != nil || strings.TrimSpace(string(text)) == "null" {
		c.queue(vibeSDKErrorFrame("Error processing message: it is not a JSON object"))
		return
	}
	kind := "undefined" // as JavaScript spells it
	_ = jsondoc.Object(text, func(key string, value []byte) error {
		if key == "type" {
			var ok bool
			if kind, ok = textOf(value); !ok {
				kind = string(value)
			}
		}
		return nil
	}) // a value of another form has no type
	switch {
	case kind == "session_init" || kind == "vault_unlocked" || kind == "vault_locked":
		// They are about keys that only an agent uses.
	case kind == "get_conversation_state":
		c.settle(ctx, 0)
		c.queue(conversationFrame(c.s.current()))
	case kind == "preview":
		c.previewVibeSDK(ctx)
	case hostRequests[kind]:
		c.queue(vibeSDKErrorFrame(kind + " needs an agent host, and this server has none: set AGENT_HOST_URL"))
	default:
		const shown = 100
		c.queue(vibeSDKErrorFrame("Unknown message type: " + strings.ToValidUTF8(kind[:min(len(kind), shown)], "")))
	}
}

// refuseState tells a client that the state it sent was not taken.
func (c *agentConn) refuseState() {
	if c.user != "" {
		c.queue(vibeSDKErrorFrame("Error setting state: " + stateRejected))
		return
	}
	c.queue(stateErrorFrame(stateRejected))
}
