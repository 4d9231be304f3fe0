package gateway

import (
	"net/http"
	"strings"
)

// routes is the route table.
func (g *Gateway) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, h func(http.ResponseWriter, *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := h(w, r); err != nil {
				g.fail(w, r, err)
			}
		})
	}
	mux.HandleFunc("POST /v1/projects/{project}/topics/{topic}", g.publish)
	handle("POST /v1/sources", g.upload)

	handle("POST /v1/sandboxes", g.run)
	handle("GET /v1/sandboxes", g.list)
	handle("GET /v1/sandboxes/{id}", g.get)
	handle("POST /v1/sandboxes/{id}", g.act)
	handle("GET /v1/sandboxes/{id}/events", g.watch)
	handle("GET /v1/sandboxes/{id}/logs", g.logs)

	handle("GET /v1/sandboxes/{id}/files", g.listFiles)
	handle("GET /v1/sandboxes/{id}/files/{path...}", g.readFile)
	handle("PUT /v1/sandboxes/{id}/files/{path...}", g.writeFile)
	handle("DELETE /v1/sandboxes/{id}/files/{path...}", g.deleteFile)
	handle("POST /v1/sandboxes/{id}/commands", g.runCommands)
	handle("GET /v1/sandboxes/{id}/errors", g.listErrors)
	handle("DELETE /v1/sandboxes/{id}/errors", g.clearErrors)

	handle("GET /v1/sessions", g.listSessions)
	handle("GET /v1/sessions/{id}", g.getSession)
	handle("POST /v1/sessions/{id}", g.actOnSession)
	handle("DELETE /v1/sessions/{id}", g.deleteSession)
	for _, part := range []string{"/v1/sessions/{id}/state", "/v1/sessions/{id}/parts/{part}"} {
		handle("GET "+part, g.getPart)
		handle("PUT "+part, g.putPart)
		handle("PATCH "+part, g.patchPart)
	}
	handle("POST /v1/sessions/{id}/mutations", g.postMutation)
	handle("GET /v1/sessions/{id}/mutations/{mutation}", g.mutationOutcome)
	handle("GET /v1/sessions/{id}/history", g.history)
	handle("GET /v1/sessions/{id}/events", g.watchSession)
	handle("GET /v1/sessions/{id}/schedules", g.listSchedules)
	handle("POST /v1/sessions/{id}/schedules", g.schedule)
	handle("GET /v1/sessions/{id}/schedules/{job}", g.getSchedule)
	handle("DELETE /v1/sessions/{id}/schedules/{job}", g.cancelSchedule)
	handle("GET /v1/sessions/{id}/queue", g.listQueue)
	handle("POST /v1/sessions/{id}/queue", g.enqueue)
	handle("DELETE /v1/sessions/{id}/queue", g.clearQueue)
	handle("GET /v1/sessions/{id}/queue/{job}", g.getQueued)
	handle("DELETE /v1/sessions/{id}/queue/{job}", g.dequeue)
	handle("GET /v1/sessions/{id}/export", g.exportSession)
	handle("POST /v1/sessions/{id}/import", g.importSession)

	g.runnerRoutes(handle)
	g.deploymentRoutes(handle)

	handle("GET /v1/limits", g.listLimits)
	handle("POST /v1/limits/{type}/{identifier}", g.actOnLimit)
	for _, action := range []string{"increment", "check", "settle", "refund"} {
		handle("POST /v1/limits:"+action, g.actOnLimits(action))
	}

	handle("GET /healthz", g.health)
	handle("GET /readyz", g.ready)
	if g.Metrics != nil {
		mux.Handle("GET /metrics", g.Metrics)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isAgentCall(r) {
			g.serveAgent(w, r)
			return
		}
		spellLoneSlash(r)
		if h, pattern := mux.Handler(r); pattern == "" {
			g.noRoute(w, r, h)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// noRoute answers what the table does not have. The mux knows whether it is the path or the method.
func (g *Gateway) noRoute(w http.ResponseWriter, r *http.Request, mux http.Handler) {
	answer := &verdict{header: http.Header{}}
	mux.ServeHTTP(answer, r)
	err := &httpError{http.StatusNotFound, "no-route", "there is no " + r.URL.Path}
	if answer.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", answer.header.Get("Allow"))
		err = &httpError{http.StatusMethodNotAllowed, "no-method", r.URL.Path + " does not take " + r.Method}
	}
	g.fail(w, r, err)
}

// verb splits the last segment of a custom method, `name:verb`, as Google's APIs write it.
func verb(segment string) (name, action string) {
	if i := strings.LastIndexByte(segment, ':'); i >= 0 {
		return segment[:i], segment[i+1:]
	}
	return segment, ""
}

func (g *Gateway) health(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
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
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	return nil
}

// verdict keeps the status and header of an answer and drops its body.
type verdict struct {
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (v *verdict) Header() http.Header { return v.header }

// WriteHeader implements http.ResponseWriter.
func (v *verdict) WriteHeader(status int) { v.status = status }

// Write implements http.ResponseWriter.
func (v *verdict) Write(p []byte) (int, error) { return len(p), nil }
