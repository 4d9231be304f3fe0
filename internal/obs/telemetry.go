package obs

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Telemetry holds the providers of one program. Nothing is global, so two programs in one process (tests) do not mix.
type Telemetry struct {
	// Meter collects what Metrics shows.
	Meter metric.MeterProvider
	// Tracer makes spans whose ids travel with messages and requests. Spans are not exported anywhere yet; their ids
	// tie log lines of several processes together.
	Tracer trace.TracerProvider
	// Metrics answers a Prometheus scrape, with the figures of the Go runtime and of the process.
	Metrics http.Handler

	meter  *sdkmetric.MeterProvider
	tracer *sdktrace.TracerProvider
}

// NewTelemetry returns the providers. Close them with [Telemetry.Close].
func NewTelemetry() (*Telemetry, error) {
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	exporter, err := otelprom.New(otelprom.WithRegisterer(registry), otelprom.WithoutScopeInfo(), otelprom.WithoutTargetInfo())
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))
	tracer := sdktrace.NewTracerProvider()
	return &Telemetry{
		Meter:   meter,
		Tracer:  tracer,
		Metrics: promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
		meter:   meter,
		tracer:  tracer,
	}, nil
}

// Close releases the providers. Nil is closed already.
func (t *Telemetry) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return errors.Join(t.meter.Shutdown(ctx), t.tracer.Shutdown(ctx))
}
