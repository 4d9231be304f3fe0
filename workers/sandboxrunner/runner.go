package sandboxrunner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/schemas"
	"vibesdk-gcp/schemas/gen"
)

// Options are what a [Runner] works with. Records, Runtime and Routes must be set.
type Options struct {
	Records *sandbox.Records
	Runtime *sandbox.Runtime
	Routes  *deployment.Table
	// Target is where sandboxes run, as the routes of deployments say it. Defaults to processes.
	Target deployment.Target
	// Defaults apply where a request says nothing.
	Defaults Defaults
	// Now defaults to time.Now.
	Now func() time.Time
	// Logger defaults to slog.Default.
	Logger *slog.Logger
}

// Defaults are the limits of a sandbox's life. A zero field means the value named beside it.
type Defaults struct {
	// TTL is the time to live from acceptance. Defaults to 30 minutes.
	TTL time.Duration
	// Idle is how long a preview may go without traffic. Defaults to 10 minutes.
	Idle time.Duration
	// MaxTTL caps what a request may ask for, of both. Defaults to 24 hours.
	MaxTTL time.Duration
	// BuildTimeout bounds source, install and build together, and the wait for a free place. Defaults to 10
	// minutes.
	BuildTimeout time.Duration
	// StartTimeout bounds the time from the end of the build to the first answer. Defaults to 2 minutes.
	StartTimeout time.Duration
}

const (
	// buildGrace is what a build gets beyond its deadline to be killed by the guest, which knows a better reason.
	buildGrace = 10 * time.Second
	// stopTimeout is when a removal counts as stuck.
	stopTimeout = 2 * time.Minute
	// unavailablePause is how long a message waits for a runtime that takes no work.
	unavailablePause = 2 * time.Second
	// unknownFor is how old a request to stop an unknown sandbox must be to be believed. The topic is not
	// ordered: the request to run it may be just behind.
	unknownFor = 5 * time.Second
)

// Subscription is where a [Runner] belongs. It is [events.SandboxRunner] without the check of payloads that the bus
// would make: the Runner makes it, and leaves a record that the owner of the app finds.
func Subscription() events.Subscription {
	sub := events.SandboxRunner
	sub.Topic.Validate = nil
	return sub
}

// Runner handles sandbox requests. It is safe for concurrent use, also by several processes over one database.
type Runner struct{ o Options }

// New returns a Runner.
func New(o Options) *Runner {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Target == "" {
		o.Target = deployment.TargetProcess
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	d := &o.Defaults
	for _, f := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&d.TTL, 30 * time.Minute}, {&d.Idle, 10 * time.Minute}, {&d.MaxTTL, 24 * time.Hour},
		{&d.BuildTimeout, 10 * time.Minute}, {&d.StartTimeout, 2 * time.Minute},
	} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	return &Runner{o}
}

// Handle is the [events.Handler] of the sandboxrunner subscription. It is idempotent: a request handled again, or
// twenty times at once, moves on the same sandbox. A permanent error is a request that is not valid, or a
// request id that was used for another request. While the runtime takes no work, because a quota is used up or it is still removing
// something, the message comes again without counting as failed: the deadlines of the record end that.
func (r *Runner) Handle(ctx context.Context, m events.Message) error {
	err := r.handle(ctx, m)
	if errors.Is(err, sandbox.ErrUnavailable) && !events.IsPermanent(err) {
		return events.RetryAfter(unavailablePause, err.Error())
	}
	return err
}

func (r *Runner) handle(ctx context.Context, m events.Message) error {
	req, err := schemas.DecodeSandboxRequest(m.Data)
	if err != nil {
		return r.refuse(ctx, m, err)
	}
	switch req.GetAction() {
	case gen.SandboxRequest_UNSPECIFIED, gen.SandboxRequest_RUN:
		return r.run(ctx, m, req)
	case gen.SandboxRequest_STOP:
		return r.stop(ctx, m, req)
	case gen.SandboxRequest_RESUME:
		return r.resume(ctx, req)
	case gen.SandboxRequest_RENAME:
		return r.rename(ctx, m, req)
	default:
		return events.Permanent(fmt.Errorf("action %s is not known", req.GetAction()))
	}
}

// run accepts the request, once, and drives its sandbox.
func (r *Runner) run(ctx context.Context, m events.Message, req *gen.SandboxRequest) error {
	spec := specOf(req)
	digest, err := fingerprint(req, spec)
	if err != nil {
		return err
	}
	id := sandbox.IDFor(req.GetRequestId())
	rec, err := r.o.Records.Load(ctx, id)
	if errors.Is(err, sandbox.ErrNotFound) {
		beforeCreate.Hit()
		err = r.o.Records.Create(ctx, r.o.Defaults.newRecord(req, digest, r.o.Now()), spec)
		afterCreate.Hit()
		switch {
		case errors.Is(err, sandbox.ErrInvalid):
			return r.refuse(ctx, m, err)
		case err != nil && !errors.Is(err, sandbox.ErrExists): // a duplicate may have been faster
			return err
		}
		rec, err = r.o.Records.Load(ctx, id)
	}
	if err != nil {
		return err
	}
	if rec.RequestID != req.GetRequestId() || rec.Fingerprint != digest {
		return events.Permanent(fmt.Errorf("request id %q (content %.12s) was used before for another request (id %q, content %.12s, sandbox %s): choose a new id",
			req.GetRequestId(), digest, rec.RequestID, rec.Fingerprint, rec.ID))
	}
	until, err := r.drive(ctx, rec)
	if err == nil && !until.IsZero() {
		err = events.RetryAfter(until.Sub(r.o.Now()), "the sandbox may end then")
	}
	return r.settled(ctx, rec.AppName, err)
}

// stop ends a sandbox: always when a user asks, otherwise only if it is due.
func (r *Runner) stop(ctx context.Context, m events.Message, req *gen.SandboxRequest) error {
	id := req.GetSandboxId()
	rec, err := r.o.Records.Load(ctx, id)
	if errors.Is(err, sandbox.ErrNotFound) {
		return r.unknown(ctx, m, "stop", id)
	}
	if err != nil {
		return err
	}
	switch why := req.GetStopReason(); why {
	case gen.SandboxRequest_STOP_REASON_UNSPECIFIED, gen.SandboxRequest_USER:
		if rec, err = r.markStopping(ctx, rec); err != nil {
			return err
		}
	default:
		if _, due := rec.Due(r.o.Now()); !due {
			r.o.Logger.DebugContext(ctx, "sandbox is not due any more", "sandbox_id", id, "reason", why.String())
			return nil
		}
	}
	_, err = r.drive(ctx, rec)
	return r.settled(ctx, rec.AppName, err)
}

// rename changes the name of a sandbox that lives. Of two names given at once either may stay.
func (r *Runner) rename(ctx context.Context, m events.Message, req *gen.SandboxRequest) error {
	id := req.GetSandboxId()
	_, err := r.o.Records.Update(ctx, id, func(rec *sandbox.Record) error {
		if rec.State.Terminal() {
			return sandbox.ErrUnchanged
		}
		rec.ProjectName = req.GetProjectName()
		return nil
	})
	if errors.Is(err, sandbox.ErrNotFound) {
		return r.unknown(ctx, m, "rename", id)
	}
	return err
}

// unknown is the answer to a request about a sandbox that is not there: it may be about to be.
func (r *Runner) unknown(ctx context.Context, m events.Message, action, id string) error {
	if age := r.o.Now().Sub(m.Time); age.Abs() < unknownFor {
		return events.RetryAfter(unknownFor/10, "no such sandbox yet")
	}
	r.o.Logger.InfoContext(ctx, "request about an unknown sandbox", "action", action, "sandbox_id", id)
	return nil
}

// resume drives a sandbox whose message may be lost or whose preview may be gone.
func (r *Runner) resume(ctx context.Context, req *gen.SandboxRequest) error {
	rec, err := r.o.Records.Load(ctx, req.GetSandboxId())
	if errors.Is(err, sandbox.ErrNotFound) {
		r.o.Logger.InfoContext(ctx, "request to resume an unknown sandbox", "sandbox_id", req.GetSandboxId())
		return nil
	}
	if err != nil {
		return err
	}
	_, err = r.drive(ctx, rec)
	return r.settled(ctx, rec.AppName, err)
}
