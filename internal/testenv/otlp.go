package testenv

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Collector receives OpenTelemetry data as a collector does: OTLP over HTTP, in protobuf. It is safe for concurrent use.
type Collector struct {
	// URL is its base address.
	URL string
	// Close ends it before the test does.
	Close func()

	mu        sync.Mutex
	spans     []Span
	metrics   []string
	resources map[string]string
}

// Span is what a collector got of one span. Ids are hexadecimal.
type Span struct {
	Name, TraceID, ID, Parent string
	// Links are the ids of the spans that it is linked to.
	Links      []string
	Attributes map[string]string
}

// NewCollector starts a collector on a free port.
func NewCollector(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{resources: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(_ http.ResponseWriter, r *http.Request) {
		var request collectortrace.ExportTraceServiceRequest
		if err := decode(r, &request); err != nil {
			t.Errorf("collector: traces: %v", err)
			return
		}
		c.takeSpans(&request)
	})
	mux.HandleFunc("POST /v1/metrics", func(_ http.ResponseWriter, r *http.Request) {
		var request collectormetrics.ExportMetricsServiceRequest
		if err := decode(r, &request); err != nil {
			t.Errorf("collector: metrics: %v", err)
			return
		}
		c.takeMetrics(&request)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c.URL, c.Close = server.URL, server.Close
	return c
}

func decode(r *http.Request, into proto.Message) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	return proto.Unmarshal(body, into)
}

func (c *Collector) takeSpans(request *collectortrace.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range request.GetResourceSpans() {
		for _, a := range of.GetResource().GetAttributes() {
			c.resources[a.GetKey()] = a.GetValue().GetStringValue()
		}
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				span := Span{
					Name: s.GetName(), TraceID: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()),
					Parent: hex.EncodeToString(s.GetParentSpanId()), Attributes: map[string]string{},
				}
				for _, l := range s.GetLinks() {
					span.Links = append(span.Links, hex.EncodeToString(l.GetSpanId()))
				}
				for _, a := range s.GetAttributes() {
					span.Attributes[a.GetKey()] = a.GetValue().GetStringValue()
				}
				c.spans = append(c.spans, span)
			}
		}
	}
}

func (c *Collector) takeMetrics(request *collectormetrics.ExportMetricsServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range request.GetResourceMetrics() {
		for _, scope := range of.GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				c.metrics = append(c.metrics, m.GetName())
			}
		}
	}
}

// Spans returns what came so far, in the order of their ends.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// Metrics returns the names of the metrics that came so far.
func (c *Collector) Metrics() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.metrics)
}

// Resource returns an attribute of who sent spans.
func (c *Collector) Resource(key string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resources[key]
}
