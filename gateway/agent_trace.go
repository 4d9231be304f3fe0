package gateway

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"vibesdk-gcp/platform/session"
)

func (g *Gateway) agentTracer() trace.Tracer { return g.TracerProvider.Tracer("vibesdk-gcp/gateway") }

// maxFollowed is how many mutations of one session are followed to their broadcast at once.
const maxFollowed = 1024

// follow remembers the trace of a mutation that is about to be published, for the span of the broadcast that shows it. Those that are not
// sampled, and those of sessions without clients here, are not followed. What other processes publish is shown without a span.
// forget is called when it was not published.
func (h *agentHub) follow(ctx context.Context, sessionID, mutationID string) (forget func()) {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsSampled() {
		return func() {}
	}
	s := h.session(sessionID)
	if s == nil {
		return func() {}
	}
	hash := mutationHash(mutationID)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.followSpan(hash, span)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.followed, hash)
	}
}

// followSpan is follow with the lock held.
func (s *agentSession) followSpan(hash uint64, span trace.SpanContext) {
	if !span.IsSampled() || len(s.followed) >= maxFollowed {
		return
	}
	if s.followed == nil {
		s.followed = map[uint64]trace.SpanContext{}
	}
	s.followed[hash] = span
}

// decidedTraces are those of the mutations that a record decides after a commit, with the lock held.
func (s *agentSession) decidedTraces(r *session.Record, after int64) []trace.SpanContext {
	if len(s.followed) == 0 {
		return nil
	}
	var spans []trace.SpanContext
	for _, e := range r.Ring.After(after) {
		if span, ok := s.followed[e.Hash]; ok {
			spans = append(spans, span)
			delete(s.followed, e.Hash)
		}
	}
	return spans
}

// broadcastSpan begins the span of one broadcast: a child of the first mutation that it shows and linked to the others. It has neither the
// session's id nor what is stored, and there is one for all connections, of which it has the number.
func (s *agentSession) broadcastSpan(of []trace.SpanContext) (end func(conns int)) {
	if len(of) == 0 {
		return func(int) {}
	}
	links := make([]trace.Link, 0, len(of)-1)
	for _, other := range of[1:] {
		links = append(links, trace.Link{SpanContext: other})
	}
	_, span := s.hub.g.agentTracer().Start(trace.ContextWithSpanContext(context.Background(), of[0]), "broadcast session",
		trace.WithSpanKind(trace.SpanKindProducer), trace.WithLinks(links...))
	return func(conns int) {
		span.SetAttributes(attribute.Int("agent.connections", conns), attribute.Int("agent.mutations", len(of)))
		span.End()
	}
}

// begin starts the span of a mutation that a client sends, which ends with its outcome. It begins a trace: that of the upgrade, which it is
// linked to, would last as long as the connection.
func (m *agentMutation) begin(ctx context.Context, c *agentConn, kind string) {
	_, span := c.g.agentTracer().Start(ctx, "agent mutation", trace.WithSpanKind(trace.SpanKindServer), trace.WithNewRoot(),
		trace.WithLinks(trace.LinkFromContext(ctx)), trace.WithAttributes(attribute.String("session.mutation.kind", kind)))
	if !span.SpanContext().IsSampled() {
		return
	}
	m.trace = span.SpanContext()
	decided, unpublished := m.decided, m.unpublished
	end := func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, "") // the text may tell what is stored
		}
		span.End()
	}
	m.decided = func(o session.Outcome, r *session.Record) {
		end(o.Err)
		decided(o, r)
	}
	m.unpublished = func(err error) {
		end(err)
		unpublished(err)
	}
}
