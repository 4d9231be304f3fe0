package gateway

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"vibesdk-gcp/platform/session"
)

// errNoPreview is VibeSDK's answer when there is nothing to show, whatever the reason. The reason is in the log.
var errNoPreview = &vibeSDKError{status: http.StatusInternalServerError, text: "Failed to deploy preview"}

// deployVibeSDK runs the files of an agent in a sandbox for its owner, and answers the preview.
func (g *Gateway) deployVibeSDK(w http.ResponseWriter, r *http.Request) error {
	user, err := g.tokenUser(w, r, false)
	switch {
	case err != nil:
		return err
	case g.otherPage(r):
		return errOrigin
	}
	ctx, id := r.Context(), r.PathValue("agentId")
	initialized, err := g.ownVibeSDK(ctx, id, user)
	switch {
	case err != nil:
		return err
	case !initialized:
		return errNoAgent
	}
	record, err := g.Sessions.Get(ctx, id)
	if err != nil {
		g.log.WarnContext(ctx, "session was not deployed", "session_id", id, "error", err)
		return errNoPreview
	}
	var preview AgentPreview
	if h := g.host; h != nil && slices.Contains(h.o.Methods, "deployToSandbox") {
		if preview, err = h.deploy(ctx, agentAddress{agent: g.Agents.Main, name: id}, record); err != nil {
			g.log.WarnContext(ctx, "agent host did not deploy", "session_id", id, "error", err)
		}
	} else {
		preview, err = g.previewSession(ctx, id, record)
	}
	if err != nil {
		return errNoPreview
	}
	writeJSON(w, http.StatusOK, vibeSDKPreviewAnswer{true, preview})
	return nil
}

// deploy leaves deployToSandbox of an agent to the host. There is no connection that calls.
func (h *agentHost) deploy(ctx context.Context, at agentAddress, r *session.Record) (AgentPreview, error) {
	call := HostCall{SessionID: r.ID, Agent: at.agent, Name: at.name, Version: r.Version, Method: "deployToSandbox", Args: []json.RawMessage{}}
	if state, ok := r.State(); ok && h.o.State {
		call.State = state
	}
	var preview AgentPreview
	err := h.ask(ctx, call, rand.Text(), h.o.Timeout, func() {}, func(_ context.Context, line hostLine) error {
		switch {
		case line.failed != nil:
			return &hostError{text: *line.failed}
		case !line.final:
			return nil
		case json.Unmarshal(line.result, &preview) != nil || preview.PreviewURL == "":
			return fmt.Errorf("%w: the result of deployToSandbox is no preview", errHostOdd)
		}
		return nil
	}, "calls", r.ID, "deployToSandbox")
	return preview, err
}

// previewVibeSDK runs the files of the session in a sandbox because a client of VibeSDK asked for it.
func (c *agentConn) previewVibeSDK(ctx context.Context) {
	c.begin(ctx, func(string, uint64) func(context.Context, func()) {
		record := c.s.current()
		return func(ctx context.Context, sent func()) {
			sent()
			_, _ = c.g.previewSession(ctx, c.s.id, record) // all clients are told of it
		}
	})
}

// previewSession runs the files of a session in a sandbox, and tells all its clients of VibeSDK how it goes, as its agents do. What is asked
// for at the same time is one deployment, which goes on when the caller leaves.
func (g *Gateway) previewSession(ctx context.Context, id string, r *session.Record) (AgentPreview, error) {
	g.broadcastVibeSDK(id, map[string]any{"type": "deployment_started", "message": "Deploying code to sandbox service", "files": []any{}})
	preview, err := g.deploySession(ctx, id, r)
	if ctx.Err() != nil {
		return AgentPreview{}, context.Cause(ctx)
	}
	if err == nil && string(preview) == "null" {
		err = errNoFiles
	}
	var made AgentPreview
	if err == nil {
		err = json.Unmarshal(preview, &made)
	}
	if err != nil {
		text := errNoFiles.Error()
		if !errors.Is(err, errNoFiles) {
			text = agentErrorText(err)
			g.log.WarnContext(ctx, "session was not deployed", "session_id", id, "error", err)
		}
		g.broadcastVibeSDK(id, map[string]any{"type": "deployment_failed", "error": "Error deploying to sandbox service: " + text})
		return AgentPreview{}, err
	}
	g.broadcastVibeSDK(id, map[string]any{
		"type": "deployment_completed", "message": "Deployment completed", "instanceId": made.RunID, "previewURL": made.PreviewURL,
	})
	return made, nil
}

var errNoFiles = errors.New("the session has no files")

// broadcastVibeSDK sends a frame of VibeSDK's to its clients of a session, if there are any here.
func (g *Gateway) broadcastVibeSDK(id string, frame any) {
	s := g.hub.session(id)
	if s == nil {
		return
	}
	encoded := text(encodeFrame(frame))
	s.mu.Lock()
	for c := range s.members {
		if c.user != "" && !c.quiet {
			s.tellConn(c, encoded)
		}
	}
	touched := s.untouch()
	s.mu.Unlock()
	releaseAll(touched)
}
