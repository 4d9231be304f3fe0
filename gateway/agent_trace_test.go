package gateway_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"vibesdk-gcp/gateway"
)

// spansNamed waits for spans of a name that are a child of parent.
func spansNamed(t *testing.T, exporter *tracetest.InMemoryExporter, name string, parent trace.SpanContext) tracetest.SpanStub {
	t.Helper()
	for deadline := time.Now().Add(agentDeadline); ; time.Sleep(5 * time.Millisecond) {
		spans := exporter.GetSpans()
		if i := slices.IndexFunc(spans, func(s tracetest.SpanStub) bool {
			return s.Name == name && s.SpanContext.TraceID() == parent.TraceID() && s.Parent.SpanID() == parent.SpanID()
		}); i >= 0 {
			return spans[i]
		}
		if time.Now().After(deadline) {
			t.Fatalf("no span %q below %s; there are %+v", name, parent.SpanID(), spans)
		}
	}
}

// TestBroadcastsAreTraced: a broadcast is a part of the trace of the mutation that it shows, over HTTP and from a client, once for all
// connections, and only when that trace is sampled.
func TestBroadcastsAreTraced(t *testing.T) {
	t.Parallel()
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter), sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())))
	l := startLive(t, func(o *gateway.Options) { o.TracerProvider = provider })
	a, b := l.agent(t, "/agents/c/x?_pk=a"), l.agent(t, "/agents/c/x?_pk=b")

	request := func(parent, body string) {
		t.Helper()
		l.applied(t, http.MethodPut, "/v1/sessions/c%2Fx/state", body, with("Traceparent", parent))
		a.want(t, state(body))
		b.want(t, state(body))
	}
	const sampled, silent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203332-00"
	request(silent, `{"n":1}`)
	request(sampled, `{"n":2}`)
	caller := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(t.Context(), propagation.MapCarrier{"traceparent": sampled}))
	received := spansNamed(t, exporter, "PUT /v1/sessions/{id}/state", caller)
	span := spansNamed(t, exporter, "broadcast session", received.SpanContext)
	if !slices.Contains(span.Attributes, attribute.Int("agent.connections", 2)) || !slices.Contains(span.Attributes, attribute.Int("agent.mutations", 1)) {
		t.Errorf("the span has %v", span.Attributes)
	}

	a.send(t, call("1", "setState", `[{"n":3}]`))
	a.want(t, state(`{"n":3}`), result("1", ""))
	b.want(t, state(`{"n":3}`))
	var mutation tracetest.SpanStub
	for _, s := range exporter.GetSpans() {
		if s.Name == "agent mutation" {
			mutation = s
		}
	}
	if !mutation.SpanContext.IsValid() || mutation.Parent.IsValid() {
		t.Fatalf("the client's mutation has no span of its own: %+v", exporter.GetSpans())
	}
	spansNamed(t, exporter, "broadcast session", mutation.SpanContext)

	broadcasts := 0
	for _, s := range exporter.GetSpans() {
		if s.Name == "broadcast session" {
			broadcasts++
		}
	}
	if broadcasts != 2 {
		t.Errorf("%d broadcasts have a span, want 2", broadcasts)
	}
}
