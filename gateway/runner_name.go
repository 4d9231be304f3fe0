package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"vibesdk-gcp/schemas/gen"
)

// renameWithin is how long a call waits until the new name is on record.
const renameWithin = 10 * time.Second

// instanceNameRequest is the body of a call that renames a project.
type instanceNameRequest struct {
	ProjectName string `json:"projectName"`
}

// renameInstance gives the project another name: the record's, which a deployment goes by. The package in the sandbox
// keeps its own.
func (g *Gateway) renameInstance(w http.ResponseWriter, r *http.Request) error {
	var asked instanceNameRequest
	if err := readInstanceBody(w, r, &asked); err != nil {
		return err
	}
	record, _, err := g.liveInstance(r)
	if err != nil {
		return err
	}
	unique, err := uuid.NewV7()
	if err != nil {
		return err
	}
	err = g.request(r, &gen.SandboxRequest{
		RequestId: "rename-" + unique.String(), SandboxId: record.ID, Action: gen.SandboxRequest_RENAME, ProjectName: asked.ProjectName,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), renameWithin, errWaited)
	defer cancel()
	poll := time.NewTicker(g.PollEvery)
	defer poll.Stop()
	for record.ProjectName != asked.ProjectName {
		if ended(record) {
			return &httpError{http.StatusGone, "gone", goneText + ": instance " + record.ID + " is " + afterlife(record)}
		}
		select {
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errWaited) {
				return &httpError{http.StatusGatewayTimeout, "timeout", "the new name was not on record within " + renameWithin.String()}
			}
			return context.Cause(ctx)
		case <-poll.C:
		}
		if record, err = g.Records.Load(ctx, record.ID); err != nil {
			return err
		}
	}
	writeJSON(w, http.StatusOK, Outcome{Success: true, Message: "the project is called " + asked.ProjectName})
	return nil
}
