package obs_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"vibesdk-gcp/internal/obs"
)

// collector is an OTLP receiver over HTTP.
type collector struct {
	*httptest.Server
	mu             sync.Mutex
	spans, metrics []string
	services       map[string]bool
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{services: map[string]bool{}}
	receive := func(message proto.Message, take func()) http.HandlerFunc {
		return func(_ http.ResponseWriter, r *http.Request) {
			c.mu.Lock()
			defer c.mu.Unlock()
			body, err := io.ReadAll(r.Body)
			if err == nil {
				err = proto.Unmarshal(body, message)
			}
			if err != nil {
				t.Errorf("%s: %v", r.URL.Path, err)
				return
			}
			take()
		}
	}
	mux := http.NewServeMux()
	var spans collectortrace.ExportTraceServiceRequest
	mux.HandleFunc("POST /v1/traces", receive(&spans, func() {
		for _, of := range spans.GetResourceSpans() {
			for _, a := range of.GetResource().GetAttributes() {
				c.services[a.GetKey()+"="+a.GetValue().GetStringValue()] = true
			}
			for _, scope := range of.GetScopeSpans() {
				for _, span := range scope.GetSpans() {
					c.spans = append(c.spans, span.GetName())
				}
			}
		}
	}))
	var figures collectormetrics.ExportMetricsServiceRequest
	mux.HandleFunc("POST /v1/metrics", receive(&figures, func() {
		for _, of := range figures.GetResourceMetrics() {
			for _, scope := range of.GetScopeMetrics() {
				for _, m := range scope.GetMetrics() {
					c.metrics = append(c.metrics, m.GetName())
				}
			}
		}
	}))
	c.Server = httptest.NewServer(mux)
	t.Cleanup(c.Close)
	return c
}

func TestSpansAndMetricsAreExported(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		ratio float64
		spans int
	}{{"all", 1, 1}, {"none", 0, 0}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			to := newCollector(t)
			telemetry, err := obs.NewTelemetry(t.Context(), obs.TelemetryOptions{
				Endpoint: to.URL + "/", SampleRatio: c.ratio, Service: "vibed", Instance: "one",
			})
			if err != nil {
				t.Fatal(err)
			}
			_, span := telemetry.Tracer.Tracer("test").Start(t.Context(), "a span")
			span.End()
			counter, err := telemetry.Meter.Meter("test").Int64Counter("things.done")
			if err != nil {
				t.Fatal(err)
			}
			counter.Add(t.Context(), 1)
			if err := telemetry.Close(t.Context()); err != nil {
				t.Fatalf("Close: %v", err)
			}
			if len(to.spans) != c.spans || len(to.metrics) != 1 || to.metrics[0] != "things.done" {
				t.Errorf("the collector got the spans %q and the metrics %q", to.spans, to.metrics)
			}
			if c.spans > 0 && (!to.services["service.name=vibed"] || !to.services["service.instance.id=one"]) {
				t.Errorf("the resource is %v", to.services)
			}
		})
	}
}

func TestACollectorThatIsAwayHoldsNothingUp(t *testing.T) {
	t.Parallel()
	to := newCollector(t)
	to.Close()
	telemetry, err := obs.NewTelemetry(t.Context(), obs.TelemetryOptions{Endpoint: to.URL, SampleRatio: 1})
	if err != nil {
		t.Fatalf("a program does not start without its collector: %v", err)
	}
	for range 10_000 {
		_, span := telemetry.Tracer.Tracer("test").Start(t.Context(), "lost")
		span.End()
	}
	closed := make(chan struct{})
	go func() {
		_ = telemetry.Close(t.Context()) // it may say that the collector is away
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(time.Minute):
		t.Error("Close hangs without a collector")
	}
}
