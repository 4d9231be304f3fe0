package sqlbus_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/sqlbus"
)

func TestGaugesShowWhatWaits(t *testing.T) {
	t.Parallel()
	topic := events.Topic{Name: "things", Type: "thing.v1"}
	db := open(t, "sqlite:"+filepath.Join(t.TempDir(), "bus.db"))
	reader := sdkmetric.NewManualReader()
	d, err := sqlbus.New(t.Context(), db, sqlbus.Options{
		Subscriptions: []events.Subscription{{Name: "first", Topic: topic}, {Name: "second", Topic: topic}},
		MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
	})
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	t.Cleanup(func() {
		if !closed {
			_ = d.Close()
		}
	})
	if err := d.Publish(t.Context(), topic, []events.Message{{ID: "a"}, {ID: "b"}}); err != nil {
		t.Fatal(err)
	}

	waiting, aged := gauges(t, reader)
	want := map[string]int64{
		"first ready": 2, "first delayed": 0, "first leased": 0, "second ready": 2, "second delayed": 0, "second leased": 0,
	}
	if diff := cmp.Diff(want, waiting); diff != "" {
		t.Errorf("events.waiting (-want +got):\n%s", diff)
	}
	if len(aged) != 2 || aged["first"] <= 0 || aged["second"] <= 0 {
		t.Errorf("events.oldest.age = %v, want some for both", aged)
	}

	closed = true
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if waiting, _ := gauges(t, reader); len(waiting) > 0 {
		t.Errorf("a closed bus still reports %v", waiting)
	}
}

func gauges(t *testing.T, reader *sdkmetric.ManualReader) (waiting map[string]int64, aged map[string]float64) {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	waiting, aged = map[string]int64{}, map[string]float64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					sub, _ := p.Attributes.Value("subscription")
					state, _ := p.Attributes.Value("state")
					waiting[sub.AsString()+" "+state.AsString()] = p.Value
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					sub, _ := p.Attributes.Value("subscription")
					aged[sub.AsString()] = p.Value
				}
			}
		}
	}
	return waiting, aged
}
