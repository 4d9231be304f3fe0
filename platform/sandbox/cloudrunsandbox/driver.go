package cloudrunsandbox

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	run "cloud.google.com/go/run/apiv2"
	"golang.org/x/time/rate"

	"vibesdk-gcp/platform/sandbox"
)

// Driver is a [sandbox.RuntimeDriver]. It is safe for concurrent use, also by several processes over one store.
type Driver struct {
	o          Options
	parent     string
	jobs       *run.JobsClient
	executions *run.ExecutionsClient
	previews   previews
	reads      *rate.Limiter
	writes     *rate.Limiter
	refusals   refusals
	busy       busy
	close      []func() error
}

var _ sandbox.RuntimeDriver = (*Driver)(nil)

// New connects to Cloud Run. It makes no call yet: what is missing or forbidden shows with the first sandbox, as
// ErrUnavailable.
func New(ctx context.Context, o Options) (_ *Driver, err error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("sandboxes on Cloud Run: %w", err)
	}
	d := &Driver{
		o: o, parent: "projects/" + o.Project + "/locations/" + o.Location, refusals: newRefusals(o.Meter),
		reads: limiter(o.ReadsPerSecond), writes: limiter(o.WritesPerSecond),
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("connect to Cloud Run: %w", err), d.Close())
		}
	}()
	if d.jobs, err = run.NewJobsClient(ctx, o.ClientOptions...); err != nil {
		return nil, err
	}
	d.jobs.CallOptions = &run.JobsCallOptions{} // timeouts and retries are Driver.call's
	d.close = append(d.close, d.jobs.Close)
	if d.executions, err = run.NewExecutionsClient(ctx, o.ClientOptions...); err != nil {
		return nil, err
	}
	d.executions.CallOptions = &run.ExecutionsCallOptions{}
	d.close = append(d.close, d.executions.Close)
	if o.Previews == Instances {
		err = d.connectInstances(ctx)
	} else {
		err = d.connectServices(ctx)
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

func limiter(perSecond float64) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(perSecond), int(math.Ceil(perSecond*2)))
}

// Close ends the connections. What runs goes on.
func (d *Driver) Close() error {
	var errs []error
	for _, c := range d.close {
		errs = append(errs, c())
	}
	d.close = nil
	return errors.Join(errs...)
}

// Await implements [sandbox.RuntimeDriver].
func (d *Driver) Await(ctx context.Context, ref sandbox.Ref, seen sandbox.Status) error {
	tick := time.NewTicker(d.o.PollEvery)
	defer tick.Stop()
	for {
		now, err := d.Inspect(ctx, ref)
		switch {
		case over(ctx):
			return nil
		case err != nil || now != seen:
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
