package gateway

import (
	"context"
	"encoding/json"
)

// previewVibeSDK runs the files of the session in a sandbox, and tells all clients of VibeSDK how it goes, as its agents do. What they
// ask for at the same time is one deployment.
func (c *agentConn) previewVibeSDK(ctx context.Context) {
	c.begin(ctx, func(string, uint64) func(context.Context, func()) {
		record := c.s.current()
		return func(ctx context.Context, sent func()) {
			sent()
			c.s.broadcastVibeSDK(map[string]any{"type": "deployment_started", "message": "Deploying code to sandbox service", "files": []any{}})
			preview, err := c.g.deploySession(ctx, c.s, record)
			switch {
			case ctx.Err() != nil: // the client is gone, and the deployment goes on
			case err != nil:
				c.g.log.WarnContext(ctx, "session was not deployed", "session_id", c.s.id, "error", err)
				c.s.broadcastVibeSDK(map[string]any{"type": "deployment_failed", "error": "Error deploying to sandbox service: " + agentErrorText(err)})
			case string(preview) == "null":
				c.s.broadcastVibeSDK(map[string]any{"type": "deployment_failed", "error": "Error deploying to sandbox service: the session has no files"})
			default:
				var made AgentPreview
				_ = json.Unmarshal(preview, &made) // it was written here
				c.s.broadcastVibeSDK(map[string]any{
					"type": "deployment_completed", "message": "Deployment completed", "instanceId": made.RunID, "previewURL": made.PreviewURL,
				})
			}
		}
	})
}

// broadcastVibeSDK sends a frame of VibeSDK's to its clients.
func (s *agentSession) broadcastVibeSDK(frame any) {
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
