package gateway

import (
	"net/http"
	"slices"

	"vibesdk-gcp/gateway/auth"
)

// routes is the route table: the one place that says what the mux serves and what the OpenAPI document describes.
func (g *Gateway) routes() []route {
	return slices.Concat(
		g.publishRoutes(), g.sandboxRoutes(), g.sessionRoutes(), g.limitRoutes(), g.letterRoutes(), g.deploymentRoutes(), g.runnerRoutes(), g.agentRoutes(), g.vibeSDKRoutes(), g.serverRoutes(),
	)
}

// Statuses that several routes of an area have.
var (
	notFound = []int{http.StatusNotFound}
	// liveFails are those of calls that go on to a running app.
	liveFails = []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable, http.StatusGatewayTimeout}
)

// also adds statuses to a list.
func also(statuses []int, more ...int) []int { return slices.Concat(statuses, more) }

// Parameters that several routes have.
var (
	afterParam = query("after", "The id that the page follows: next of the page before.", "")
	pathParam  = query("path", "A folder of the project.", "")
)

func limitParam(most int) param {
	return query("limit", "How many at most.", schema{"type": "integer", "minimum": 1, "maximum": most})
}

func flagParam(name, about string) param {
	return query(name, about, schema{"type": "string", "enum": []string{"1", "0", "true", "false"}})
}

// serverRoutes are about the server itself.
func (g *Gateway) serverRoutes() []route {
	rows := []route{
		{"GET", "/healthz", anyone, g.health, "Whether the process answers", spec{out: ok(Status{})}},
		{"GET", "/readyz", anyone, g.ready, "Whether the parts behind the process answer", spec{out: ok(Status{})}},
		{"GET", "/openapi.json", anyone, g.openAPI, "This document", spec{
			out: map[int]content{200: jsonOf(schema{"type": "object"}).with("ETag", "Names the document's content."), 304: none},
			params: []param{
				headerParam("If-None-Match", "The ETag of the document that the caller has."),
			},
		}},
	}
	if g.Metrics != nil {
		rows = append(rows, route{"GET", "/metrics", auth.MetricsRead, func(w http.ResponseWriter, r *http.Request) error {
			g.Metrics.ServeHTTP(w, r)
			return nil
		}, "Figures of the process for Prometheus", spec{out: map[int]content{200: bytesOf("text/plain")}}})
	}
	return rows
}

// publishRoutes are Pub/Sub's.
func (g *Gateway) publishRoutes() []route {
	return []route{
		{"POST", "/v1/projects/{project}/topics/{topic}:publish", auth.Publish, g.publish, "Publish messages to a topic", spec{
			about:  "Pub/Sub's own REST call. The project is not looked at: there is one.",
			params: []param{query("alt", "Not looked at: the answer is JSON.", "")},
			in:     jsonOf(publishRequest{}), maxBody: maxPublishBody, form: googleForm,
			out: ok(publishResponse{}), fails: notFound,
		}},
	}
}

// agentRoutes are for clients of the agents package.
func (g *Gateway) agentRoutes() []route {
	return []route{
		{"GET", agentRoute, auth.AgentsConnect, func(w http.ResponseWriter, r *http.Request) error {
			g.serveAgent(w, r)
			return nil
		}, "Connect a client of an agent", spec{
			about: "A WebSocket that speaks the protocol of the agents npm package. Browsers send the key as ?token=. A client that is " +
				"not admitted is accepted and closed with code 1008: clients try a refused upgrade for ever. What is no WebSocket goes to the " +
				"agent host, whatever its method and path.",
			params: []param{
				query("_pk", "The id of the connection, kept when it is made again.", schema{"type": "string", "maxLength": agentMaxKey}),
				query("token", "The API key, for browsers.", ""),
			},
			out:   map[int]content{http.StatusSwitchingProtocols: none},
			fails: also(notFound, http.StatusUpgradeRequired), form: plainForm, timeout: endless, maxBody: AgentMaxMessage, others: true,
		}},
	}
}

// agentRoute is the path of agents. Any method and whatever stands behind the name belongs to it.
const agentRoute = agentPrefix + "{agent}/{name}"

// Status answers questions about the server's health.
type Status struct {
	Status string `json:"status"`
}

func (g *Gateway) health(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, Status{"ok"})
	return nil
}

func (g *Gateway) ready(w http.ResponseWriter, r *http.Request) error {
	select {
	case <-g.draining:
		return &httpError{http.StatusServiceUnavailable, "unavailable", "the server is stopping"}
	default:
	}
	if g.Ready != nil {
		if err := g.Ready(r.Context()); err != nil {
			g.log.WarnContext(r.Context(), "not ready", "error", err)
			return &httpError{http.StatusServiceUnavailable, "unavailable", "a part behind this server does not answer"}
		}
	}
	writeJSON(w, http.StatusOK, Status{"ready"})
	return nil
}
