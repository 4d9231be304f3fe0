package gateway

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// observe counts requests by route and status, and writes a line of the access log for each. The label sets are closed: a route is
// a path of the table, never one of a request.
func (g *Gateway) observe(next http.Handler) (http.Handler, error) {
	duration, err := g.MeterProvider.Meter("vibesdk-gcp/gateway").Float64Histogram("gateway.request.duration",
		metric.WithUnit("s"),
		metric.WithDescription("Time until a request was answered, streams included."),
		metric.WithExplicitBucketBoundaries(0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60))
	if err != nil {
		return nil, fmt.Errorf("gateway metrics: %w", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		c := &call{}
		path := r.URL.EscapedPath()
		r = r.WithContext(context.WithValue(traced(r), callKey{}, c))
		seen := &answerWriter{ResponseWriter: w, control: http.NewResponseController(w), timeout: g.AnswerTimeout}
		defer func() {
			// What is buffered goes out after this, when the server has read what is left of the body.
			seen.timeout += g.BodyPace.Grace
			seen.extend()
			took := time.Since(start)
			if c.route != nil { // what was asked for is known only now
				span := trace.SpanFromContext(r.Context())
				span.SetName(c.pattern())
				span.SetAttributes(attribute.String("http.route", c.route.path))
			}
			duration.Record(r.Context(), took.Seconds(), metric.WithAttributes(
				attribute.String("route", c.pattern()), attribute.Int("status", seen.logged(r))))
			g.access(r, c, path, seen, took)
		}()
		next.ServeHTTP(seen, paced(r, seen.control, g.BodyPace))
	}), nil
}

// traced is the context of a request with the trace that is under way here, that its caller began, or a new one.
func traced(r *http.Request) context.Context {
	if trace.SpanContextFromContext(r.Context()).IsValid() {
		return r.Context()
	}
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	if trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	var id [24]byte
	_, _ = rand.Read(id[:]) // it never fails
	return trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID(id[:16]), SpanID: trace.SpanID(id[16:]),
	}))
}
