package gateway

import "net/http"

// vibeSDKRoutes are those that VibeSDK's own page and SDK connect by. They find out themselves who calls, by VibeSDK's tokens and tickets.
func (g *Gateway) vibeSDKRoutes() []route {
	if g.VibeSDK.JWTSecret == "" {
		return nil
	}
	row := func(method, path string, handle handler, summary string, s spec) route {
		s.form = vibeSDKForm
		return route{method, path, ownAuth, func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Cache-Control", "no-store")
			return handle(w, r)
		}, summary, s}
	}
	authorization := headerParam("Authorization", "Bearer and VibeSDK's access token. Its cookies count as well.")
	return []route{
		row("POST", "/api/ws-ticket", g.issueTicket, "Get a ticket for one connection to an agent", spec{
			about: "The ticket is good for 15 seconds, once, on any gateway.", params: []param{authorization},
			in: jsonOf(vibeSDKTicketRequest{}), maxBody: maxTicketBody, out: ok(vibeSDKTicketAnswer{}), fails: []int{403, 404, 503},
		}),
		row("GET", "/api/agent/{agentId}/connect", g.findVibeSDK, "Tell where to connect to an agent", spec{
			params: []param{authorization}, out: ok(vibeSDKConnectionAnswer{}), fails: []int{403, 404, 503},
		}),
		row("GET", "/api/agent/{agentId}/preview", g.deployVibeSDK, "Run the files of an agent", spec{
			about:  "Answers once the preview is ready. Callers at the same time share one deployment.",
			params: []param{authorization}, out: ok(vibeSDKPreviewAnswer{}), fails: []int{403, 404, 503}, timeout: g.Runner.Wait + defaultTimeout,
		}),
		row("GET", "/api/agent/{agentId}/ws", g.connectVibeSDK, "Connect a client of VibeSDK", spec{
			about: "A WebSocket that speaks as VibeSDK's agents do. A ticket that is not good is refused even with a good token beside it.",
			params: []param{
				authorization,
				query("ticket", "A ticket, in place of a token.", ""),
				query("token", "VibeSDK's access token, for browsers.", ""),
				query("access_token", "The same.", ""),
				query("_pk", "The id of the connection, kept when it is made again.", ""),
			},
			out: map[int]content{http.StatusSwitchingProtocols: none}, fails: []int{403, 404, 426, 503}, timeout: endless, maxBody: AgentMaxMessage,
		}),
	}
}

// vibeSDKTicketRequest is the body of a call for a ticket.
type vibeSDKTicketRequest struct {
	ResourceType string `json:"resourceType"`
	ResourceID   string `json:"resourceId"`
}

// vibeSDKTicket is a ticket.
type vibeSDKTicket struct {
	Ticket    string `json:"ticket"`
	ExpiresIn int    `json:"expiresIn"` // seconds
	ExpiresAt string `json:"expiresAt"`
}

// vibeSDKConnection says where an agent is.
type vibeSDKConnection struct {
	WebsocketURL string `json:"websocketUrl"`
	AgentID      string `json:"agentId"`
}

// The answers in VibeSDK's form.
type (
	vibeSDKTicketAnswer struct {
		Success bool          `json:"success"`
		Data    vibeSDKTicket `json:"data"`
	}
	vibeSDKConnectionAnswer struct {
		Success bool              `json:"success"`
		Data    vibeSDKConnection `json:"data"`
	}
	vibeSDKPreviewAnswer struct {
		Success bool         `json:"success"`
		Data    AgentPreview `json:"data"`
	}
)

// vibeSDKFailure is an error in VibeSDK's form.
type vibeSDKFailure struct {
	Success bool           `json:"success"`
	Error   vibeSDKProblem `json:"error"`
	Message string         `json:"message,omitempty"`
}
