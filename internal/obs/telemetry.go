package obs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// TelemetryOptions say where spans and metrics go. The zero value keeps metrics for scrapes and exports no span.
type TelemetryOptions struct {
	// Endpoint is the base URL of an OTLP collector over HTTP, like http://127.0.0.1:4318; /v1/traces and /v1/metrics are below it.
	// Empty exports nothing.
	Endpoint string
	// SampleRatio is the share of new traces that are exported, 0 to 1. A trace that began elsewhere keeps what was decided there.
	SampleRatio float64
	// Service and Instance name the program and this process of it.
	Service, Instance string
}

// Telemetry holds the providers of one program. Nothing is global, so two programs in one process (tests) do not mix.
type Telemetry struct {
	// Meter collects what Metrics shows and what is exported.
	Meter metric.MeterProvider
	// Tracer makes spans whose ids travel with messages and requests; they tie log lines of several processes together also where
	// no span is exported.
	Tracer trace.TracerProvider
	// Exports reports whether spans are sent to a collector.
	Exports bool
	// Metrics answers a Prometheus scrape, with the figures of the Go runtime and of the process.
	Metrics http.Handler

	gather prometheus.Gatherer
	meter  *sdkmetric.MeterProvider
	tracer *sdktrace.TracerProvider
}

// NewTelemetry returns the providers. Close them with [Telemetry.Close]. It does not wait for the collector: what one that is away
// misses is dropped, and nothing else suffers.
func NewTelemetry(ctx context.Context, o TelemetryOptions) (*Telemetry, error) {
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	scrape, err := otelprom.New(otelprom.WithRegisterer(registry), otelprom.WithoutScopeInfo(), otelprom.WithoutTargetInfo())
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	about := resource.NewSchemaless(attribute.String("service.name", o.Service), attribute.String("service.instance.id", o.Instance))
	meters := []sdkmetric.Option{sdkmetric.WithReader(scrape), sdkmetric.WithResource(about)}
	tracers := []sdktrace.TracerProviderOption{sdktrace.WithResource(about)}
	if o.Endpoint == "" { // spans of others' traces go on, our own would be recorded for nobody
		tracers = append(tracers, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())))
	} else {
		base := strings.TrimSuffix(o.Endpoint, "/")
		spans, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(base+"/v1/traces"))
		if err != nil {
			return nil, fmt.Errorf("traces: %w", err)
		}
		figures, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(base+"/v1/metrics"))
		if err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
		tracers = append(tracers, sdktrace.WithBatcher(spans), sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(o.SampleRatio))))
		meters = append(meters, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(figures)))
	}
	meter := sdkmetric.NewMeterProvider(meters...)
	tracer := sdktrace.NewTracerProvider(tracers...)
	return &Telemetry{
		Meter:   meter,
		Tracer:  tracer,
		Exports: o.Endpoint != "",
		Metrics: promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
		gather:  registry,
		meter:   meter,
		tracer:  tracer,
	}, nil
}

// Close sends what was not exported yet, for as long as ctx lasts, and releases the providers. Nil is closed already.
func (t *Telemetry) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return errors.Join(t.meter.Shutdown(ctx), t.tracer.Shutdown(ctx))
}
