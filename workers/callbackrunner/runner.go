package callbackrunner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"vibesdk-gcp/events"
	"vibesdk-gcp/internal/hostclient"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/schemas"
	"vibesdk-gcp/schemas/gen"
)

// Options are what a [Runner] works with. Sessions and Publisher must be set.
type Options struct {
	Sessions *session.Store
	// Publisher publishes what is due after a run.
	Publisher *Publisher
	// Host is the address of the agent host, http or https, with or without a path. Without one, jobs that are due wait for it.
	Host string
	// Key is sent to the host as a bearer token. It reaches no log and no error. None is sent when it is empty.
	Key string
	// Timeout is how long the host may take for one call. Defaults to 60 seconds, at most 100 seconds: the claim on the run and
	// the subscription's deadline must outlast it.
	Timeout time.Duration
	// Patience is how long after its time a run that the host cannot begin is called again. Then it has failed for good. Defaults
	// to 24 hours.
	Patience time.Duration
	// Now defaults to time.Now.
	Now func() time.Time
	// Logger defaults to slog.Default.
	Logger *slog.Logger
	// MeterProvider makes the instruments. Defaults to otel's global one.
	MeterProvider metric.MeterProvider

	postpone time.Duration // the shortest pause before a host that is away is called again
}

const (
	maxTimeout = 100 * time.Second
	// maxPostpone is the longest pause before a host that is away is called again.
	maxPostpone = 5 * time.Minute
	// stale is the age at which a message that could do nothing is given up: by then a sweep of the janitor has published its
	// run again. Were all of them kept, a host that is away for a day would leave a thousand messages for each run.
	stale = 2 * time.Minute
)

// Runner runs jobs that are due. It is safe for concurrent use, also by several processes over one store.
type Runner struct {
	o       Options
	host    *host // nil without an address
	metrics *metrics
	// warned is when the log last said that there is no host, in seconds.
	warned atomic.Int64
}

// New returns a Runner. It fails for an address of a host that is not valid, and for a timeout that is out of range.
func New(o Options) (*Runner, error) {
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	if o.Timeout < 0 || o.Timeout > maxTimeout {
		return nil, fmt.Errorf("timeout of calls is %s, it must be above 0 and at most %s", o.Timeout, maxTimeout)
	}
	if o.Patience == 0 {
		o.Patience = 24 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.postpone == 0 {
		o.postpone = time.Second
	}
	r := &Runner{o: o, metrics: newMetrics(o.MeterProvider, o.Logger)}
	if o.Host != "" {
		client, err := hostclient.New(o.Host, o.Key, events.CallbackRunner.WithDefaults().Concurrency)
		if err != nil {
			return nil, fmt.Errorf("agent host: %w", err)
		}
		r.host = &host{Client: client, timeout: o.Timeout}
	}
	return r, nil
}

// claimFor is how long a run is claimed: the time for the call, and a quarter more to note the end of it.
func (r *Runner) claimFor() time.Duration { return r.o.Timeout + max(r.o.Timeout/4, time.Second) }

// Close closes idle connections to the host. Call it after the last Handle returned.
func (r *Runner) Close() error {
	if r.host != nil {
		r.host.Close()
	}
	return nil
}

// Handle is the [events.Handler] of the callbackrunner subscription. It is idempotent: however often and however many at
// once, one delivery calls the host. A permanent error is a message that is not valid.
func (r *Runner) Handle(ctx context.Context, m events.Message) error {
	return events.Decode(schemas.DecodeAgentCallback, r.run)(ctx, m)
}

func (r *Runner) run(ctx context.Context, m events.Message, due *gen.AgentCallback) error {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier(m.Attributes))
	}
	d := delivery{
		Runner: r, m: m, session: due.GetSessionId(), job: due.GetJobId(), number: due.GetRun(), holder: uuid.NewString(),
		log: r.o.Logger.With("session_id", due.GetSessionId(), "job_id", due.GetJobId(), "run", due.GetRun()),
	}
	j, until, err := d.find(ctx)
	switch {
	case err != nil:
		return err
	case j == nil:
		r.metrics.ran(ctx, superseded)
		if m.Attempt > 1 {
			// The delivery before may have finished the run and ended before it published what is due next.
			d.wake(ctx)
		}
		return nil
	case until > 0:
		return d.later(until, "the run may not begin yet")
	case r.host == nil:
		r.warn(ctx)
		return d.later(time.Minute, "there is no agent host")
	}
	return d.deliver(ctx)
}

// warn says once a minute that there is no host.
func (r *Runner) warn(ctx context.Context) {
	now := r.o.Now().Unix()
	if last := r.warned.Load(); now-last >= 60 && r.warned.CompareAndSwap(last, now) {
		r.o.Logger.WarnContext(ctx, "jobs are due, and there is no agent host to call: set its address")
	}
}

// delivery is one message in the making.
type delivery struct {
	*Runner
	m            events.Message
	session, job string
	number       int64
	// holder is this delivery: a process has many, and a second delivery of the same run must not pass for the first.
	holder string
	log    *slog.Logger
}

// later asks for the message again, unless a sweep has published a newer one meanwhile.
func (d *delivery) later(after time.Duration, why string) error {
	from := d.m.Time
	if d.m.NotBefore.After(from) {
		from = d.m.NotBefore
	}
	if d.o.Now().Add(after).Sub(from) > stale {
		return nil
	}
	return events.RetryAfter(after, why)
}

// find returns the job when the message's run is its present one, else nil; and how long the run may not begin yet.
func (d *delivery) find(ctx context.Context) (*session.Job, time.Duration, error) {
	rec, err := d.o.Sessions.Get(ctx, d.session)
	if errors.Is(err, session.ErrNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("load session: %w", err)
	}
	j, err := rec.Job(d.job)
	switch {
	case errors.Is(err, session.ErrNotFound):
		return nil, 0, nil
	case err != nil:
		return nil, 0, fmt.Errorf("job of session: %w", err)
	case j.Run != d.number, j.Parked:
		return nil, 0, nil
	}
	if j.Type == session.JobQueue {
		// Those behind the first are published when their turn comes.
		waiting, err := rec.Ready(j.ReadyAt())
		if err != nil {
			return nil, 0, fmt.Errorf("job of session: %w", err)
		}
		first := false
		for _, w := range waiting {
			first = first || w.ID == j.ID
		}
		if !first {
			return nil, 0, nil
		}
	}
	return &j, max(0, j.ReadyAt().Sub(d.o.Now())), nil
}

// deliver claims the run, calls the host and finishes the run.
func (d *delivery) deliver(ctx context.Context) error {
	// A claim that nobody ends keeps the run from everybody else, so it is not begun without the time to end it.
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d.o.Timeout {
		return errors.New("too little of the attempt is left for a call")
	}
	beforeClaim.Hit()
	claimed, err := d.claim(ctx, "start", d.claimFor())
	if err != nil || !claimed {
		return err
	}
	afterClaim.Hit()
	// What is called is what was claimed: the job may have been replaced since it was found.
	j, _, err := d.find(ctx)
	if err != nil {
		return err
	}
	if j == nil {
		d.metrics.ran(ctx, superseded)
		return nil
	}
	now := d.o.Now()
	calling, cancel := context.WithTimeout(ctx, d.o.Timeout)
	defer cancel()
	v := d.host.call(calling, newCall(d.session, *j, now), runKey(d.session, d.job, d.number), now)
	d.metrics.called(ctx, d.o.Now().Sub(now), max(0, now.Sub(j.Due)))
	afterCall.Hit()
	if ctx.Err() != nil && v.err != nil {
		// This attempt was cut short, not the host's. The claim ends by itself, and the same run is called again.
		return fmt.Errorf("call agent host: %w", context.Cause(ctx))
	}
	if v.err != nil && !v.begun {
		if late := now.Sub(j.Due); late < d.o.Patience {
			return d.putOff(ctx, v, late)
		}
		v.permanent = true
	}
	return d.finish(ctx, v)
}

// claim claims the run from now on, or for another while. It is not claimed when somebody else has it, or it is gone.
func (d *delivery) claim(ctx context.Context, what string, lasting time.Duration) (bool, error) {
	o, err := d.apply(ctx, session.StartJob, what, session.StartRequest{
		ID: d.job, Run: d.number, Holder: d.holder, Until: d.o.Now().Add(lasting),
	})
	switch {
	case err != nil:
		return false, err
	case o.Err == nil:
		return true, nil
	case errors.Is(o.Err, session.ErrConflict):
		// Whoever has it will finish it. If not, this message comes when that claim may be over.
		d.metrics.ran(ctx, held)
		return false, d.later(d.claimFor(), "another delivery has the run")
	case errors.Is(o.Err, session.ErrNotFound):
		d.metrics.ran(ctx, superseded)
		return false, nil
	default:
		return false, fmt.Errorf("claim the run: %w", o.Err)
	}
}

// putOff lets the claim stand for as long as the host is left alone: then the same run may begin again.
func (d *delivery) putOff(ctx context.Context, v verdict, late time.Duration) error {
	after := v.after
	if after == 0 {
		// Half as long again as it has been waiting already: no more than some calls an hour for a host that is gone.
		after = min(max(late/2, d.o.postpone), maxPostpone)
	}
	d.log.WarnContext(ctx, "agent host did not take the run", "error", v.err, "again_after", after)
	if _, err := d.claim(ctx, "put-off", after); err != nil {
		return err
	}
	d.metrics.ran(ctx, postponed)
	return d.later(after, v.err.Error())
}

// finish notes how the run ended and publishes what is due next.
func (d *delivery) finish(ctx context.Context, v verdict) error {
	end := session.FinishRequest{ID: d.job, Run: d.number, Holder: d.holder, Permanent: v.permanent}
	if v.err != nil {
		end.Error = v.err.Error()
	}
	o, err := d.apply(ctx, session.FinishJob, "finish", end)
	if err != nil {
		return err
	}
	if o.Err != nil {
		return fmt.Errorf("finish the run: %w", o.Err)
	}
	afterFinish.Hit()
	d.metrics.ran(ctx, o.Ref)
	switch {
	case o.Ref == session.FinishParked, o.Ref == session.FinishFailed:
		d.log.ErrorContext(ctx, "job failed for good", "outcome", o.Ref, "error", v.err)
	case o.Ref == session.FinishDropped:
		d.log.WarnContext(ctx, "run ended after somebody else took it or it was cancelled", "error", v.err)
	case v.err != nil:
		d.log.WarnContext(ctx, "run failed", "outcome", o.Ref, "error", v.err)
	}
	d.wake(ctx)
	afterPublish.Hit()
	return nil
}

func (d *delivery) wake(ctx context.Context) {
	if err := d.o.Publisher.Wake(ctx, d.session); err != nil {
		d.log.WarnContext(ctx, "what is due next waits for the next sweep", "error", err)
	}
}

// apply applies a mutation of this delivery: the same one, however often it is applied.
func (d *delivery) apply(ctx context.Context, kind session.Kind, what string, request any) (session.Outcome, error) {
	payload, err := json.Marshal(request)
	if err != nil {
		return session.Outcome{}, fmt.Errorf("%s: %w", what, err)
	}
	outcomes, err := d.o.Sessions.Apply(ctx, d.session, []session.Mutation{{
		ID: what + "-" + digest(d.session, d.job, fmt.Sprint(d.number), d.holder), Kind: kind, Payload: payload,
	}})
	if err != nil {
		return session.Outcome{}, fmt.Errorf("%s the run: %w", what, err)
	}
	return outcomes[0], nil
}
