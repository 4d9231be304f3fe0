package gateway

import (
	"context"
	"errors"
	"net/http"

	"vibesdk-gcp/platform/deployment"
)

// Deployments is what the gateway does with the routes of apps: the one thing that it writes, see docs/decisions/0016-routes-are-written-at-once.md.
// [deployment.Table] is one.
type Deployments interface {
	StoredApp(ctx context.Context, name string) (deployment.App, error)
	Apps(ctx context.Context, after string, limit int) ([]deployment.App, error)
	PutApp(ctx context.Context, a deployment.App, w deployment.Write) (deployment.App, error)
	DeleteApp(ctx context.Context, name string, w deployment.Write) error
	AppHistory(ctx context.Context, name string, limit int) ([]deployment.Change, error)
}

// DeploymentPage is one page of apps in the order of their names.
type DeploymentPage struct {
	Deployments []deployment.App `json:"deployments"`
	// Next is the value of ?after= for the next page; absent after the last one.
	Next string `json:"next,omitempty"`
}

// DeploymentHistory is the changes of an app, the newest first.
type DeploymentHistory struct {
	Changes []deployment.Change `json:"changes"`
}

// deploymentRequest is what a caller says about an app; the rest is kept by the server.
type deploymentRequest struct {
	deployment.Place

	Visibility deployment.Visibility `json:"visibility,omitempty"`
	Owner      string                `json:"owner,omitempty"`
	Rollout    *deployment.Rollout   `json:"rollout,omitempty"`
}

// maxDeploymentBody bounds the description of an app.
const maxDeploymentBody = 16 << 10

// listDeployments answers apps by name, ?after= &limit=.
func (g *Gateway) listDeployments(w http.ResponseWriter, r *http.Request) error {
	limit, err := limitOf(r.URL.Query().Get("limit"), 100, 1000)
	if err != nil {
		return err
	}
	list, err := g.Deployments.Apps(r.Context(), r.URL.Query().Get("after"), limit)
	if err != nil {
		return err
	}
	page := DeploymentPage{Deployments: list}
	if list == nil {
		page.Deployments = []deployment.App{}
	}
	if len(list) == limit {
		page.Next = list[limit-1].Name
	}
	writeJSON(w, http.StatusOK, page)
	return nil
}

// getDeployment answers one app. Its ETag is the version, to be given back with If-Match.
func (g *Gateway) getDeployment(w http.ResponseWriter, r *http.Request) error {
	app, err := g.Deployments.StoredApp(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etag(app.Version))
	writeJSON(w, http.StatusOK, app)
	return nil
}

// putDeployment sets all of an app: what the body leaves out is not set any more. An app that a sandbox is deployed as stays that
// sandbox's for as long as its place does.
func (g *Gateway) putDeployment(w http.ResponseWriter, r *http.Request) error {
	expected, err := expectedVersion(r.Header)
	if err != nil {
		return err
	}
	var body deploymentRequest
	if _, err := readJSON(w, r, maxDeploymentBody, &body); err != nil {
		return err
	}
	want := deployment.App{
		Name: r.PathValue("name"), Place: body.Place, Visibility: body.Visibility, Owner: body.Owner, Rollout: body.Rollout,
	}
	for {
		now, err := g.Deployments.StoredApp(r.Context(), want.Name)
		if err != nil && !errors.Is(err, deployment.ErrNotFound) {
			return err
		}
		if want.SandboxID = ""; now.Place == want.Place {
			want.SandboxID = now.SandboxID
		}
		write := deployment.Write{By: g.caller(r), IfVersion: &now.Version}
		if expected != nil {
			write.IfVersion = expected
		}
		stored, err := g.Deployments.PutApp(r.Context(), want, write)
		switch {
		case errors.Is(err, deployment.ErrConflict) && expected == nil:
			continue // somebody else was faster: what they wrote is replaced, and looked at for the sandbox
		case err != nil:
			return conditional(err)
		}
		status := http.StatusOK
		if now.Version == 0 {
			status = http.StatusCreated
		}
		w.Header().Set("ETag", etag(stored.Version))
		writeJSON(w, status, stored)
		return nil
	}
}

// deleteDeployment removes an app. What runs at its place goes on running.
func (g *Gateway) deleteDeployment(w http.ResponseWriter, r *http.Request) error {
	expected, err := expectedVersion(r.Header)
	if err != nil {
		return err
	}
	if err := g.Deployments.DeleteApp(r.Context(), r.PathValue("name"), deployment.Write{By: g.caller(r), IfVersion: expected}); err != nil {
		return conditional(err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// deploymentHistory answers who changed an app and how, ?limit=.
func (g *Gateway) deploymentHistory(w http.ResponseWriter, r *http.Request) error {
	limit, err := limitOf(r.URL.Query().Get("limit"), deployment.HistoryLength, deployment.HistoryLength)
	if err != nil {
		return err
	}
	changes, err := g.Deployments.AppHistory(r.Context(), r.PathValue("name"), limit)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, DeploymentHistory{Changes: changes})
	return nil
}

// conditional makes a conflict the answer to a precondition, which it is here.
func conditional(err error) error {
	if errors.Is(err, deployment.ErrConflict) {
		return &httpError{http.StatusPreconditionFailed, "version", err.Error()}
	}
	return err
}
