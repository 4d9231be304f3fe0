package obs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"vibesdk-gcp/internal/obs"
)

func TestLinesNameTheirTrace(t *testing.T) {
	t.Parallel()
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{0xab, 15: 1}, SpanID: trace.SpanID{0xcd, 7: 2}, TraceFlags: trace.FlagsSampled,
	}))
	var out bytes.Buffer
	line := func(log *slog.Logger, ctx context.Context) map[string]any {
		t.Helper()
		out.Reset()
		log.InfoContext(ctx, "hello", "n", 1)
		var line map[string]any
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatalf("%v: %s", err, out.String())
		}
		return line
	}
	log := obs.NewLogger(&out, obs.LogOptions{Format: obs.JSON, Project: "shop"})

	got := line(log, ctx)
	for key, want := range map[string]any{
		"logging.googleapis.com/trace":         "projects/shop/traces/ab000000000000000000000000000001",
		"logging.googleapis.com/spanId":        "cd00000000000002",
		"logging.googleapis.com/trace_sampled": true,
		"n":                                    float64(1),
	} {
		if got[key] != want {
			t.Errorf("%s = %v, want %v", key, got[key], want)
		}
	}

	// The fields stay at the top, and what loggers were given stays where it was.
	inner := log.With("before", true).WithGroup("g").With("inside", true)
	got = line(inner, ctx)
	group, _ := got["g"].(map[string]any)
	if got["logging.googleapis.com/spanId"] == nil || got["before"] != true || group["inside"] != true || group["n"] != float64(1) {
		t.Errorf("line = %v", got)
	}
	// Two loggers that were made from one do not mix.
	a, b := inner.With("a", 1), inner.With("b", 1)
	if group, _ := line(a, ctx)["g"].(map[string]any); group["a"] == nil || group["b"] != nil {
		t.Errorf("group = %v, want a alone", group)
	}
	if group, _ := line(b, ctx)["g"].(map[string]any); group["b"] == nil || group["a"] != nil {
		t.Errorf("group = %v, want b alone", group)
	}

	got = line(inner, t.Context())
	if group, _ := got["g"].(map[string]any); got["logging.googleapis.com/trace"] != nil || got["before"] != true || group["inside"] != true {
		t.Errorf("a line without a span = %v", got)
	}
	if got := line(obs.NewLogger(&out, obs.LogOptions{Format: obs.JSON}), ctx); got["logging.googleapis.com/trace"] != "ab000000000000000000000000000001" {
		t.Errorf("without a project trace = %v", got["logging.googleapis.com/trace"])
	}
}
