package obs_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"vibesdk-gcp/internal/obs"
)

// counted is a program that counts, and the history of what it counts.
type counted struct {
	*obs.History

	done  metric.Int64Counter
	depth metric.Int64Gauge
	took  metric.Float64Histogram
	now   time.Time
}

func newCounted(t *testing.T, keep int) *counted {
	t.Helper()
	telemetry, err := obs.NewTelemetry(t.Context(), obs.TelemetryOptions{Service: "test", Instance: "1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = telemetry.Close(context.Background()) })
	c := &counted{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	meter := telemetry.Meter.Meter("test")
	var errs [3]error
	c.done, errs[0] = meter.Int64Counter("done", metric.WithUnit("{message}"))
	c.depth, errs[1] = meter.Int64Gauge("depth")
	c.took, errs[2] = meter.Float64Histogram("took", metric.WithUnit("s"))
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	c.History = telemetry.NewHistory(obs.HistoryOptions{
		Keep: keep, Now: func() time.Time { return c.now },
		Figures: []obs.Figure{
			{Name: "done", Family: "done_total", By: "outcome", Where: map[string]string{"side": "left"}, Rate: true},
			{Name: "depth", Family: "depth"}, {Name: "calls", Family: "took_seconds", Rate: true}, {Name: "none", Family: "none"},
		},
	})
	return c
}

func (c *counted) do(outcome, side string, n int64) {
	c.done.Add(context.Background(), n, metric.WithAttributes(attribute.String("outcome", outcome), attribute.String("side", side)))
}

func (c *counted) after(d time.Duration) {
	c.now = c.now.Add(d)
	c.Sample()
}

func TestHistoryOfRatesAndGauges(t *testing.T) {
	t.Parallel()
	c := newCounted(t, 100)
	nan := math.NaN()
	begin := c.now
	c.do("good", "left", 5)
	c.after(0)
	c.do("good", "left", 20)
	c.do("good", "right", 1000)
	c.do("bad", "left", 10)
	c.depth.Record(t.Context(), 7)
	c.took.Record(t.Context(), .1)
	c.after(10 * time.Second)
	c.depth.Record(t.Context(), 3)
	c.after(5 * time.Second)

	times := []time.Time{begin, begin.Add(10 * time.Second), begin.Add(15 * time.Second)}
	for name, want := range map[string][]obs.Line{
		// A counter that appears was at 0 before.
		"done":  {{Label: "bad", Points: []float64{nan, 1, 0}}, {Label: "good", Points: []float64{nan, 2, 0}}},
		"depth": {{Points: []float64{nan, 7, 3}}},
		"calls": {{Points: []float64{nan, .1, 0}}},
		"none":  nil,
	} {
		if diff := cmp.Diff(obs.Chart{Times: times, Lines: want}, c.Chart(name), cmpopts.EquateNaNs()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff(obs.Chart{}, c.Chart("unheard of")); diff != "" {
		t.Error(diff)
	}
	latest := c.Latest()
	if latest["done"]["good"] != 25 || latest["depth"][""] != 3 || latest["calls"][""] != 1 || len(latest["none"]) != 0 {
		t.Errorf("latest: %v", latest)
	}
	if n := len(c.Chart("depth").Times); n != 3 {
		t.Errorf("to look at the latest took a sample: there are %d", n)
	}
}

func TestHistoryForgetsTheOldest(t *testing.T) {
	t.Parallel()
	c := newCounted(t, 3)
	for n := range int64(5) {
		c.depth.Record(t.Context(), n)
		c.after(10 * time.Second)
	}
	chart := c.Chart("depth")
	if diff := cmp.Diff([]float64{2, 3, 4}, chart.Lines[0].Points); diff != "" || len(chart.Times) != 3 {
		t.Errorf("%d times, %s", len(chart.Times), diff)
	}
	if c.Window() != 30*time.Second {
		t.Errorf("the window is %s", c.Window())
	}
}

func TestHistoryRunsUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCounted(t, 100)
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		if err := c.Run(ctx); err != nil {
			t.Error(err)
		}
		if n := len(c.Chart("depth").Times); n != 3 { // at 0, 10 and 20 s
			t.Errorf("%d samples in 25 s, want 3", n)
		}
	})
}
