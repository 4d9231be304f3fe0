package ratelimit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"vibesdk-gcp/platform/ratelimit"
)

// breakable is a Memory that stops answering when told to.
type breakable struct {
	*ratelimit.Memory
	broken atomic.Bool
	hangs  atomic.Bool
}

func (b *breakable) fail(ctx context.Context) error {
	if b.hangs.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if b.broken.Load() {
		return errors.New("connection refused")
	}
	return nil
}

func (b *breakable) Take(ctx context.Context, now time.Time, items []ratelimit.Item, dry bool) ([]ratelimit.Answer, error) {
	if err := b.fail(ctx); err != nil {
		return nil, err
	}
	return b.Memory.Take(ctx, now, items, dry)
}

func (b *breakable) Adjust(ctx context.Context, now time.Time, a ratelimit.Adjustment) error {
	if err := b.fail(ctx); err != nil {
		return err
	}
	return b.Memory.Adjust(ctx, now, a)
}

var limits = map[string]ratelimit.Limit{
	"loose":  {Config: ratelimit.Config{Limit: 3, Period: 60}},
	"strict": {Config: ratelimit.Config{Limit: 3, Period: 60}, OnFailure: ratelimit.Closed},
	"never":  {Config: ratelimit.Config{Limit: 0, Period: 60}},
}

var start = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func newLimiter(t *testing.T, o ratelimit.Options) (*ratelimit.Limiter, *breakable) {
	t.Helper()
	b := &breakable{Memory: ratelimit.NewMemory(ratelimit.MemoryOptions{})}
	o.Limits = limits
	if o.Now == nil {
		o.Now = func() time.Time { return start }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	l, err := ratelimit.New(b, o)
	if err != nil {
		t.Fatal(err)
	}
	return l, b
}

func TestOpenLimitIsGuardedInAnOutage(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	l, b := newLimiter(t, ratelimit.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	b.broken.Store(true)
	for i := range 10 {
		r, err := l.Increment(t.Context(), "loose", "user:1", 1)
		if err != nil || !r.Degraded || r.Success != (i < 3) {
			t.Fatalf("charge %d in the outage: %+v, %v, want three admitted by the guard", i, r, err)
		}
	}
	b.broken.Store(false)
	if r, err := l.Increment(t.Context(), "loose", "user:1", 1); err != nil || r.Degraded || !r.Success || r.RemainingLimit != 2 {
		t.Errorf("after the outage: %+v, %v, want the backend's own count", r, err)
	}
	if n := strings.Count(log.String(), "\n"); n != 2 || strings.Contains(log.String(), "user:1") {
		t.Errorf("an outage of ten calls logged %d lines, want its begin and its end:\n%s", n, log.String())
	}
}

func TestClosedLimitRejectsInAnOutage(t *testing.T) {
	t.Parallel()
	l, b := newLimiter(t, ratelimit.Options{})
	b.broken.Store(true)
	for _, charges := range [][]ratelimit.Charge{
		{{Limit: "strict", Identifier: "u", N: 1}},
		{{Limit: "loose", Identifier: "u", N: 1}, {Limit: "strict", Identifier: "u", N: 1}},
	} {
		if r, err := l.Take(t.Context(), charges...); !errors.Is(err, ratelimit.ErrUnavailable) || ratelimit.Admitted(r) {
			t.Errorf("%v: %+v, %v, want ErrUnavailable", charges, r, err)
		}
	}
	if r, err := l.Increment(t.Context(), "loose", "u", 1); err != nil || r.RemainingLimit != 2 {
		t.Errorf("%+v, %v: the refused call must not have charged the guard", r, err)
	}
}

func TestDeadlineBoundsTheBackend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, b := newLimiter(t, ratelimit.Options{Deadline: 50 * time.Millisecond})
		b.hangs.Store(true)
		begin := time.Now()
		r, err := l.Increment(t.Context(), "loose", "u", 1)
		if took := time.Since(begin); err != nil || !r.Degraded || !r.Success || took != 50*time.Millisecond {
			t.Errorf("%+v, %v after %s, want the guard's answer after 50ms", r, err, took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		begin = time.Now()
		if _, err := l.Increment(ctx, "loose", "u", 1); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 10*time.Millisecond {
			t.Errorf("the caller's own deadline gave %v after %s", err, time.Since(begin))
		}
	})
}

func TestGuardKeepsABoundedNumberOfKeys(t *testing.T) {
	t.Parallel()
	l, b := newLimiter(t, ratelimit.Options{GuardKeys: 10})
	b.broken.Store(true)
	used := func(user int) bool {
		r, err := l.Remaining(t.Context(), "loose", fmt.Sprint("user:", user))
		if err != nil {
			t.Fatal(err)
		}
		return r < 3
	}
	for user := range 25 {
		if _, err := l.Increment(t.Context(), "loose", fmt.Sprint("user:", user), 3); err != nil {
			t.Fatal(err)
		}
	}
	for user := range 25 {
		if used(user) != (user >= 15) {
			t.Errorf("user %d: remembered %v, want only the last ten", user, used(user))
		}
	}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		broken bool
	}{{"by the backend", false}, {"by the guard", true}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			now := start
			l, b := newLimiter(t, ratelimit.Options{Now: func() time.Time { return now }})
			b.broken.Store(test.broken)
			want := func(remaining float64, why string) {
				t.Helper()
				if got, err := l.Remaining(t.Context(), "loose", "u"); err != nil || math.Abs(got-remaining) > 1e-9 {
					t.Errorf("%v remain, %v, want %v: %s", got, err, remaining, why)
				}
			}
			r, _, err := l.Reserve(t.Context(), "", ratelimit.Charge{Limit: "loose", Identifier: "u", N: 2})
			if err != nil || r.ID == "" || r.Guard != test.broken {
				t.Fatalf("Reserve: %+v, %v", r, err)
			}
			now = now.Add(30 * time.Second)
			want(1, "it was reserved")
			written, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			r = ratelimit.Reservation{}
			if err := json.Unmarshal(written, &r); err != nil {
				t.Fatal(err)
			}
			for _, actual := range []float64{0.5, 0.5, 3} {
				if err := l.Settle(t.Context(), r, actual); err != nil {
					t.Fatal(err)
				}
			}
			want(2.5, "the first settlement counts")
			second, _, err := l.Reserve(t.Context(), "mine", ratelimit.Charge{Limit: "loose", Identifier: "u", N: 2})
			if err != nil || second.ID != "mine" {
				t.Fatal(second, err)
			}
			if err := l.Refund(t.Context(), second); err != nil {
				t.Fatal(err)
			}
			want(2.5, "it was refunded")
			third, _, err := l.Reserve(t.Context(), "", ratelimit.Charge{Limit: "loose", Identifier: "u", N: 1}, ratelimit.Charge{Limit: "loose", Identifier: "other", N: 1})
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Settle(t.Context(), third, 0.25, 2); err != nil {
				t.Fatal(err)
			}
			want(2.25, "each charge has its own cost")
			if left, err := l.Remaining(t.Context(), "loose", "other"); err != nil || left != 1 {
				t.Errorf("%v remain of the second charge's key, %v, want 1", left, err)
			}
			now = now.Add(40 * time.Second)
			want(2.75, "the settled charge left with its own bucket")
		})
	}
}

func TestSettleRefuses(t *testing.T) {
	t.Parallel()
	l, b := newLimiter(t, ratelimit.Options{})
	good, _, err := l.Reserve(t.Context(), "id", ratelimit.Charge{Limit: "loose", Identifier: "u", N: 2})
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(*ratelimit.Reservation)) ratelimit.Reservation {
		r := good
		r.Charges = append([]ratelimit.Reserved{}, good.Charges...)
		f(&r)
		return r
	}
	for name, r := range map[string]ratelimit.Reservation{
		"other size": change(func(r *ratelimit.Reservation) { r.Charges[0].Size = 1 }),
		"bucket":     change(func(r *ratelimit.Reservation) { r.Charges[0].Bucket = -1 }),
		"no id":      change(func(r *ratelimit.Reservation) { r.ID = "" }),
		"long id":    change(func(r *ratelimit.Reservation) { r.ID = strings.Repeat("i", 129) }),
		"overflow":   change(func(r *ratelimit.Reservation) { r.Charges[0].Bucket = 1 << 60 }),
		"cost":       change(func(r *ratelimit.Reservation) { r.Charges[0].N = -1e300 }),
		"control":    change(func(r *ratelimit.Reservation) { r.ID = "a\x00" }),
		"second":     change(func(r *ratelimit.Reservation) { r.Charges = append(r.Charges, ratelimit.Reserved{Limit: "loose"}) }),
		"many": change(func(r *ratelimit.Reservation) {
			for len(r.Charges) <= ratelimit.MaxItems {
				r.Charges = append(r.Charges, r.Charges[0])
			}
		}),
	} {
		if err := l.Refund(t.Context(), r); !errors.Is(err, ratelimit.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	for _, costs := range [][]float64{{math.NaN()}, {1e10}, {}, {1, 1}} {
		if err := l.Settle(t.Context(), good, costs...); !errors.Is(err, ratelimit.ErrInvalid) {
			t.Errorf("costs %v: %v", costs, err)
		}
	}
	if left, err := l.Remaining(t.Context(), "loose", "u"); err != nil || left != 1 {
		t.Errorf("%v remain, %v, want 1: what is refused changes nothing", left, err)
	}
	for _, id := range []string{"a\n", "\xff", strings.Repeat("i", 129)} {
		if _, _, err := l.Reserve(t.Context(), id, ratelimit.Charge{Limit: "loose", Identifier: "u", N: 1}); !errors.Is(err, ratelimit.ErrInvalid) {
			t.Errorf("id %q: %v, want ErrInvalid before anything is charged", id, err)
		}
	}
	b.broken.Store(true)
	if err := l.Refund(t.Context(), good); !errors.Is(err, ratelimit.ErrUnavailable) {
		t.Errorf("in an outage: %v, want ErrUnavailable", err)
	}
	b.broken.Store(false)
	if err := l.Refund(t.Context(), good); err != nil {
		t.Error(err)
	}
	if left, err := l.Remaining(t.Context(), "loose", "u"); err != nil || left != 3 {
		t.Errorf("%v remain, %v, want 3: a settlement that failed can be tried again", left, err)
	}
	rejected, results, err := l.Reserve(t.Context(), "", ratelimit.Charge{Limit: "never", Identifier: "u", N: 1})
	if err != nil || ratelimit.Admitted(results) || results[0].RetryAfter != ratelimit.Never {
		t.Errorf("a limit of 0: %+v, %v", results, err)
	}
	if err := l.Settle(t.Context(), rejected, 5); err != nil {
		t.Errorf("settling what was rejected: %v", err)
	}
}

func TestLimiterRefuses(t *testing.T) {
	t.Parallel()
	l, _ := newLimiter(t, ratelimit.Options{})
	for name, test := range map[string]struct {
		charge ratelimit.Charge
		want   error
	}{
		"unknown":       {ratelimit.Charge{Limit: "nothing", Identifier: "u", N: 1}, ratelimit.ErrUnknownLimit},
		"no identifier": {ratelimit.Charge{Limit: "loose", N: 1}, ratelimit.ErrInvalid},
		"NaN":           {ratelimit.Charge{Limit: "loose", Identifier: "u", N: math.NaN()}, ratelimit.ErrInvalid},
		"long":          {ratelimit.Charge{Limit: "loose", Identifier: strings.Repeat("u", 500), N: 1}, ratelimit.ErrInvalid},
	} {
		if _, err := l.Take(t.Context(), test.charge); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	if _, err := l.Take(t.Context()); !errors.Is(err, ratelimit.ErrInvalid) {
		t.Errorf("no charge: %v", err)
	}
	if err := l.Reset(t.Context(), "no name", "u"); !errors.Is(err, ratelimit.ErrInvalid) {
		t.Errorf("Reset of what cannot be a limit: %v", err)
	}
	if _, err := ratelimit.New(openMemory(t), ratelimit.Options{Deadline: time.Microsecond}); !errors.Is(err, ratelimit.ErrInvalid) {
		t.Errorf("a deadline of 1µs: %v", err)
	}
}

func TestLimiterChecksResetsAndSweeps(t *testing.T) {
	t.Parallel()
	now := start
	l, _ := newLimiter(t, ratelimit.Options{Now: func() time.Time { return now }})
	both := []ratelimit.Charge{{Limit: "loose", Identifier: "u", N: 3}, {Limit: "strict", Identifier: "u", N: 1}}
	for range 3 {
		if r, err := l.Check(t.Context(), both...); err != nil || !ratelimit.Admitted(r) {
			t.Fatalf("Check: %+v, %v", r, err)
		}
	}
	if r, err := l.Take(t.Context(), both...); err != nil || !ratelimit.Admitted(r) {
		t.Fatalf("Take: %+v, %v", r, err)
	}
	now = now.Add(20 * time.Second)
	r, err := l.Take(t.Context(), both...)
	if err != nil || ratelimit.Admitted(r) || r[0].RetryAfter != 50*time.Second || !r[1].Success || r[1].RetryAfter != 0 {
		t.Errorf("Take at the limit: %+v, %v, want a retry after 50s and only the first rejected", r, err)
	}
	if err := l.Reset(t.Context(), "loose", "u"); err != nil {
		t.Fatal(err)
	}
	if left, err := l.Remaining(t.Context(), "loose", "u"); err != nil || left != 3 {
		t.Errorf("after Reset %v remain, %v", left, err)
	}
	now = now.Add(1000 * time.Hour)
	if n, err := l.Sweep(t.Context()); err != nil || n == 0 {
		t.Errorf("Sweep freed %d, %v", n, err)
	}
}

func TestOwnClockNeverGoesBack(t *testing.T) {
	t.Parallel()
	now := start.Add(time.Hour)
	b := ratelimit.NewMemory(ratelimit.MemoryOptions{Now: func() time.Time { return now }})
	rule, err := ratelimit.Config{Limit: 3, Period: 60}.Rule()
	if err != nil {
		t.Fatal(err)
	}
	items := []ratelimit.Item{{Key: "k", Rule: rule, N: 1}}
	for i := range 4 {
		a, err := b.Take(t.Context(), time.Time{}, items, false)
		if err != nil || (a[0].Exceeded != "") != (i == 3) || a[0].Now != start.Add(time.Hour).UnixMilli() {
			t.Errorf("charge %d: %+v, %v, want three admitted at the latest time seen", i, a, err)
		}
		now = now.Add(-time.Minute)
	}
}

func TestDecisionsAreCounted(t *testing.T) {
	t.Parallel()
	reader := metric.NewManualReader()
	l, b := newLimiter(t, ratelimit.Options{Meter: metric.NewMeterProvider(metric.WithReader(reader))})
	for range 4 {
		_, _ = l.Increment(t.Context(), "loose", "u", 1)
	}
	b.broken.Store(true)
	for range 5 {
		_, _ = l.Increment(t.Context(), "loose", "u", 1)
	}
	_, _ = l.Increment(t.Context(), "strict", "u", 1)
	for _, limit := range []string{"loose", "strict"} { // questions are no charges
		_, _ = l.Check(t.Context(), ratelimit.Charge{Limit: limit, Identifier: "u", N: 1})
	}
	var got metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int64{}
	for _, m := range got.ScopeMetrics[0].Metrics {
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok {
			for _, point := range sum.DataPoints {
				limit, _ := point.Attributes.Value("limit")
				outcome, _ := point.Attributes.Value("outcome")
				counts[limit.AsString()+" "+outcome.AsString()] = point.Value
			}
		}
	}
	want := map[string]int64{"loose admitted": 3, "loose rejected": 1, "loose guard_admitted": 3, "loose guard_rejected": 2, "strict closed": 1}
	if fmt.Sprint(counts) != fmt.Sprint(want) {
		t.Errorf("counted %v, want %v", counts, want)
	}
}

func TestChargesBringTheirConfiguration(t *testing.T) {
	t.Parallel()
	now := start
	l, _ := newLimiter(t, ratelimit.Options{Now: func() time.Time { return now }})
	given := ratelimit.Charge{Limit: "notConfigured", Identifier: "u", N: 1, Config: &ratelimit.Config{Limit: 2, Period: 60}}
	reservation, results, err := l.Reserve(t.Context(), "", given)
	if err != nil || !ratelimit.Admitted(results) || results[0].RemainingLimit != 1 {
		t.Fatalf("first: %+v, %v", results, err)
	}
	if err := l.Settle(t.Context(), reservation, 2); err != nil {
		t.Fatal(err)
	}
	if results, err = l.Take(t.Context(), given); err != nil || ratelimit.Admitted(results) {
		t.Errorf("after 2 of 2: %+v, %v", results, err)
	}
	given.Config = &ratelimit.Config{Limit: 5, Period: 60}
	if left, _, err := l.RemainingOf(t.Context(), given); err != nil || left != 3 {
		t.Errorf("under another configuration of the same name %v remain, %v; want 3", left, err)
	}
	if err := l.Reset(t.Context(), "notConfigured", "u"); err != nil {
		t.Error(err)
	}
	if left, _, err := l.RemainingOf(t.Context(), given); err != nil || left != 5 {
		t.Errorf("after a reset %v remain, %v; want 5", left, err)
	}
	given.Config = &ratelimit.Config{Limit: 5}
	if _, err := l.Take(t.Context(), given); !errors.Is(err, ratelimit.ErrInvalid) || !strings.Contains(err.Error(), "period") {
		t.Errorf("without a period: %v", err)
	}
}
