package app

import (
	"net/url"
	"strconv"
	"time"
)

// TelemetryConfig is about traces, metrics and what notices that work stands still.
type TelemetryConfig struct {
	// Endpoint is the base URL of an OpenTelemetry collector (OTLP over HTTP), which then gets spans and metrics.
	// OTEL_EXPORTER_OTLP_ENDPOINT. Defaults to none; /metrics answers Prometheus in any case.
	Endpoint string
	// SampleRatio is the share of new traces that are exported. OTEL_TRACES_SAMPLER_ARG. Defaults to 1.
	SampleRatio float64
	// Project is the Google Cloud project whose traces log lines in JSON point to. GOOGLE_CLOUD_PROJECT. Defaults to none.
	Project string
	// StallExit is how long a handler may ignore its deadline before the program ends, to be started again. STALL_EXIT. Defaults to 10m;
	// 0s means never.
	StallExit time.Duration
}

func (r *reader) telemetry() TelemetryConfig {
	c := TelemetryConfig{
		Endpoint:    r.text("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
		SampleRatio: parsed(r, "OTEL_TRACES_SAMPLER_ARG", "1", func(s string) (float64, error) { return strconv.ParseFloat(s, 64) }),
		Project:     r.text("GOOGLE_CLOUD_PROJECT", ""),
		StallExit:   r.duration("STALL_EXIT", 10*time.Minute, 0, 24*time.Hour),
	}
	if !(c.SampleRatio >= 0 && c.SampleRatio <= 1) { // NaN too
		r.fault("OTEL_TRACES_SAMPLER_ARG", "%v is not from 0 to 1", c.SampleRatio)
	}
	if u, err := url.Parse(c.Endpoint); c.Endpoint != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "") {
		r.fault("OTEL_EXPORTER_OTLP_ENDPOINT", "must be like http://127.0.0.1:4318")
	}
	return c
}
