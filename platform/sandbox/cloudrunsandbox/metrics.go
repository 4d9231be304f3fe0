package cloudrunsandbox

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// refusals counts the calls that Cloud Run did not take, by why: quota, rate or permission.
type refusals struct{ counter metric.Int64Counter }

func newRefusals(m metric.Meter) refusals {
	counter, err := m.Int64Counter("sandbox.cloudrun.refusals", metric.WithUnit("{call}"),
		metric.WithDescription("Calls of Cloud Run that were not taken: quota used up, own rate limit, or permission and setup."))
	if err != nil {
		otel.Handle(err) // the instrument is then a no-op; measuring must not stop the platform
	}
	return refusals{counter}
}

func (r refusals) count(ctx context.Context, reason string) {
	r.counter.Add(ctx, 1, metric.WithAttributes(attribute.String("reason", reason)))
}
