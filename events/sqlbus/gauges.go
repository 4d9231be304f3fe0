package sqlbus

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// gaugeTimeout bounds what a scrape waits for the database; without an answer the gauges have no point in it.
const gaugeTimeout = 2 * time.Second

// observe makes the gauges of what waits. Each process reports what the whole database holds.
//
//	events.waiting     {message}  subscription, state: ready, delayed, leased
//	events.oldest.age  s          subscription: since the oldest that waits was published; 0 without any
func (d *Driver) observe(provider metric.MeterProvider) (metric.Registration, error) {
	meter := provider.Meter("vibesdk-gcp/events/sqlbus")
	waiting, err1 := meter.Int64ObservableGauge("events.waiting", metric.WithUnit("{message}"),
		metric.WithDescription("Messages that a subscription holds."))
	oldest, err2 := meter.Float64ObservableGauge("events.oldest.age", metric.WithUnit("s"),
		metric.WithDescription("How long ago the oldest message that a subscription holds was published."))
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		ctx, cancel := context.WithTimeout(ctx, gaugeTimeout)
		defer cancel()
		stats, err := d.Stats(ctx)
		if err != nil {
			return err
		}
		for _, s := range stats {
			sub := attribute.String("subscription", s.Subscription)
			for state, n := range map[string]int64{"ready": s.Ready, "delayed": s.Delayed, "leased": s.Leased} {
				o.ObserveInt64(waiting, n, metric.WithAttributes(sub, attribute.String("state", state)))
			}
			o.ObserveFloat64(oldest, s.Oldest.Seconds(), metric.WithAttributes(sub))
		}
		return nil
	}, waiting, oldest)
}
