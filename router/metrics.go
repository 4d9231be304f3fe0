package router

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// metrics are the instruments of a Router. Their labels are closed sets: site is sandbox or app, class the first digit of the status,
// as 2xx. Requests for hosts that are nobody's are not counted.
//
//	router.answers          {answer}  site, class: answers, the router's own as well
//	router.answer.duration  s         site, class: from a request to the head of its answer, so that streams and WebSockets count like pages;
//	                                  of requests in the fast lane the first of a connection and every sixteenth after it
//
// The lane measures a sample because a measurement takes a fiftieth of the time that a request there does, and counting nearly none.
type metrics struct {
	counts   [appSite + 1][statusClasses]atomic.Int64
	duration metric.Float64Histogram
	// labels are made once: making them costs more than counting.
	labels [appSite + 1][statusClasses]metric.MeasurementOption
}

const (
	statusClasses = 6 // 0xx, which is no status, to 5xx
	// measureEvery is of how many requests on a connection of the lane one is measured.
	measureEvery = 16
)

func newMetrics(p metric.MeterProvider) (*metrics, error) {
	if p == nil {
		p = noop.NewMeterProvider()
	}
	m := &metrics{}
	for kind := range m.labels {
		for class := range m.labels[kind] {
			m.labels[kind][class] = metric.WithAttributeSet(attribute.NewSet(
				attribute.String("site", site(kind).String()), attribute.String("class", fmt.Sprintf("%dxx", class))))
		}
	}
	meter := p.Meter("vibesdk-gcp/router")
	_, err := meter.Int64ObservableCounter("router.answers", metric.WithUnit("{answer}"),
		metric.WithDescription("Answers to requests for previews and apps."), metric.WithInt64Callback(m.observe))
	var failed error
	m.duration, failed = meter.Float64Histogram("router.answer.duration", metric.WithUnit("s"),
		metric.WithDescription("Time from a request for a preview or an app to the head of its answer."),
		metric.WithExplicitBucketBoundaries(.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300))
	return m, errors.Join(err, failed)
}

func (m *metrics) observe(_ context.Context, o metric.Int64Observer) error {
	for kind := range m.counts {
		for class := range m.counts[kind] {
			if n := m.counts[kind][class].Load(); n > 0 {
				o.Observe(n, m.labels[kind][class])
			}
		}
	}
	return nil
}

// answered counts an answer by its status. One that began at the zero time is not measured.
func (m *metrics) answered(kind site, status int, begun time.Time) {
	class := min(max(status/100, 0), statusClasses-1)
	m.counts[kind][class].Add(1)
	if !begun.IsZero() {
		m.duration.Record(context.Background(), time.Since(begun).Seconds(), m.labels[kind][class])
	}
}
