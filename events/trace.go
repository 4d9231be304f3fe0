package events

import (
	"context"
	"maps"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// withTrace adds the W3C trace context of ctx to attributes. Without a valid span they stay what they are: a
// publisher may have set its own.
func withTrace(ctx context.Context, attrs map[string]string) map[string]string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return attrs
	}
	carrier := make(propagation.MapCarrier, len(attrs)+2)
	maps.Copy(carrier, attrs)
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier
}

func (b *Bus) publishSpan(ctx context.Context, topic Topic, count int) (context.Context, func(error)) {
	ctx, span := b.tracer.Start(ctx, "publish "+topic.Name,
		trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(
			attribute.String("messaging.destination.name", topic.Name),
			attribute.Int("messaging.batch.message_count", count),
		))
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}

// traced makes a span for each run, linked to the spans that published its messages.
func (b *Bus) traced(sub Subscription, next stage) stage {
	name := "process " + sub.Name
	return func(ctx context.Context, run []Message) []outcome {
		var links []trace.Link
		for _, m := range run {
			if m.Attributes["traceparent"] == "" {
				continue
			}
			from := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier(m.Attributes))
			if link := trace.LinkFromContext(from); link.SpanContext.IsValid() {
				links = append(links, link)
			}
		}
		ctx, span := b.tracer.Start(ctx, name,
			trace.WithSpanKind(trace.SpanKindConsumer),
			trace.WithLinks(links...),
			trace.WithAttributes(
				attribute.String("messaging.destination.name", sub.Topic.Name),
				attribute.String("messaging.destination.subscription.name", sub.Name),
				attribute.String("messaging.message.id", run[0].ID),
				attribute.Int("messaging.batch.message_count", len(run)),
			))
		defer span.End()
		outcomes := next(ctx, run)
		for _, o := range outcomes {
			if o.kind != handled && o.kind != postponed {
				span.SetStatus(codes.Error, string(o.kind))
			}
			if o.err != nil && o.kind != postponed {
				span.RecordError(o.err)
			}
		}
		return outcomes
	}
}
