package sandboxrunner_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"vibesdk-gcp/internal/testenv/cloudrunfake"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/sandbox/cloudrunsandbox"
)

// scene is a kind of a sandbox's life.
type scene struct {
	// name says what is so; empty is the ordinary life.
	name string
	// prepare comes before the trouble.
	prepare func(ctx context.Context, r *region, id string) error
	// life leads to the end of the sandbox.
	life func(ctx context.Context, c crash, r *region, id, build string) error
	// calls are those that only this life makes.
	calls []string
	// withoutRecord says that there is none of the sandbox.
	withoutRecord bool
}

// whole is the life of one sandbox: asked for, shown, stopped.
var whole = scene{life: func(ctx context.Context, c crash, r *region, id, build string) error {
	if err := c.show(ctx, r, id, build); err != nil {
		return err
	}
	return c.deliver(ctx, r, stop(id, "USER"))
}}

var otherScenes = []*scene{
	{
		name: "previews are instances", life: whole.life, calls: []string{"CreateInstance", "GetInstance", "DeleteInstance"},
		prepare: func(_ context.Context, r *region, _ string) error {
			r.previews = cloudrunsandbox.Instances
			return nil
		},
	},
	{
		// Executions are listed when the answer of RunJob is lost.
		name: "no answer to RunJob", life: whole.life, calls: []string{"ListExecutions"},
		prepare: func(_ context.Context, r *region, _ string) error {
			r.callTimeout = time.Second
			r.Inject(cloudrunfake.Fault{Method: "RunJob", Nth: 1, Kind: cloudrunfake.Lost})
			return nil
		},
	},
	{name: "stopped while it builds", life: stopped, calls: []string{"CancelExecution", "DeleteExecution", "GetExecution"}},
	{name: "looked at hours later", life: renewed, calls: []string{"UpdateService"}},
	{
		name: "nobody knows of it", prepare: abandoned, life: swept, withoutRecord: true,
		calls: []string{"list all", "ListExecutions", "ListServices", "create grave", "DeleteService", "DeleteExecution"},
	},
	{
		name: "nobody knows of the instance", life: swept, withoutRecord: true, calls: []string{"ListInstances", "DeleteInstance"},
		prepare: func(ctx context.Context, r *region, id string) error {
			r.previews = cloudrunsandbox.Instances
			return abandoned(ctx, r, id)
		},
	},
}

// show asks for a sandbox and looks at its preview.
func (c crash) show(ctx context.Context, r *region, id, build string) error {
	if err := c.deliver(ctx, r, app(id, build)); err != nil {
		return err
	}
	rec, err := r.ledger.records.Load(ctx, sandbox.IDFor(id))
	if err != nil || rec.State != sandbox.Ready {
		return fmt.Errorf("it is %s because %q: %w", rec.State, rec.Reason, err)
	}
	return answers(ctx, rec.Endpoint, "hello from "+id)
}

// answers asks a preview until it answers as it should.
func answers(ctx context.Context, endpoint, want string) error {
	ask := func() (string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
		if err != nil {
			return "", err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return fmt.Sprintf("%d %s", resp.StatusCode, body), err
	}
	for {
		got, err := ask()
		if err == nil && got == "200 "+want {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the preview answers %q, %w", got, errors.Join(err, ctx.Err()))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// stopped stops a sandbox while its build is at work.
func stopped(ctx context.Context, c crash, r *region, id, _ string) error {
	var group errgroup.Group
	group.Go(func() error { return c.deliver(ctx, r, app(id, "sleep 1000")) })
	for len(r.worked()) == 0 {
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), group.Wait())
		case <-time.After(time.Millisecond):
		}
	}
	return errors.Join(c.deliver(ctx, r, stop(id, "USER")), group.Wait())
}

// renewed lets so much time pass that the preview needs fresh addresses, and asks until it has them.
func renewed(ctx context.Context, c crash, r *region, id, build string) error {
	if err := c.show(ctx, r, id, build); err != nil {
		return err
	}
	r.ahead = 7 * time.Hour
	for len(r.Services()) == 1 && r.Services()[0].GetGeneration() == 1 {
		if err := c.deliver(ctx, r, resume(id)); err != nil {
			return err
		}
	}
	rec, err := r.ledger.records.Load(ctx, sandbox.IDFor(id))
	if err != nil {
		return err
	}
	if err := answers(ctx, rec.Endpoint, "hello from "+id); err != nil {
		return err
	}
	return c.deliver(ctx, r, stop(id, "USER"))
}

// abandoned makes all that a sandbox has, without a record of it.
func abandoned(ctx context.Context, r *region, id string) error {
	w, err := r.worker(ctx)
	if err != nil {
		return err
	}
	defer w.driver.Close()
	task := sandbox.Task{
		Ref: sandbox.Ref{ID: sandbox.IDFor(id), Fence: 1}, ControlToken: sandbox.NewControlToken(), Deadline: time.Now().Add(patience),
		Spec: sandbox.Spec{StaticDir: ".", Source: sandbox.Source{Files: []sandbox.File{{Path: "index.html", Data: []byte("hello")}}}},
	}
	reach := func(ok func(sandbox.Status) bool) error {
		for {
			st, err := w.driver.Inspect(ctx, task.Ref)
			if err != nil || ok(st) {
				return err
			}
			if ctx.Err() != nil {
				return fmt.Errorf("it is %+v: %w", st, ctx.Err())
			}
			if err := w.driver.Await(ctx, task.Ref, st); err != nil {
				return err
			}
		}
	}
	if err := w.driver.Build(ctx, task); err != nil {
		return err
	}
	if err := reach(func(st sandbox.Status) bool { return st.Build == sandbox.Done }); err != nil {
		return err
	}
	if err := w.driver.Serve(ctx, task); err != nil {
		return err
	}
	return reach(func(st sandbox.Status) bool { return st.Serve == sandbox.Done })
}

// swept lets janitors sweep until a sweep goes well.
func swept(ctx context.Context, c crash, r *region, _, _ string) error {
	janitor := func() error {
		for {
			err := r.sweep(ctx, &outbox{})
			if err == nil || ctx.Err() != nil {
				return err
			}
		}
	}
	var group errgroup.Group
	group.Go(janitor)
	if c.twice {
		group.Go(janitor)
	}
	return group.Wait()
}
