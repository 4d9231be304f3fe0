package sandbox

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// calls measures the calls of a runtime. Labels are closed sets: the method and the outcome below.
type calls struct {
	seconds metric.Float64Histogram
}

func newCalls(m metric.Meter) calls {
	h, err := m.Float64Histogram("sandbox.runtime.call.duration",
		metric.WithUnit("s"), metric.WithDescription("Duration of calls of the sandbox runtime, by method and outcome."))
	if err != nil {
		otel.Handle(err) // the instrument is then a no-op; measuring must not stop the platform
	}
	return calls{seconds: h}
}

func (c calls) observe(ctx context.Context, method string, call func() error) error {
	start := time.Now()
	err := call()
	c.seconds.Record(ctx, time.Since(start).Seconds(), metric.WithAttributes(
		attribute.String("method", method), attribute.String("outcome", outcome(err))))
	return err
}

func outcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrInvalid):
		return "invalid"
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrGone):
		return "not_found"
	case errors.Is(err, ErrTransition):
		return "refused"
	case errors.Is(err, ErrUnavailable):
		return "unavailable"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "canceled"
	default:
		return "error"
	}
}
