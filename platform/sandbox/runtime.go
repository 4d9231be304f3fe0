package sandbox

import (
	"context"
	"fmt"
	"io"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

// Runtime is what the rest of the platform holds: a [RuntimeDriver] behind validation and metrics. Its methods
// mean what the driver's mean. It is safe for concurrent use.
type Runtime struct {
	driver RuntimeDriver
	calls  calls
}

// RuntimeOptions tune [NewRuntime]. The zero value is right for a program.
type RuntimeOptions struct {
	// Meter makes the instruments. Defaults to otel's global provider.
	Meter metric.Meter
}

// NewRuntime returns the runtime that d is.
func NewRuntime(d RuntimeDriver, o RuntimeOptions) *Runtime {
	if o.Meter == nil {
		o.Meter = otel.Meter("vibesdk-gcp/platform/sandbox")
	}
	return &Runtime{driver: d, calls: newCalls(o.Meter)}
}

// Build triggers the build of the task's generation. See [RuntimeDriver].
func (rt *Runtime) Build(ctx context.Context, t Task) error {
	return rt.calls.observe(ctx, "build", func() error {
		if err := t.validate(); err != nil {
			return err
		}
		return rt.driver.Build(ctx, t)
	})
}

// Serve triggers the preview of a generation whose build is Done. See [RuntimeDriver].
func (rt *Runtime) Serve(ctx context.Context, t Task) error {
	return rt.calls.observe(ctx, "serve", func() error {
		if err := t.validate(); err != nil {
			return err
		}
		return rt.driver.Serve(ctx, t)
	})
}

// Inspect says what is known about a generation. See [RuntimeDriver].
func (rt *Runtime) Inspect(ctx context.Context, ref Ref) (Status, error) {
	var st Status
	err := rt.calls.observe(ctx, "inspect", func() (err error) {
		if err = ref.Validate(); err == nil {
			st, err = rt.driver.Inspect(ctx, ref)
		}
		return err
	})
	return st, err
}

// Delete removes the generation and all before it. See [RuntimeDriver].
func (rt *Runtime) Delete(ctx context.Context, ref Ref) error {
	return rt.calls.observe(ctx, "delete", func() error {
		if err := ref.Validate(); err != nil {
			return err
		}
		return rt.driver.Delete(ctx, ref)
	})
}

// List returns every generation of which anything exists. See [RuntimeDriver].
func (rt *Runtime) List(ctx context.Context) ([]Ref, error) {
	var refs []Ref
	err := rt.calls.observe(ctx, "list", func() (err error) {
		refs, err = rt.driver.List(ctx)
		return err
	})
	return refs, err
}

// Logs returns what the phase printed. See [RuntimeDriver].
func (rt *Runtime) Logs(ctx context.Context, ref Ref, phase Phase, offset int64) (io.ReadCloser, error) {
	var logs io.ReadCloser
	err := rt.calls.observe(ctx, "logs", func() (err error) {
		switch err = ref.Validate(); {
		case err != nil:
			return err
		case phase != PhaseBuild && phase != PhaseServe:
			return fmt.Errorf("%w: phase %.20q must be build or serve", ErrInvalid, phase)
		case offset < 0:
			return fmt.Errorf("%w: log offset %d must not be negative", ErrInvalid, offset)
		}
		logs, err = rt.driver.Logs(ctx, ref, phase, offset)
		return err
	})
	return logs, err
}

// Await returns when Inspect would differ from seen, or when ctx ends. See [RuntimeDriver].
func (rt *Runtime) Await(ctx context.Context, ref Ref, seen Status) error {
	return rt.calls.observe(ctx, "await", func() error {
		if err := ref.Validate(); err != nil {
			return err
		}
		return rt.driver.Await(ctx, ref, seen)
	})
}

func (t Task) validate() error {
	if err := t.Ref.Validate(); err != nil {
		return err
	}
	var faults faults
	if t.ControlToken == "" {
		faults.add("control token is empty")
	}
	if t.Deadline.IsZero() {
		faults.add("deadline must be set")
	}
	if err := faults.join(); err != nil {
		return err
	}
	return t.Spec.Validate()
}
