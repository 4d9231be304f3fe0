package ratelimit

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scope = "vibesdk-gcp/platform/ratelimit"

// metrics are the instruments of a Limiter. Their labels are closed sets: limit is a configured name or `given` for a charge with its own
// configuration, outcome one of a few words.
//
//	ratelimit.decisions  {charge}  limit, outcome: admitted, rejected, guard_admitted, guard_rejected, closed
//	ratelimit.wait       s         one call to the backend
type metrics struct {
	decisions metric.Int64Counter
	wait      metric.Float64Histogram
}

func newMetrics(provider metric.MeterProvider, log *slog.Logger) *metrics {
	meter := provider.Meter(scope)
	var m metrics
	errs := make([]error, 2)
	m.decisions, errs[0] = meter.Int64Counter("ratelimit.decisions", metric.WithUnit("{charge}"),
		metric.WithDescription("Charges by what became of them; those of the guard and closed ones are of an outage."))
	m.wait, errs[1] = meter.Float64Histogram("ratelimit.wait", metric.WithUnit("s"),
		metric.WithDescription("Time to ask the backend."),
		metric.WithExplicitBucketBoundaries(.0002, .0005, .001, .002, .005, .01, .02, .05, .1))
	if err := errors.Join(errs...); err != nil { // the instruments still work, as no-ops
		log.Error("ratelimit: metrics are incomplete", "error", err)
	}
	return &m
}

func (m *metrics) waited(ctx context.Context, d time.Duration) { m.wait.Record(ctx, d.Seconds()) }

func (m *metrics) decided(ctx context.Context, charges []Charge, results []Result) {
	outcome := "rejected"
	if Admitted(results) {
		outcome = "admitted"
	}
	if results[0].Degraded {
		outcome = "guard_" + outcome
	}
	m.counted(ctx, charges, outcome)
}

func (m *metrics) counted(ctx context.Context, charges []Charge, outcome string) {
	for _, c := range charges {
		limit := c.Limit
		if c.Config != nil {
			limit = "given"
		}
		m.decisions.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(
			attribute.String("limit", limit), attribute.String("outcome", outcome))))
	}
}
