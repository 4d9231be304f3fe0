package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
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
	for deadline := time.Now().Add(agentDeadline); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		spans := exporter.GetSpans()
		if i := slices.IndexFunc(spans, func(s tracetest.SpanStub) bool {
			return s.Name == name && s.SpanContext.TraceID() == parent.TraceID() && (!parent.SpanID().IsValid() || s.Parent.SpanID() == parent.SpanID())
		}); i >= 0 {
			return spans[i]
		}
	}
	t.Fatalf("no span %q below %s; there are %+v", name, parent.SpanID(), exporter.GetSpans())
	panic("unreachable")
}

// TestBroadcastsAreTraced: a broadcast is a part of the trace of the mutation that it shows, over HTTP and from a client, once for all
// connections, and only when that trace is sampled.
func TestBroadcastsAreTraced(t *testing.T) {
	t.Parallel()
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter), sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())))
	l := startLive(t, func(o *gateway.Options) { o.Agents.TracerProvider = provider })
	a, b := l.agent(t, "/agents/c/x?_pk=a"), l.agent(t, "/agents/c/x?_pk=b")

	// The caller's trace, as the server around the gateway reads it.
	traced := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.gateway.ServeHTTP(w, r.WithContext(propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))))
	}))
	defer traced.Close()
	request := func(parent, body string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, traced.URL+"/v1/sessions/c%2Fx/state", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Traceparent", parent)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("the write got %s", resp.Status)
		}
		a.want(t, state(body))
		b.want(t, state(body))
	}
	const sampled, silent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203332-00"
	parentOf := func(header string) trace.SpanContext {
		return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(t.Context(), propagation.MapCarrier{"traceparent": header}))
	}
	request(silent, `{"n":1}`)
	request(sampled, `{"n":2}`)
	span := spansNamed(t, exporter, "broadcast session", parentOf(sampled))
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
