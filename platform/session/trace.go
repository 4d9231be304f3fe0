package session

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// commitSpan begins the span of one commit: a child of the first caller's, linked to those of the others whose mutations it decides.
// Neither the session's id nor what is stored is in it.
func (s *Store) commitSpan(ctx context.Context, items []*item, d decision) (context.Context, func(error)) {
	parent := trace.SpanContextFromContext(ctx)
	var links []trace.Link
	var last *call
	for _, it := range items {
		if it.call == last {
			continue
		}
		last = it.call
		if other := trace.SpanContextFromContext(it.call.ctx); other.IsValid() && !other.Equal(parent) {
			links = append(links, trace.Link{SpanContext: other})
		}
	}
	ctx, span := s.tracer.Start(ctx, "commit session", trace.WithSpanKind(trace.SpanKindClient), trace.WithLinks(links...),
		trace.WithAttributes(
			attribute.Int("session.mutations", len(d.entries)),
			attribute.Int64("session.version", d.next.Version),
			attribute.Int64("session.commit", d.next.Commit),
		))
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}
