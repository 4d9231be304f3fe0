// Package shadow does work beside an answer that nobody waits for: comparisons with another store, say. It is sampled, bounded
// in number and time, and whatever happens in it is counted and never felt by the caller.
package shadow

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Options tune [New]. Name must be set.
type Options struct {
	// Name is the counter's: {check} by result.
	Name string
	// Ratio is the share of calls that is looked at, 0 to 1.
	Ratio float64
	// Most bounds what runs at once; what comes in addition is counted as skipped. Defaults to 16.
	Most int
	// Timeout bounds each. Defaults to 10 s.
	Timeout time.Duration
	// MeterProvider defaults to otel's global one.
	MeterProvider metric.MeterProvider
	// Logger hears of what is not Same, one line a second at most. Defaults to slog.Default.
	Logger *slog.Logger
	// Now defaults to time.Now.
	Now func() time.Time
}

// Result is how a check ended, in one word of a closed set.
type Result string

// Same is the result that needs no line in the log; Skipped, Failed and Panicked are those of the runner itself.
const (
	Same     Result = "same"
	Skipped  Result = "skipped"
	Failed   Result = "failed"
	panicked Result = "panicked"
)

// Check is the work. Details are for the log: names and numbers, and no contents.
type Check func(ctx context.Context) (result Result, details []any)

// Runner runs checks. It is safe for concurrent use.
type Runner struct {
	o     Options
	count metric.Int64Counter
	slots chan struct{}

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
	// logged is when a line was written last, and unsaid how many were not since.
	logged time.Time
	unsaid int
}

// New returns a Runner.
func New(o Options) *Runner {
	if o.Most <= 0 {
		o.Most = 16
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &Runner{o: o, slots: make(chan struct{}, o.Most)}
	var err error
	r.count, err = o.MeterProvider.Meter("vibesdk-gcp/internal/shadow").Int64Counter(o.Name, metric.WithUnit("{check}"),
		metric.WithDescription("Comparisons beside answers, by how they ended."))
	if err != nil { // it still works, as a no-op
		o.Logger.Error("shadow: metrics are incomplete", "error", err)
	}
	return r
}

// Go has a check done, or not, and returns at once. The check outlives ctx, and has its values.
func (r *Runner) Go(ctx context.Context, check Check) {
	if r.o.Ratio <= 0 || r.o.Ratio < 1 && rand.Float64() >= r.o.Ratio { //nolint:gosec // G404: a sample is no secret
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	select {
	case r.slots <- struct{}{}:
	default:
		r.add(ctx, Skipped)
		return
	}
	ctx = context.WithoutCancel(ctx)
	r.running.Go(func() {
		defer func() { <-r.slots }()
		within, cancel := context.WithTimeout(ctx, r.o.Timeout)
		defer cancel()
		result, details := run(within, check)
		r.add(ctx, result)
		if result != Same {
			r.log(ctx, result, details)
		}
	})
}

func run(ctx context.Context, check Check) (result Result, details []any) {
	defer func() {
		if p := recover(); p != nil {
			result, details = panicked, []any{"panic", fmt.Sprintf("%T", p)} // what it says may be contents
		}
	}()
	return check(ctx)
}

func (r *Runner) add(ctx context.Context, result Result) {
	r.count.Add(ctx, 1, metric.WithAttributes(attribute.String("result", string(result))))
}

func (r *Runner) log(ctx context.Context, result Result, details []any) {
	r.mu.Lock()
	now := r.o.Now()
	if !r.logged.IsZero() && now.Sub(r.logged) < time.Second {
		r.unsaid++
		r.mu.Unlock()
		return
	}
	unsaid := r.unsaid
	r.logged, r.unsaid = now, 0
	r.mu.Unlock()
	r.o.Logger.WarnContext(ctx, "a comparison beside an answer is not the same", append([]any{"check", r.o.Name, "result", string(result), "unsaid", unsaid}, details...)...)
}

// Close refuses further checks and waits for those under way, until ctx ends.
func (r *Runner) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	done := make(chan struct{})
	go func() { r.running.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
