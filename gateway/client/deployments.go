package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Deployments are the calls about the routes of apps.
type Deployments struct{ c *Client }

// Deployments returns the calls about the routes of apps.
func (c *Client) Deployments() *Deployments { return &Deployments{c: c} }

// Place is where the requests for an app go.
type Place struct {
	// Target is process, cloudrun or cloudflare.
	Target string `json:"target"`
	// Endpoint is host:port or an http(s) URL, or the Worker's name for cloudflare.
	Endpoint string `json:"endpoint"`
	// Audience, for cloudrun only, is whom the router proves its identity to. Empty is nobody.
	Audience string `json:"audience,omitempty"`
}

// Deployment is an app and where it runs.
type Deployment struct {
	// Name is the first label of the app's host.
	Name string `json:"name"`
	Place
	// Visibility is public or private. A private app is seen by the holders of its owner's tokens.
	Visibility string `json:"visibility"`
	Owner      string `json:"owner,omitempty"`
	// Rollout is a second place; nil is none.
	Rollout *Rollout `json:"rollout,omitempty"`
	// SandboxID is the sandbox that the app is a deployment of; empty for one that was set by hand.
	SandboxID string    `json:"sandboxId,omitempty"`
	Version   int64     `json:"version"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// Rollout is a second place of an app and the share of the visitors that it gets, a percentage.
type Rollout struct {
	Place

	Weight int `json:"weight"`
}

// DeploymentChange is one entry of an app's history.
type DeploymentChange struct {
	Version int64     `json:"version"`
	At      time.Time `json:"at"`
	By      string    `json:"by"`
	// App is the app as it was stored, nil for its deletion.
	App *Deployment `json:"app,omitempty"`
}

// List returns up to limit apps by name, after the given name, and the name to go on after; empty when that is all.
func (d *Deployments) List(ctx context.Context, after string, limit int) (list []Deployment, next string, err error) {
	query := url.Values{"after": {after}}
	if limit != 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	var page struct {
		Deployments []Deployment `json:"deployments"`
		Next        string       `json:"next"`
	}
	err = d.c.json(ctx, call{method: http.MethodGet, path: []string{"v1", "deployments"}, query: query}, &page)
	return page.Deployments, page.Next, err
}

// Get returns an app. [ErrNotFound] when there is none.
func (d *Deployments) Get(ctx context.Context, name string) (Deployment, error) {
	var app Deployment
	err := d.c.json(ctx, call{method: http.MethodGet, path: d.path(name)}, &app)
	return app, err
}

// Put sets all of an app, whatever was there, and returns it as stored. ifVersion, when not nil, is the version that must be there, 0
// for none; otherwise it is [ErrVersion] and nothing changes.
func (d *Deployments) Put(ctx context.Context, app Deployment, ifVersion *int64) (Deployment, error) {
	body := struct {
		Place

		Visibility string   `json:"visibility,omitempty"`
		Owner      string   `json:"owner,omitempty"`
		Rollout    *Rollout `json:"rollout,omitempty"`
	}{app.Place, app.Visibility, app.Owner, app.Rollout}
	var stored Deployment
	err := d.c.json(ctx, call{
		// What was put conditionally is at another version by then, and a second try would say that it was refused.
		method: http.MethodPut, path: d.path(app.Name), body: jsonBody(body), header: ifVersionHeader(ifVersion), once: ifVersion != nil,
	}, &stored)
	return stored, err
}

// Change reads an app, lets change edit it and puts it, and begins again when somebody else was faster. An app that is not there is
// given as one with a name and nothing else. An error of change ends it.
func (d *Deployments) Change(ctx context.Context, name string, change func(*Deployment) error) (Deployment, error) {
	for {
		app, err := d.Get(ctx, name)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return app, err
		}
		version := app.Version
		app.Name = name
		if err := change(&app); err != nil {
			return app, err
		}
		stored, err := d.Put(ctx, app, &version)
		if !errors.Is(err, ErrVersion) || ctx.Err() != nil {
			return stored, err
		}
	}
}

// Delete removes an app; what runs at its place goes on running. [ErrNotFound] when there is none; ifVersion is as with Put.
func (d *Deployments) Delete(ctx context.Context, name string, ifVersion *int64) error {
	return d.c.json(ctx, call{method: http.MethodDelete, path: d.path(name), header: ifVersionHeader(ifVersion), once: true}, nil)
}

// History returns up to limit changes of an app, the newest first; 0 is all that are kept. [ErrNotFound] when none is known.
func (d *Deployments) History(ctx context.Context, name string, limit int) ([]DeploymentChange, error) {
	query := url.Values{}
	if limit != 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	var out struct {
		Changes []DeploymentChange `json:"changes"`
	}
	err := d.c.json(ctx, call{method: http.MethodGet, path: append(d.path(name), "history"), query: query}, &out)
	return out.Changes, err
}

func (d *Deployments) path(name string) []string { return []string{"v1", "deployments", name} }

func ifVersionHeader(version *int64) http.Header {
	switch {
	case version == nil:
		return nil
	case *version == 0:
		return http.Header{"If-None-Match": {"*"}}
	}
	return http.Header{"If-Match": {`"` + strconv.FormatInt(*version, 10) + `"`}}
}
