package sandboxrunner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/sandbox"
)

const (
	// deploymentTTL is as good as for ever: a record needs an end.
	deploymentTTL = 100 * 365 * 24 * time.Hour
	// replacedFor is how long a deployment that was replaced still answers: routers hold the old route for a second, and
	// requests may be under way.
	replacedFor = 5 * time.Second
)

// settled settles the app of a deployment after it was driven with the result err. What went wrong first is what the
// message is decided by; it comes again, and the rest with it.
func (r *Runner) settled(ctx context.Context, app string, err error) error {
	if app == "" {
		return err
	}
	if later := r.settle(ctx, app); err == nil {
		return later
	}
	return err
}

// settle makes the newest ready deployment of an app the one that its host leads to, and ends those before it a little
// later. It decides by what is on record now and looks again after each change, so of several calls at once the
// last one to change something sees what the others did. Without one that is ready the route goes: the place that it led to may be
// another app's soon.
func (r *Runner) settle(ctx context.Context, app string) error {
	newest, alive, err := r.reroute(ctx, app, "")
	if err != nil || newest == nil {
		return err
	}
	return r.endReplaced(ctx, *newest, alive)
}

// reroute makes the host of an app lead to its newest ready deployment, and returns that one and all that have not ended. leaving is one
// that does not count any more; "" for none.
func (r *Runner) reroute(ctx context.Context, app, leaving string) (newest *sandbox.Record, alive []sandbox.Record, err error) {
	for {
		alive, err = r.o.Records.List(ctx, sandbox.Query{AppName: app, States: notEnded, Limit: 1000})
		if err != nil {
			return nil, nil, fmt.Errorf("deployments of %s: %w", app, err)
		}
		newest = newestReady(slices.DeleteFunc(slices.Clone(alive), func(rec sandbox.Record) bool { return rec.ID == leaving }))
		switch changed, err := r.route(ctx, app, newest); {
		case err != nil:
			return nil, nil, fmt.Errorf("route of %s: %w", app, err)
		case !changed:
			return newest, alive, nil
		}
	}
}

var notEnded = []sandbox.State{sandbox.Requested, sandbox.Building, sandbox.Starting, sandbox.Ready, sandbox.Stopping}

// newer orders deployments of one app: by acceptance, and by id those accepted at one instant.
func newer(a, b sandbox.Record) bool {
	if !a.CreatedAt.Equal(b.CreatedAt) {
		return a.CreatedAt.After(b.CreatedAt)
	}
	return a.ID > b.ID
}

func newestReady(list []sandbox.Record) *sandbox.Record {
	var newest *sandbox.Record
	for i := range list {
		if list[i].State == sandbox.Ready && (newest == nil || newer(list[i], *newest)) {
			newest = &list[i]
		}
	}
	return newest
}

// route makes the app's route lead to the newest deployment, and says whether to look again because it led elsewhere. What was set by
// hand goes only when a deployment was asked for after it; who may see the app stays as it is.
func (r *Runner) route(ctx context.Context, app string, newest *sandbox.Record) (changed bool, err error) {
	now, err := r.o.Routes.StoredApp(ctx, app)
	missing := errors.Is(err, deployment.ErrNotFound)
	if err != nil && !missing {
		return false, err
	}
	byHand := !missing && now.SandboxID == ""
	w := deployment.Write{By: "sandboxrunner", IfVersion: &now.Version}
	switch {
	case newest == nil && (missing || byHand):
		return false, nil
	case newest == nil:
		err = r.o.Routes.DeleteApp(ctx, app, w)
	case byHand && now.UpdatedAt.After(newest.CreatedAt):
		return false, nil
	case now.SandboxID == newest.ID && now.Endpoint == newest.Endpoint:
		return false, nil
	default:
		next := now
		next.Name, next.Place = app, deployment.Place{Target: r.o.Target, Endpoint: newest.Endpoint}
		if now.SandboxID != newest.ID {
			next.SandboxID, next.Rollout = newest.ID, nil
		}
		_, err = r.o.Routes.PutApp(ctx, next, w)
	}
	if errors.Is(err, deployment.ErrConflict) || errors.Is(err, deployment.ErrNotFound) {
		return true, nil // somebody else was faster
	}
	return err == nil, err
}

// endReplaced ends the deployments before the newest one, once nobody can be on the way to them any more.
func (r *Runner) endReplaced(ctx context.Context, newest sandbox.Record, alive []sandbox.Record) error {
	for _, old := range alive {
		if !newer(newest, old) {
			continue
		}
		if wait := newest.ReadyAt.Add(replacedFor).Sub(r.o.Now()); wait > 0 {
			return events.RetryAfter(wait, "the deployment before ends then")
		}
		ending, err := r.update(ctx, old, func(rec *sandbox.Record) error {
			if ended := rec.State.Terminal() || rec.State == sandbox.Stopping; ended {
				return sandbox.ErrUnchanged
			}
			r.setStopping(rec, "replaced by deployment "+newest.ID)
			return nil
		})
		if err != nil {
			return fmt.Errorf("end deployment %s: %w", old.ID, err)
		}
		if _, err := r.drive(ctx, ending); err != nil {
			return err
		}
	}
	return nil
}
