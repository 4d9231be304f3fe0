package app

import (
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"

	"vibesdk-gcp/internal/obs"
)

// traced makes a span of each request, a child of the caller's by its W3C headers. The path is in it, queries and bodies are not: they
// may carry secrets. Health checks and connections that stay open have none: the first say nothing and the second never end.
func traced(t *obs.Telemetry, next http.Handler) http.Handler {
	return otelhttp.NewHandler(next, "gateway",
		otelhttp.WithTracerProvider(t.Tracer), otelhttp.WithPropagators(propagation.TraceContext{}),
		otelhttp.WithMeterProvider(noopmetric.NewMeterProvider()), // the gateway has its own figures
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string {
			if r.Pattern != "" {
				return r.Pattern
			}
			return r.Method
		}),
		otelhttp.WithFilter(func(r *http.Request) bool {
			return r.Header.Get("Upgrade") == "" && r.URL.Path != "/healthz" && r.URL.Path != "/readyz" && r.URL.Path != "/metrics"
		}))
}
