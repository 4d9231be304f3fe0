package gateway

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
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
	tracer := g.TracerProvider.Tracer("vibesdk-gcp/gateway")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		c := &call{}
		path := r.URL.EscapedPath()
		ctx, span := traced(r, tracer)
		r = r.WithContext(context.WithValue(ctx, callKey{}, c))
		seen := &answerWriter{ResponseWriter: w, control: http.NewResponseController(w), timeout: g.AnswerTimeout}
		defer func() {
			// What is buffered goes out after this, when the server has read what is left of the body.
			seen.timeout += g.BodyPace.Grace
			seen.extend()
			took := time.Since(start)
			status := seen.logged(r)
			describeSpan(span, r, c, path, status)
			span.End()
			duration.Record(ctx, took.Seconds(), metric.WithAttributes(
				attribute.String("route", c.pattern()), attribute.Int("status", status)))
			g.access(r, c, path, status, seen.written, took)
		}()
		next.ServeHTTP(seen, paced(r, seen.control, g.BodyPace))
	}), nil
}

// traced begins the span of a request, a child of its caller's by the W3C headers. Health checks and connections that stay open have
// none: the first say nothing and the second never end. What follows belongs to their caller's trace all the same, or to a new one.
func traced(r *http.Request, tracer trace.Tracer) (context.Context, trace.Span) {
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	if !probe(r) && r.URL.Path != "/metrics" && r.Header.Get("Upgrade") == "" {
		inside, span := tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer))
		if span.SpanContext().IsValid() {
			return inside, span
		}
	}
	none := trace.SpanFromContext(context.Background())
	if trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, none
	}
	var id [24]byte
	_, _ = rand.Read(id[:]) // it never fails
	return trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID(id[:16]), SpanID: trace.SpanID(id[16:]),
	})), none
}

// describeSpan says of a request what is known once it was answered, by OpenTelemetry's names for HTTP. The path is in it; queries and
// bodies are not, since they may carry secrets.
func describeSpan(span trace.Span, r *http.Request, c *call, path string, status int) {
	if !span.IsRecording() {
		return
	}
	if c.route != nil {
		span.SetName(c.pattern())
		span.SetAttributes(attribute.String("http.route", c.route.path))
	}
	span.SetAttributes(attribute.String("http.request.method", cut(r.Method)), attribute.String("url.path", cut(path)),
		attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, http.StatusText(status))
	}
}
