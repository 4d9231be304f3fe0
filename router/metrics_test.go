package router_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

	got := map[string]uint64{}
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			for _, point := range m.Data.(metricdata.Histogram[float64]).DataPoints {
				site, _ := point.Attributes.Value("site")
				class, _ := point.Attributes.Value("class")
				got[m.Name+" "+site.AsString()+" "+class.AsString()] += point.Count
			}
		}
	}
	want := map[string]uint64{
		"router.answer.duration sandbox 1xx": 1, "router.answer.duration sandbox 2xx": 3, "router.answer.duration sandbox 3xx": 1,
		"router.answer.duration sandbox 4xx": 2, "router.answer.duration sandbox 5xx": 1,
		"router.answer.duration app 2xx": 1, "router.answer.duration app 4xx": 2, "router.answer.duration app 5xx": 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
