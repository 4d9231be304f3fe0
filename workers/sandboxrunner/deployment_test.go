package sandboxrunner_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/sandbox"
)

// TestDeployments follows two deployments of one app and two crashes.
func TestDeployments(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64 // of the clock
	w := newWorld(t, at(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }))
	leadsTo := func(requestID string) {
		t.Helper()
		if got, err := w.Routes.App(t.Context(), "shop"); err != nil || got.Endpoint != w.load(t, requestID).Endpoint || got.Target != deployment.TargetProcess {
			t.Errorf("the app leads to %+v, %v, want %s", got, err, requestID)
		}
	}
	leadsNowhere := func() {
		t.Helper()
		if got, err := w.Routes.App(t.Context(), "shop"); !errors.Is(err, deployment.ErrNotFound) {
			t.Errorf("the app leads to %+v, %v", got, err)
		}
	}
	named := map[string]any{"appName": "shop"}
	first, second := app("d1", w.CountBuild(), named), app("d2", w.CountBuild(), named)

	w.deliver(t, first)
	leadsTo("d1")
	ahead.Store(int64(20 * 365 * 24 * time.Hour))
	w.deliver(t, resume("d1"))
	leadsTo("d1") // there is no end to it

	// A deployment that fails changes nothing.
	w.deliver(t, app("broken", "exit 1", named))
	if got := w.load(t, "broken").State; got != sandbox.Failed {
		t.Errorf("broken is %s", got)
	}
	leadsTo("d1")

	// The second takes over when it is ready; the first still answers then, and ends later.
	for w.stateOf("d2") != sandbox.Ready {
		_ = w.Handle(t.Context(), second) // asks to come again
	}
	_ = w.Handle(t.Context(), second)
	leadsTo("d2")
	if got := w.load(t, "d1").State; got != sandbox.Ready {
		t.Errorf("the first is %s at once", got)
	}
	w.deliver(t, first) // says nothing about which is newer
	leadsTo("d2")
	ahead.Add(int64(time.Minute))
	w.deliver(t, second)
	if got := w.load(t, "d1"); got.State != sandbox.Deleted || got.Reason != "replaced by deployment "+sandbox.IDFor("d2") {
		t.Errorf("the first is %s: %s", got.State, got.Reason)
	}
	leadsTo("d2")

	// Whoever wrote the route wrongly, the next look at any of them repairs it.
	set(t, w, deployment.App{Name: "shop", Place: deployment.Place{Target: deployment.TargetProcess, Endpoint: "127.0.0.1:1"}, SandboxID: "sbx-old"})
	w.deliver(t, resume("d1"))
	leadsTo("d2")

	// After a loss of all processes it comes back at another place.
	before := w.load(t, "d2")
	w.Restart(t)
	w.deliver(t, resume("d2"))
	if after := w.load(t, "d2"); after.State != sandbox.Ready || after.Fence != before.Fence+1 {
		t.Errorf("after a restart: %+v", after)
	}
	leadsTo("d2")

	w.deliver(t, stop("d2", "USER"))
	leadsNowhere()
}

// TestDeploymentsBesideRoutesByHand: a route that a person set goes only when somebody deploys after it, and who may see the app stays.
func TestDeploymentsBesideRoutesByHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	named := map[string]any{"appName": "shop"}
	w.deliver(t, app("d1", w.CountBuild(), named))
	elsewhere := deployment.App{
		Name: "shop", Place: deployment.Place{Target: deployment.TargetCloudflare, Endpoint: "shop-worker"},
		Visibility: deployment.Private, Owner: "user-1",
	}
	byHand := set(t, w, elsewhere)
	wantStill := func(why string) {
		t.Helper()
		if got, err := w.Routes.StoredApp(t.Context(), "shop"); err != nil || got.Version != byHand.Version {
			t.Errorf("%s: the route is %+v, %v", why, got, err)
		}
	}
	w.deliver(t, resume("d1"))
	wantStill("a look at the deployment before it")
	w.deliver(t, app("broken", "exit 1", named))
	wantStill("a deployment that failed")
	w.deliver(t, stop("d1", "USER"))
	wantStill("the end of the deployment before it")

	w.deliver(t, app("d2", w.CountBuild(), named))
	got, err := w.Routes.StoredApp(t.Context(), "shop")
	if err != nil || got.Endpoint != w.load(t, "d2").Endpoint || got.SandboxID != sandbox.IDFor("d2") || got.Visibility != deployment.Private || got.Owner != "user-1" {
		t.Errorf("after a later deployment: %+v, %v", got, err)
	}

	// A rollout that a person began beside a deployment lasts until the next one.
	got.Rollout = &deployment.Rollout{Place: elsewhere.Place, Weight: 10}
	set(t, w, got)
	w.deliver(t, resume("d2"))
	if now, err := w.Routes.StoredApp(t.Context(), "shop"); err != nil || now.Rollout == nil {
		t.Errorf("the rollout is gone: %+v, %v", now, err)
	}
	w.deliver(t, app("d3", w.CountBuild(), named))
	if now, err := w.Routes.StoredApp(t.Context(), "shop"); err != nil || now.Rollout != nil || now.SandboxID != sandbox.IDFor("d3") {
		t.Errorf("after the next deployment: %+v, %v", now, err)
	}
}

func set(t *testing.T, w *world, a deployment.App) deployment.App {
	t.Helper()
	stored, err := w.Routes.PutApp(t.Context(), a, deployment.Write{By: "somebody"})
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

// stateOf is the state of a sandbox, empty before there is one.
func (w *world) stateOf(requestID string) sandbox.State {
	rec, err := w.Records.Load(context.Background(), sandbox.IDFor(requestID))
	if err != nil {
		return ""
	}
	return rec.State
}
