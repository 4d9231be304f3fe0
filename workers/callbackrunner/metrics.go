package callbackrunner

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// metrics are the instruments of a runner. Their labels are closed sets.
//
//	callbackrunner.runs           {run}  outcome: done, retry, parked, failed, next, dropped (see session.FinishRequest),
//	                                     postponed, held, superseded
//	callbackrunner.call.duration  s      one call of the agent host
//	callbackrunner.late           s      from the time of a run to its call
type metrics struct {
	runs     metric.Int64Counter
	duration metric.Float64Histogram
	late     metric.Float64Histogram
}

// Outcomes of a delivery, beside those of a finished run.
const (
	postponed  = "postponed"
	held       = "held"
	superseded = "superseded"
)

func newMetrics(provider metric.MeterProvider, log *slog.Logger) *metrics {
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	meter := provider.Meter("vibesdk-gcp/workers/callbackrunner")
	var m metrics
	errs := make([]error, 3)
	m.runs, errs[0] = meter.Int64Counter("callbackrunner.runs", metric.WithUnit("{run}"),
		metric.WithDescription("Deliveries of runs by what became of them."))
	m.duration, errs[1] = meter.Float64Histogram("callbackrunner.call.duration", metric.WithUnit("s"),
		metric.WithDescription("Time of one call of an agent host."),
		metric.WithExplicitBucketBoundaries(.005, .01, .05, .1, .5, 1, 5, 10, 30, 60, 120))
	m.late, errs[2] = meter.Float64Histogram("callbackrunner.late", metric.WithUnit("s"),
		metric.WithDescription("Time from when a run was due to its call."),
		metric.WithExplicitBucketBoundaries(.01, .05, .1, .5, 1, 5, 10, 60, 600, 3600, 86400))
	if err := errors.Join(errs...); err != nil { // the instruments still work, as no-ops
		log.Error("callbackrunner: metrics are incomplete", "error", err)
	}
	return &m
}

func (m *metrics) ran(ctx context.Context, outcome string) {
	m.runs.Add(ctx, 1, metric.WithAttributes(attribute.String("outcome", outcome)))
}

func (m *metrics) called(ctx context.Context, took, late time.Duration) {
	m.duration.Record(ctx, took.Seconds())
	m.late.Record(ctx, late.Seconds())
}
