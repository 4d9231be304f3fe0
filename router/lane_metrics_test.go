//go:build linux

package router_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"vibesdk-gcp/router"
)

// TestTheLaneMeasuresASample of what it answers on one connection, and counts all.
func TestTheLaneMeasuresASample(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	w := newWorld(t, func(http.ResponseWriter, *http.Request) {}, func(o *router.Options) {
		o.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	})
	transport := &http.Transport{MaxConnsPerHost: 1}
	t.Cleanup(transport.CloseIdleConnections)
	for range 40 {
		res, err := transport.RoundTrip(w.request(http.MethodGet, "shop.localhost", "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		wantAnswer(t, res, 200, "")
		_ = res.Body.Close()
	}
	want := map[string]uint64{"router.answers app 2xx": 40, "router.answer.duration app 2xx": 3}
	if w.lane == nil {
		want["router.answer.duration app 2xx"] = 40
	}
	if diff := cmp.Diff(want, measured(t, reader)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
