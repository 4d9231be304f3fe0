package obs

import (
	"context"
	"log/slog"
	"slices"

	"go.opentelemetry.io/otel/trace"
)

// The fields by which Cloud Logging ties a line to its trace.
const (
	fieldTrace   = "logging.googleapis.com/trace"
	fieldSpan    = "logging.googleapis.com/spanId"
	fieldSampled = "logging.googleapis.com/trace_sampled"
)

// traceHandler adds the fields at the top of each line whose context has a span, whatever groups the logger has opened: Cloud Logging
// looks nowhere else.
type traceHandler struct {
	root slog.Handler
	// prefix stands before trace ids: projects/<project>/traces/, or nothing, which groups lines all the same.
	prefix string
	// steps are the calls of WithAttrs and WithGroup since root, made again behind the fields.
	steps []func(slog.Handler) slog.Handler
	// plain is root with the steps made, for lines without a span.
	plain slog.Handler
}

func (h *traceHandler) handler() slog.Handler {
	if h.plain != nil {
		return h.plain
	}
	return h.root
}

// Enabled implements slog.Handler.
func (h *traceHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.root.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *traceHandler) Handle(ctx context.Context, r slog.Record) error {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() {
		return h.handler().Handle(ctx, r)
	}
	out := h.root.WithAttrs([]slog.Attr{
		{Key: fieldTrace, Value: slog.StringValue(h.prefix + span.TraceID().String())}, //nolint:sloglint // the name is Cloud Logging's
		{Key: fieldSpan, Value: slog.StringValue(span.SpanID().String())},              //nolint:sloglint // the name is Cloud Logging's
		{Key: fieldSampled, Value: slog.BoolValue(span.IsSampled())},                   //nolint:sloglint // the name is Cloud Logging's
	})
	for _, step := range h.steps {
		out = step(out)
	}
	return out.Handle(ctx, r)
}

func (h *traceHandler) with(step func(slog.Handler) slog.Handler) *traceHandler {
	// The cap keeps two loggers that were made from one from sharing the next place.
	steps := append(slices.Clip(h.steps), step)
	return &traceHandler{root: h.root, prefix: h.prefix, steps: steps, plain: step(h.handler())}
}

// WithAttrs implements slog.Handler.
func (h *traceHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return h.with(func(next slog.Handler) slog.Handler { return next.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (h *traceHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.with(func(next slog.Handler) slog.Handler { return next.WithGroup(name) })
}
