package gateway

import (
	"fmt"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// measure counts requests by route and status. The label sets are closed: a route is a pattern of the table, never
// a path.
func measure(provider metric.MeterProvider, next http.Handler) (http.Handler, error) {
	duration, err := provider.Meter("vibesdk-gcp/gateway").Float64Histogram("gateway.request.duration",
		metric.WithUnit("s"),
		metric.WithDescription("Time until a request was answered, streams included."),
		metric.WithExplicitBucketBoundaries(0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60))
	if err != nil {
		return nil, fmt.Errorf("gateway metrics: %w", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(seen, r)
		route := r.Pattern
		if route == "" {
			route = "refused"
		}
		duration.Record(r.Context(), time.Since(start).Seconds(), metric.WithAttributes(
			attribute.String("route", route), attribute.Int("status", seen.status)))
	}), nil
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter

	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap gives http.ResponseController what is below.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
