package router_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/router"
)

// TestAnswersAreMeasured counts every answer of a preview and an app once, whoever gave it, and nothing that is nobody's.
func TestAnswersAreMeasured(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/broken":
			rw.WriteHeader(http.StatusInternalServerError)
		case "/moved":
			http.Redirect(rw, r, "/", http.StatusFound)
		case "/hmr":
			echoWebSocket(rw, r)
		}
	}, func(o *router.Options) {
		o.MeterProvider, o.MaxBody = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), 10
	})
	w.deploy("away", deployment.TargetProcess, "127.0.0.1:1")
	for range 3 {
		wantAnswer(t, w.get(w.previewHost(), "/"), 200, "")
	}
	w.get(w.previewHost(), "/moved")
	w.get(w.previewHost(), "/broken")
	w.get(strings.Replace(w.previewHost(), token, otherKey, 1), "/")
	w.get("nonsense.preview.localhost", "/")
	write(t, dialWebSocket(t, w, w.previewHost(), nil), "x") // its head was answered
	w.get("shop.localhost", "/")
	w.get("shop.localhost", "/broken")
	w.get("none.localhost", "/")
	w.get("away.localhost", "/")
	w.do(w.request(http.MethodPost, "shop.localhost", "/", strings.NewReader("more than ten bytes")))
	w.get("elsewhere.test", "/")

	want := map[string]uint64{}
	for what, n := range map[string]uint64{
		"sandbox 1xx": 1, "sandbox 2xx": 3, "sandbox 3xx": 1, "sandbox 4xx": 2, "sandbox 5xx": 1, "app 2xx": 1, "app 4xx": 2, "app 5xx": 2,
	} {
		want["router.answers "+what], want["router.answer.duration "+what] = n, n // each was the first of its connection
	}
	if diff := cmp.Diff(want, measured(t, reader)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// measured are the counts of all instruments, by name and labels.
func measured(t *testing.T, reader *sdkmetric.ManualReader) map[string]uint64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	add := func(name string, labels attribute.Set, n uint64) {
		site, _ := labels.Value("site")
		class, _ := labels.Value("class")
		got[name+" "+site.AsString()+" "+class.AsString()] += n
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Histogram[float64]:
				for _, point := range data.DataPoints {
					add(m.Name, point.Attributes, point.Count)
				}
			case metricdata.Sum[int64]:
				for _, point := range data.DataPoints {
					add(m.Name, point.Attributes, uint64(point.Value))
				}
			}
		}
	}
	return got
}
