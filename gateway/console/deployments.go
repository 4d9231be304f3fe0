package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"vibesdk-gcp/gateway/auth"
	"vibesdk-gcp/gateway/client"
)

// deploymentsView is the list of apps.
type deploymentsView struct {
	Apps  []client.Deployment
	First bool
	Next  string
}

func (v *visit) deployments() error {
	query := v.r.URL.Query()
	if name := query.Get("name"); name != "" {
		http.Redirect(v.w, v.r, Prefix+"/deployments/"+url.PathEscape(name), http.StatusSeeOther)
		return nil
	}
	apps, next, err := v.api.Deployments().List(v.r.Context(), query.Get("after"), pageLength)
	if err != nil {
		return err
	}
	return v.show("/deployments", "deployments", "Deployments", deploymentsView{apps, query.Get("after") == "", next})
}

// deploymentView is one app with its changes.
type deploymentView struct {
	App     client.Deployment
	Changes []client.DeploymentChange
	// Present is false for one that was removed.
	Present, Writes bool
}

func (v *visit) deployment() error {
	ctx, name := v.r.Context(), v.r.PathValue("name")
	view := deploymentView{Present: true, Writes: v.may(auth.DeploymentsWrite)}
	var err error
	if view.App, err = v.api.Deployments().Get(ctx, name); gone(err) {
		view.Present, view.App.Name = false, name
	} else if err != nil {
		return err
	}
	if view.Changes, err = v.api.Deployments().History(ctx, name, 0); err != nil {
		return err
	}
	return v.show("/deployments", "deployment", name, view)
}

// changeDeployment sets visibility, and the weight of a rollout, at the version that the page showed.
func (v *visit) changeDeployment() error {
	if err := parseForm(v.w, v.r, smallForm); err != nil {
		return err
	}
	ctx, name, form := v.r.Context(), v.r.PathValue("name"), v.r.PostForm
	version, err := strconv.ParseInt(form.Get("version"), 10, 64)
	if err != nil {
		return &pageError{http.StatusBadRequest, "The form cannot be read", "version: must be a number."}
	}
	app, err := v.api.Deployments().Get(ctx, name)
	if err != nil {
		return err
	}
	app.Visibility = form.Get("visibility")
	if app.Rollout != nil {
		if app.Rollout.Weight, err = strconv.Atoi(form.Get("weight")); err != nil {
			return &pageError{http.StatusUnprocessableEntity, "Nothing was changed", "weight: must be a whole number from 0 to 100."}
		}
	}
	if _, err := v.api.Deployments().Put(ctx, app, &version); err != nil {
		if errors.Is(err, client.ErrVersion) {
			return &pageError{http.StatusConflict, "Somebody else was faster", "The app was changed since you opened the page. Look at it again."}
		}
		return err
	}
	return v.done("deployed", "deployments", name)
}
