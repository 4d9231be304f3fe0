package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"vibesdk-gcp/internal/jsondoc"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/session"
)

// VibeSDKOptions are about the routes that VibeSDK's own clients, its page and its SDK, connect to agents by.
type VibeSDKOptions struct {
	// JWTSecret is what VibeSDK signs the tokens of its users with, its JWT_SECRET. At least [VibeSDKMinSecret] bytes. Empty means that
	// there are no such routes. Tickets are signed with a key made from it, so that every gateway with the secret takes them.
	JWTSecret string
	// Now is the clock that tokens and tickets expire by. Defaults to time.Now.
	Now func() time.Time
}

// VibeSDKMinSecret is the least length of the secret in bytes: that of an HMAC-SHA256 (RFC 7518 §3.2).
const VibeSDKMinSecret = 32

// vibeSDKAgent is what VibeSDK's agents are called when [AgentOptions.Main] does not say.
const vibeSDKAgent = "code-generator-agent"

// maxTicketBody bounds the body of a call for a ticket, in bytes.
const maxTicketBody = 4 << 10

// prepareVibeSDK checks the options and fills in defaults. Both doors must call an agent's session the same.
func (o *Options) prepareVibeSDK() error {
	if o.VibeSDK.Now == nil {
		o.VibeSDK.Now = time.Now
	}
	switch {
	case o.VibeSDK.JWTSecret == "":
		return nil
	case len(o.VibeSDK.JWTSecret) < VibeSDKMinSecret:
		return fmt.Errorf("gateway: VibeSDK.JWTSecret has fewer than %d bytes", VibeSDKMinSecret)
	case o.Limits == nil:
		return errors.New("gateway: VibeSDK needs Limits: they count that a ticket is used once")
	}
	setDefault(&o.Agents.Main, vibeSDKAgent)
	return nil
}

// vibeSDKError is an answer in VibeSDK's form.
type vibeSDKError struct {
	status int
	// text is the message of the error.
	text string
	// kind is the type of one that VibeSDK's middleware makes, with the action that it names; empty for one of a route.
	kind, action string
	// plain is set for those that are a text and no JSON.
	plain bool
}

func (e *vibeSDKError) Error() string { return e.text }

// The refusals that VibeSDK documents. What is wrong with a token or a ticket is not said.
var (
	errNoUser    = &vibeSDKError{status: http.StatusUnauthorized, text: "Authentication required"}
	errTicket    = &vibeSDKError{status: http.StatusForbidden, text: "Invalid or expired ticket"}
	errNotOwner  = &vibeSDKError{status: http.StatusForbidden, text: "You can only access your own resources", kind: "FORBIDDEN", action: "insufficient_permissions"}
	errNoUpgrade = &vibeSDKError{status: http.StatusUpgradeRequired, text: "Expected WebSocket upgrade", plain: true}
	errOrigin    = &vibeSDKError{status: http.StatusForbidden, text: "Forbidden: Invalid origin", plain: true}
	errNoAgent   = &vibeSDKError{status: http.StatusNotFound, text: "Agent instance not found or not initialized"}
	// errAuthDown is ours: who calls cannot be found out now, and so nobody is let in.
	errAuthDown = &vibeSDKError{status: http.StatusServiceUnavailable, text: "Authentication check failed"}
)

// vibeSDKProblem is the error of an answer.
type vibeSDKProblem struct {
	Message string `json:"message"`
	Name    string `json:"name,omitempty"`
	Type    string `json:"type,omitempty"`
	Action  string `json:"action,omitempty"`
}

// failVibeSDK answers with an error in VibeSDK's form.
func (g *Gateway) failVibeSDK(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody is listening
	}
	var body vibeSDKFailure
	status := http.StatusInternalServerError
	body.Error, body.Message = vibeSDKProblem{Message: "Internal server error", Name: "Error"}, "An error occurred"
	if own, ok := errors.AsType[*vibeSDKError](err); ok {
		status = own.status
		switch {
		case own.plain:
			plain(w, status, own.text)
			return
		case own.kind != "":
			body.Error, body.Message = vibeSDKProblem{Message: own.text, Type: own.kind, Action: own.action}, ""
		default:
			body.Error.Message = own.text
		}
	} else if limited, ok := errors.AsType[*limitedError](err); ok {
		status, body.Message = http.StatusTooManyRequests, limited.Error()
		body.Error = vibeSDKProblem{Message: limited.Error(), Name: "RateLimitExceededError", Type: "RATE_LIMITED"}
		if limited.again > 0 {
			w.Header().Set("Retry-After", strconv.FormatInt(limited.again, 10))
		}
	} else if errors.Is(err, ratelimit.ErrUnavailable) {
		status, body.Error.Message = errAuthDown.status, errAuthDown.text
	} else if p := problemOf(err); p.Status < http.StatusInternalServerError { // a body that is too large or too slow
		status, body.Error.Message = p.Status, p.Detail
	}
	if status >= http.StatusInternalServerError {
		g.log.ErrorContext(r.Context(), "request failed", "route", r.Pattern, "status", status, "error", err)
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, status, body)
}

// issueTicket gives the owner of an agent a ticket for one connection to it.
func (g *Gateway) issueTicket(w http.ResponseWriter, r *http.Request) error {
	user, err := g.tokenUser(w, r, false)
	if err != nil {
		return err
	}
	if g.otherPage(r) {
		return errOrigin
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTicketBody))
	if err != nil || !json.Valid(body) {
		return &vibeSDKError{status: http.StatusBadRequest, text: "Invalid JSON body"}
	}
	asked := map[string]json.RawMessage{}
	_ = json.Unmarshal(body, &asked) // a body of another form names no resource
	agent, ok := textOf(asked["resourceId"])
	switch kind, _ := textOf(asked["resourceType"]); {
	case kind != "agent": // VibeSDK's other type, vault, is for a store that is not ours
		return &vibeSDKError{status: http.StatusBadRequest, text: "Invalid resourceType"}
	case !ok || agent == "":
		return &vibeSDKError{status: http.StatusBadRequest, text: "resourceId is required for agent tickets"}
	}
	owner, _, err := g.vibeSDKOwner(r.Context(), agent)
	switch {
	case err != nil:
		return err
	case owner != user:
		return &vibeSDKError{status: http.StatusForbidden, text: "Access denied"}
	}
	expires := g.VibeSDK.Now().Add(ticketTTL)
	ticket, err := g.tickets.issue(agent, user, expires)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, vibeSDKTicketAnswer{true, vibeSDKTicket{ticket, int(ticketTTL / time.Second), expires.UTC().Format(isoMillis)}})
	return nil
}

// findVibeSDK tells the owner of an agent where to connect to it.
func (g *Gateway) findVibeSDK(w http.ResponseWriter, r *http.Request) error {
	user, err := g.tokenUser(w, r, false)
	if err != nil {
		return err
	}
	id := r.PathValue("agentId")
	initialized, err := g.ownVibeSDK(r.Context(), id, user)
	switch {
	case err != nil:
		return err
	case !initialized:
		return errNoAgent
	}
	scheme := "ws"
	if r.TLS != nil || strings.HasPrefix(r.Header.Get("X-Forwarded-Proto"), "https") {
		scheme = "wss"
	}
	writeJSON(w, http.StatusOK, vibeSDKConnectionAnswer{true, vibeSDKConnection{
		scheme + "://" + r.Host + strings.TrimSuffix(r.URL.EscapedPath(), "connect") + "ws", id,
	}})
	return nil
}

// ownVibeSDK refuses who does not own an agent, and says whether the agent was initialized.
func (g *Gateway) ownVibeSDK(ctx context.Context, id, user string) (initialized bool, err error) {
	owner, agent, err := g.vibeSDKOwner(ctx, id)
	if err == nil && owner != user {
		err = errNotOwner
	}
	return agent != "", err
}

// vibeSDKOwner is the user whom a session belongs to and the id that its agent gave itself, as its state says. Both are empty for one
// that is not there: what nobody owns is nobody's.
func (g *Gateway) vibeSDKOwner(ctx context.Context, id string) (user, agent string, err error) {
	if strings.Contains(id, "/") {
		return "", "", nil // the session of another kind of agent
	}
	record, err := g.Sessions.Get(ctx, id)
	switch {
	case errors.Is(err, session.ErrNotFound), errors.Is(err, session.ErrInvalid):
		return "", "", nil
	case err != nil:
		g.log.WarnContext(ctx, "the owner of a session cannot be read", "session_id", id, "error", err)
		return "", "", errAuthDown
	}
	state, _ := record.State()
	user, agent = stateOwner(state)
	return user, agent, nil
}

// stateOwner reads whose state it is: metadata.userId of newer versions, else inferenceContext.userId of older ones, and agentId
// beside it.
func stateOwner(state []byte) (user, agent string) {
	// Of members with one name the last counts, as in JavaScript; what is no object has none.
	members := func(text []byte) map[string][]byte {
		found := map[string][]byte{}
		if jsondoc.Object(text, func(key string, value []byte) error {
			switch key {
			case "metadata", "inferenceContext", "userId", "agentId":
				found[key] = value
			}
			return nil
		}) != nil {
			return nil
		}
		return found
	}
	top := members(state)
	for _, name := range []string{"metadata", "inferenceContext"} {
		inner := members(top[name])
		if user, _ = textOf(inner["userId"]); user != "" {
			agent, _ = textOf(inner["agentId"])
			return user, agent
		}
	}
	return "", ""
}
