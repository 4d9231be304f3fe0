package sandbox

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// countTimeout bounds what a scrape waits for the store; without an answer the gauge has no point in it.
const countTimeout = 2 * time.Second

// recordMetrics are the instruments of records. Their labels are closed sets: states.
//
//	sandbox.records         {sandbox} state: how many there are that have not ended; each process reports what the store holds
//	sandbox.moves           {move}    state: how often a record came to it, through this process
//	sandbox.ready.duration  s         from the request to the first generation's preview
//	sandbox.life.duration   s         state: from the request to the end, as deleted or failed
type recordMetrics struct {
	moves metric.Int64Counter
	ready metric.Float64Histogram
	life  metric.Float64Histogram

	gauge metric.Registration
}

// Measure makes the instruments. Call it before the first other call; [Records.Close] unregisters them.
func (rs *Records) Measure(provider metric.MeterProvider) error {
	meter := provider.Meter("vibesdk-gcp/platform/sandbox")
	var m recordMetrics
	var errs [5]error
	m.moves, errs[0] = meter.Int64Counter("sandbox.moves", metric.WithUnit("{move}"),
		metric.WithDescription("Sandboxes that came to a state."))
	m.ready, errs[1] = meter.Float64Histogram("sandbox.ready.duration", metric.WithUnit("s"),
		metric.WithDescription("Time from the request for a sandbox to its preview."),
		metric.WithExplicitBucketBoundaries(.05, .1, .25, .5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600))
	m.life, errs[2] = meter.Float64Histogram("sandbox.life.duration", metric.WithUnit("s"),
		metric.WithDescription("Time from the request for a sandbox to its end."),
		metric.WithExplicitBucketBoundaries(1, 10, 60, 300, 600, 1800, 3600, 4*3600, 24*3600))
	records, err := meter.Int64ObservableGauge("sandbox.records", metric.WithUnit("{sandbox}"),
		metric.WithDescription("Sandboxes that have not ended."))
	errs[3] = err
	m.gauge, errs[4] = meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		ctx, cancel := context.WithTimeout(ctx, countTimeout)
		defer cancel()
		counts, err := rs.driver.Count(ctx)
		if err != nil {
			return err
		}
		for _, state := range []State{Requested, Building, Starting, Ready, Stopping} {
			o.ObserveInt64(records, int64(counts[state]), metric.WithAttributes(attribute.String("state", string(state))))
		}
		return nil
	}, records)
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	rs.metrics = &m
	return nil
}

// moved counts a move that was stored.
func (m *recordMetrics) moved(ctx context.Context, from, to Record) {
	if m == nil || from.State == to.State && from.Fence == to.Fence {
		return
	}
	state := metric.WithAttributes(attribute.String("state", string(to.State)))
	m.moves.Add(ctx, 1, state)
	switch {
	case to.State == Ready && to.Fence == 1:
		m.ready.Record(ctx, to.ReadyAt.Sub(to.CreatedAt).Seconds())
	case to.State.Terminal():
		m.life.Record(ctx, to.EndedAt.Sub(to.CreatedAt).Seconds(), state)
	}
}

func (m *recordMetrics) close() error {
	if m == nil || m.gauge == nil {
		return nil
	}
	return m.gauge.Unregister()
}
