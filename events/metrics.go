package events

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// metrics are the instruments of a bus. Their labels are closed sets: topic and subscription are rows of the
// topic table, outcome is one of a few words.
//
//	events.published        {message}  topic, outcome: accepted, invalid, failed
//	events.settled          {message}  subscription, outcome: handled, retried, postponed, parked, released
//	events.handle.duration  s          subscription: one call of the handler's run, parking included
//	events.age              s          subscription: from the event's time to its being handled or parked
//	events.attempts         {attempt}  subscription: how many a message took until it was handled or parked
type metrics struct {
	published metric.Int64Counter
	settled   metric.Int64Counter
	duration  metric.Float64Histogram
	age       metric.Float64Histogram
	attempts  metric.Int64Histogram
}

func newMetrics(provider metric.MeterProvider, log *slog.Logger) *metrics {
	meter := provider.Meter(scope)
	var m metrics
	errs := make([]error, 5)
	m.published, errs[0] = meter.Int64Counter("events.published", metric.WithUnit("{message}"),
		metric.WithDescription("Messages given to Publish."))
	m.settled, errs[1] = meter.Int64Counter("events.settled", metric.WithUnit("{message}"),
		metric.WithDescription("Deliveries by what became of them."))
	m.duration, errs[2] = meter.Float64Histogram("events.handle.duration", metric.WithUnit("s"),
		metric.WithDescription("Time to handle one run of messages."),
		metric.WithExplicitBucketBoundaries(.001, .005, .01, .05, .1, .5, 1, 5, 10, 30, 60, 120))
	m.age, errs[3] = meter.Float64Histogram("events.age", metric.WithUnit("s"),
		metric.WithDescription("Time from the event to its being handled or parked."),
		metric.WithExplicitBucketBoundaries(.005, .01, .05, .1, .5, 1, 5, 10, 60, 600, 3600, 86400))
	m.attempts, errs[4] = meter.Int64Histogram("events.attempts", metric.WithUnit("{attempt}"),
		metric.WithDescription("Attempts that a message took until it was handled or parked."),
		metric.WithExplicitBucketBoundaries(1, 2, 3, 5, 10, 20))
	if err := errors.Join(errs...); err != nil { // the instruments still work, as no-ops
		log.Error("events: metrics are incomplete", "error", err)
	}
	return &m
}

func (m *metrics) publish(ctx context.Context, topic Topic, count int, err error) {
	outcome := "accepted"
	switch {
	case errors.Is(err, ErrInvalid):
		outcome = "invalid"
	case err != nil:
		outcome = "failed"
	}
	m.published.Add(ctx, int64(count), metric.WithAttributeSet(attribute.NewSet(
		attribute.String("topic", topic.Name), attribute.String("outcome", outcome))))
}

// measured counts what became of each message of a run and how long it took.
func (b *Bus) measured(sub Subscription, next stage) stage {
	labels := metric.WithAttributeSet(attribute.NewSet(attribute.String("subscription", sub.Name)))
	settled := map[kind]metric.MeasurementOption{}
	for _, k := range kinds {
		settled[k] = metric.WithAttributeSet(attribute.NewSet(
			attribute.String("subscription", sub.Name), attribute.String("outcome", string(k))))
	}
	return func(ctx context.Context, run []Message) []outcome {
		start := time.Now()
		outcomes := next(ctx, run)
		b.metrics.duration.Record(ctx, time.Since(start).Seconds(), labels)
		for i, o := range outcomes {
			b.metrics.settled.Add(ctx, 1, settled[o.kind])
			if o.verdict.Done {
				b.metrics.age.Record(ctx, max(0, time.Since(run[i].Time).Seconds()), labels)
				b.metrics.attempts.Record(ctx, int64(run[i].Attempt), labels)
			}
		}
		return outcomes
	}
}
