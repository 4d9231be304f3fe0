package shadow_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"vibesdk-gcp/internal/shadow"
)

// results are the counts by result.
func results(t *testing.T, reader sdk.Reader) map[string]int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			for _, point := range m.Data.(metricdata.Sum[int64]).DataPoints {
				result, _ := point.Attributes.Value("result")
				got[result.AsString()] += point.Value
			}
		}
	}
	return got
}

func TestChecksAreBoundedAndNeverWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reader := sdk.NewManualReader()
		var log bytes.Buffer
		r := shadow.New(shadow.Options{
			Name: "test.parity", Ratio: 1, Most: 2, Timeout: time.Second, MeterProvider: sdk.NewMeterProvider(sdk.WithReader(reader)),
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // the caller is gone before the check begins
		start := time.Now()
		for range 5 {
			r.Go(ctx, func(ctx context.Context) (shadow.Result, []any) {
				<-ctx.Done()
				if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
					t.Errorf("the check ended with %v", ctx.Err())
				}
				return shadow.Failed, []any{"why", "late"}
			})
		}
		if time.Since(start) != 0 {
			t.Errorf("the caller waited %s", time.Since(start))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		r.Go(t.Context(), func(context.Context) (shadow.Result, []any) { panic("secret contents") })
		synctest.Wait()
		r.Go(t.Context(), func(context.Context) (shadow.Result, []any) { return shadow.Same, nil })
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.Go(t.Context(), func(context.Context) (shadow.Result, []any) { t.Error("after Close"); return shadow.Same, nil })
		synctest.Wait()
		got := results(t, reader)
		if got["failed"] != 2 || got["skipped"] != 3 || got["panicked"] != 1 || got["same"] != 1 {
			t.Errorf("results %v", got)
		}
		if lines := strings.Count(log.String(), "\n"); lines != 2 || !strings.Contains(log.String(), "unsaid=1") || strings.Contains(log.String(), "secret") {
			t.Errorf("%d lines are logged, want one for the two that failed at once and one for the panic:\n%s", lines, log.String())
		}
	})
}

func TestSample(t *testing.T) {
	t.Parallel()
	for ratio, want := range map[float64][2]int{0: {0, 0}, 0.25: {150, 350}, 1: {1000, 1000}} {
		reader := sdk.NewManualReader()
		r := shadow.New(shadow.Options{Name: "test.sample", Ratio: ratio, Most: 1000, MeterProvider: sdk.NewMeterProvider(sdk.WithReader(reader))})
		for range 1000 {
			r.Go(t.Context(), func(context.Context) (shadow.Result, []any) { return shadow.Same, nil })
		}
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := results(t, reader)["same"]; got < int64(want[0]) || got > int64(want[1]) {
			t.Errorf("of 1000 calls %d were looked at with ratio %v, want %v", got, ratio, want)
		}
	}
}
