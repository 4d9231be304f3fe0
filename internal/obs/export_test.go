package obs_test

import (
	"slices"
	"testing"
	"time"

	"vibesdk-gcp/internal/obs"
	"vibesdk-gcp/internal/testenv"
)

func TestSpansAndMetricsAreExported(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		ratio float64
		spans int
	}{{"all", 1, 1}, {"none", 0, 0}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			to := testenv.NewCollector(t)
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
			if spans := to.Spans(); len(spans) != c.spans {
				t.Errorf("the collector got the spans %v, want %d", spans, c.spans)
			}
			if !slices.Contains(to.Metrics(), "things.done") {
				t.Errorf("the collector got the metrics %q", to.Metrics())
			}
			if c.spans > 0 && (to.Resource("service.name") != "vibed" || to.Resource("service.instance.id") != "one") {
				t.Errorf("the spans come from %q, %q", to.Resource("service.name"), to.Resource("service.instance.id"))
			}
		})
	}
}

func TestACollectorThatIsAwayHoldsNothingUp(t *testing.T) {
	t.Parallel()
	to := testenv.NewCollector(t)
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
