package app

import (
	"context"
	"errors"
	"fmt"

	"vibesdk-gcp/platform/deployment"
)

// deployments copies the rows of apps with their history. Of an app that was deleted nothing is copied, and routes of previews end with
// their sandboxes.
func (m *migration) deployments(ctx context.Context, run *partRun) error {
	phases := []phase{{"copy", m.appsPhase(m.from.routes, m.copyApp(run))}}
	if m.o.Verify {
		phases = append(phases, phase{"compare", m.appsPhase(m.from.routes, m.compareApp(run))},
			phase{"look at the other side", m.appsPhase(m.to.routes, func(ctx context.Context, a deployment.App) error {
				_, err := m.from.routes.StoredApp(ctx, a.Name)
				if errors.Is(err, deployment.ErrNotFound) {
					run.count(&run.OnlyThere, "")
					return nil
				}
				return err
			})})
	}
	return run.run(ctx, phases...)
}

// appsPhase pages through apps by name.
func (m *migration) appsPhase(t *deployment.Table, fn func(context.Context, deployment.App) error) func(context.Context, string) (string, error) {
	return func(ctx context.Context, cursor string) (string, error) {
		apps, err := t.Apps(ctx, cursor, migratePage)
		if err != nil || len(apps) == 0 {
			return "", err
		}
		return apps[len(apps)-1].Name, each(ctx, m, apps, fn)
	}
}

// changesOf is the history of an app. One that was made before there were histories has a single change.
func changesOf(ctx context.Context, t *deployment.Table, a deployment.App) ([]deployment.Change, error) {
	changes, err := t.AppHistory(ctx, a.Name, 0)
	if err != nil && !errors.Is(err, deployment.ErrNotFound) {
		return nil, err
	}
	if len(changes) == 0 {
		changes = []deployment.Change{{Version: a.Version, At: a.UpdatedAt, App: &a}}
	}
	return changes, nil
}

func (m *migration) copyApp(run *partRun) func(context.Context, deployment.App) error {
	return func(ctx context.Context, a deployment.App) error {
		changes, err := changesOf(ctx, m.from.routes, a)
		if err != nil {
			return err
		}
		if m.o.DryRun {
			return m.tryApp(ctx, run, a)
		}
		switch adopted, err := m.to.routes.AdoptApp(ctx, a.Name, changes); {
		case errors.Is(err, deployment.ErrConflict):
			run.count(&run.Ahead, "app %q: %v", a.Name, err)
		case errors.Is(err, deployment.ErrInvalid):
			run.count(&run.Refused, "app %q: %v", a.Name, err)
		case err != nil:
			return err
		case adopted:
			run.count(&run.Copied, "")
		default:
			run.count(&run.Same, "")
		}
		return nil
	}
}

// tryApp counts what a copy would do.
func (m *migration) tryApp(ctx context.Context, run *partRun, a deployment.App) error {
	there, err := m.to.routes.StoredApp(ctx, a.Name)
	switch {
	case errors.Is(err, deployment.ErrNotFound), err == nil && there.Version < a.Version:
		run.count(&run.Copied, "")
	case err != nil:
		return err
	case !there.Same(a):
		run.count(&run.Ahead, "app %q: versions %d and %d", a.Name, a.Version, there.Version)
	default:
		run.count(&run.Same, "")
	}
	return nil
}

func (m *migration) compareApp(run *partRun) func(context.Context, deployment.App) error {
	return func(ctx context.Context, a deployment.App) error {
		there, err := m.to.routes.StoredApp(ctx, a.Name)
		if err != nil && !errors.Is(err, deployment.ErrNotFound) {
			return err
		}
		var difference string
		switch {
		case err != nil:
			difference = "is not there"
		case there.Version != a.Version:
			difference = fmt.Sprintf("versions %d and %d", a.Version, there.Version)
		case !there.Same(a):
			difference = fmt.Sprintf("version %d has something else in it", a.Version)
		default:
			if difference, err = m.compareHistory(ctx, a, there); err != nil {
				return err
			}
		}
		if difference != "" {
			run.count(&run.Differing, "app %q: %s", a.Name, difference)
		}
		run.count(&run.Compared, "")
		return nil
	}
}

func (m *migration) compareHistory(ctx context.Context, a, there deployment.App) (string, error) {
	ours, err := changesOf(ctx, m.from.routes, a)
	if err != nil {
		return "", err
	}
	theirs, err := changesOf(ctx, m.to.routes, there)
	if err != nil {
		return "", err
	}
	if len(ours) != len(theirs) {
		return fmt.Sprintf("%d and %d changes in the history", len(ours), len(theirs)), nil
	}
	for i, c := range ours {
		o := theirs[i]
		if c.Version != o.Version || c.By != o.By || !c.At.Equal(o.At) || (c.App == nil) != (o.App == nil) || c.App != nil && !c.App.Same(*o.App) {
			return fmt.Sprintf("change %d of the history", c.Version), nil
		}
	}
	return "", nil
}
