package sandbox_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"vibesdk-gcp/platform/sandbox"
)

// book keeps one record, which is what the instruments of moves need.
type book struct {
	sandbox.RecordDriver // nothing else is called

	record sandbox.Record
	counts map[sandbox.State]int
	failed error
}

func (b *book) Create(_ context.Context, r sandbox.Record, _ sandbox.Spec) error {
	b.record = r
	return b.failed
}

func (b *book) Load(context.Context, string) (sandbox.Record, error) { return b.record, nil }

func (b *book) Save(_ context.Context, r sandbox.Record) error {
	if b.failed == nil {
		b.record = r
		b.record.Version++
	}
	return b.failed
}

func (b *book) Count(context.Context) (map[sandbox.State]int, error) { return b.counts, b.failed }

func TestMovesAreMeasured(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	b := &book{}
	records := sandbox.NewRecords(b)
	begun := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	now := begun
	records.Now = func() time.Time { return now }
	if err := records.Measure(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))); err != nil {
		t.Fatal(err)
	}
	record := sandbox.Record{
		ID: sandbox.IDFor("r"), RequestID: "r", Fingerprint: "f", ProjectName: "p", State: sandbox.Requested, Fence: 1,
		Token: sandbox.NewToken(), ControlToken: sandbox.NewControlToken(), TTL: time.Hour, Idle: time.Minute,
		CreatedAt: begun, PhaseDeadline: begun.Add(time.Minute), ExpiresAt: begun.Add(time.Hour),
	}
	spec := sandbox.Spec{ProjectName: "p", StaticDir: ".", Source: sandbox.Source{Files: []sandbox.File{{Path: "index.html", Data: []byte("x")}}}}
	if err := records.Create(t.Context(), record, spec); err != nil {
		t.Fatal(err)
	}
	move := func(to sandbox.State) {
		t.Helper()
		now = now.Add(2 * time.Second)
		if _, err := records.Update(t.Context(), record.ID, func(r *sandbox.Record) error {
			r.State = to
			if to == sandbox.Ready {
				r.Endpoint = "127.0.0.1:1"
			}
			if to == sandbox.Stopping || to == sandbox.Deleted {
				r.Reason = "asked"
			}
			return nil
		}); err != nil {
			t.Fatalf("to %s: %v", to, err)
		}
	}
	move(sandbox.Building)
	move(sandbox.Building) // nothing changes
	move(sandbox.Starting)
	move(sandbox.Ready)
	move(sandbox.Stopping)
	move(sandbox.Deleted)
	b.counts = map[sandbox.State]int{sandbox.Ready: 3}

	got := collect(t, reader)
	want := map[string]float64{
		"sandbox.moves requested": 1, "sandbox.moves building": 1, "sandbox.moves starting": 1, "sandbox.moves ready": 1,
		"sandbox.moves stopping": 1, "sandbox.moves deleted": 1,
		"sandbox.records requested": 0, "sandbox.records building": 0, "sandbox.records starting": 0, "sandbox.records ready": 3, "sandbox.records stopping": 0,
		"sandbox.ready.duration ": 8, "sandbox.life.duration deleted": 12,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("instruments (-want +got):\n%s", diff)
	}

	// A store that does not answer makes a gap, and nothing else fails with it.
	b.failed = errors.New("away")
	for name := range collect(t, reader) {
		if strings.HasPrefix(name, "sandbox.records") {
			t.Errorf("%s was reported although the store did not answer", name)
		}
	}
	b.failed = nil
	if err := records.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name := range collect(t, reader) {
		if strings.HasPrefix(name, "sandbox.records") {
			t.Errorf("%s was reported after Close", name)
		}
	}
}

// collect sums each instrument by the value of its one label.
func collect(t *testing.T, reader *sdkmetric.ManualReader) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	_ = reader.Collect(t.Context(), &all) // callbacks that fail are what some cases are about
	got := map[string]float64{}
	label := func(set attribute.Set) string {
		for _, kv := range set.ToSlice() {
			return kv.Value.AsString()
		}
		return ""
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					got[m.Name+" "+label(p.Attributes)] += float64(p.Value)
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					got[m.Name+" "+label(p.Attributes)] += float64(p.Value)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					got[m.Name+" "+label(p.Attributes)] += p.Sum
				}
			}
		}
	}
	return got
}
