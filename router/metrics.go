package router

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// metrics are the instruments of a Router. Their labels are closed sets: site is sandbox or app, class the first digit of the status,
// as 2xx. Requests for hosts that are nobody's are not counted.
//
//	router.answer.duration  s  site, class: from a request to the head of its answer, so that streams and WebSockets count like pages
type metrics struct {
	answer metric.Float64Histogram
	// labels by site and first digit, made once: making them costs more than counting.
	labels [appSite + 1][6][]metric.RecordOption
}

func newMetrics(p metric.MeterProvider) (m metrics, err error) {
	if p == nil {
		p = noop.NewMeterProvider()
	}
	m.answer, err = p.Meter("vibesdk-gcp/router").Float64Histogram("router.answer.duration", metric.WithUnit("s"),
		metric.WithDescription("Time from a request for a preview or an app to the head of its answer."),
		metric.WithExplicitBucketBoundaries(.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300))
	for kind := range m.labels {
		for digit := range m.labels[kind] {
			set := attribute.NewSet(attribute.String("site", site(kind).String()), attribute.String("class", fmt.Sprintf("%dxx", digit)))
			m.labels[kind][digit] = []metric.RecordOption{metric.WithAttributeSet(set)}
		}
	}
	return m, err
}

// answered counts an answer by its status.
func (m *metrics) answered(kind site, status int, took time.Duration) {
	m.answer.Record(context.Background(), took.Seconds(), m.labels[kind][min(max(status/100, 0), 5)]...)
}
