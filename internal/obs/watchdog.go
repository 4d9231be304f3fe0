package obs

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// ErrStalled is returned by [Watchdog.Run] when something stood still for longer than [WatchdogOptions.GiveUp].
var ErrStalled = errors.New("work under way stands still")

// WatchdogOptions configure a [Watchdog]. Fields without a default are required.
type WatchdogOptions struct {
	Logger        *slog.Logger
	MeterProvider metric.MeterProvider
	// Every is how often the watchdog looks. Defaults to 5 s.
	Every time.Duration
	// GiveUp is how long something may be over its limit before Run returns ErrStalled, so that the program ends and is started
	// again: what ignores its deadline cannot be ended otherwise. 0 means never.
	GiveUp time.Duration
}

// Watchdog notices work that goes on beyond its limit, and a process that gets no time to run. It logs each stall once, with what
// all goroutines do. It is safe for concurrent use; a nil one watches nothing.
//
//	watchdog.stalled  {work}  what: how much is over its limit now
//	watchdog.late     s       how much later than asked the watchdog itself woke up: the machine or the collector held it back
type Watchdog struct {
	o       WatchdogOptions
	stalled metric.Int64Gauge
	late    metric.Float64Histogram

	mu      sync.Mutex
	work    map[*Work]struct{}
	gauges  map[string]struct{} // names that were reported
	dumpDue time.Time           // no stacks are logged before
}

// Work is something under way that a [Watchdog] watches.
type Work struct {
	dog      *Watchdog
	what     string
	detail   string
	since    time.Time
	limit    time.Duration
	reported bool
}

// stacksEvery is how often the stacks of a stall are logged at most: they are long.
const stacksEvery = 10 * time.Minute

// maxStacks bounds logged stacks in bytes; an entry of Cloud Logging has room for 256 KiB.
const maxStacks = 64 << 10

// NewWatchdog returns a watchdog; it watches while [Watchdog.Run] runs.
func NewWatchdog(o WatchdogOptions) (*Watchdog, error) {
	if o.Every <= 0 {
		o.Every = 5 * time.Second
	}
	w := &Watchdog{o: o, work: map[*Work]struct{}{}, gauges: map[string]struct{}{}}
	meter := o.MeterProvider.Meter("vibesdk-gcp/internal/obs")
	var errs [2]error
	w.stalled, errs[0] = meter.Int64Gauge("watchdog.stalled", metric.WithUnit("{work}"),
		metric.WithDescription("Work that is over its limit now."))
	w.late, errs[1] = meter.Float64Histogram("watchdog.late", metric.WithUnit("s"),
		metric.WithDescription("How much later than asked a timer of this process fired."),
		metric.WithExplicitBucketBoundaries(.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30))
	return w, errors.Join(errs[:]...)
}

// Begin notes that work began which must end within limit. what is one of a closed set, for metrics; detail is for the log. Call
// [Work.End] when it ended.
func (w *Watchdog) Begin(what, detail string, limit time.Duration) *Work {
	if w == nil {
		return nil
	}
	work := &Work{dog: w, what: what, detail: detail, since: time.Now(), limit: limit}
	w.mu.Lock()
	w.work[work] = struct{}{}
	w.mu.Unlock()
	return work
}

// End notes that the work ended. Again is nothing.
func (k *Work) End() {
	if k == nil {
		return
	}
	w := k.dog
	w.mu.Lock()
	_, watched := w.work[k]
	delete(w.work, k)
	reported := k.reported && watched
	w.mu.Unlock()
	if reported {
		w.o.Logger.Warn("watchdog: what stood still has ended", "what", k.what, "detail", k.detail, "took", time.Since(k.since))
	}
}

// Run watches until ctx ends, and then returns nil; or until it gives up, with ErrStalled.
func (w *Watchdog) Run(ctx context.Context) error {
	ticker := time.NewTicker(w.o.Every)
	defer ticker.Stop()
	for {
		asked := time.Now()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		// The ticker keeps its own pace, so only what is beyond a whole interval is lateness.
		if late := time.Since(asked) - w.o.Every; late > 0 {
			w.late.Record(ctx, late.Seconds())
		}
		if err := w.look(ctx, time.Now()); err != nil {
			return err
		}
	}
}

// look reports what stands still.
func (w *Watchdog) look(ctx context.Context, now time.Time) error {
	var fresh []*Work
	var longest time.Duration
	w.mu.Lock()
	counts := map[string]int64{}
	for k := range w.work {
		over := now.Sub(k.since) - k.limit
		if over <= 0 {
			continue
		}
		counts[k.what]++
		longest = max(longest, over)
		if !k.reported {
			k.reported = true
			fresh = append(fresh, k)
		}
	}
	for what := range counts {
		w.gauges[what] = struct{}{}
	}
	for what := range w.gauges {
		w.stalled.Record(ctx, counts[what], metric.WithAttributes(attribute.String("what", what)))
	}
	stacks := len(fresh) > 0 && !now.Before(w.dumpDue)
	if stacks {
		w.dumpDue = now.Add(stacksEvery)
	}
	w.mu.Unlock()

	slices.SortFunc(fresh, func(a, b *Work) int { return strings.Compare(a.what+a.detail, b.what+b.detail) })
	for _, k := range fresh {
		w.o.Logger.ErrorContext(ctx, "watchdog: work stands still", "what", k.what, "detail", k.detail,
			"running", now.Sub(k.since), "limit", k.limit)
	}
	if stacks {
		w.o.Logger.ErrorContext(ctx, "watchdog: what all goroutines do", "stacks", allStacks())
	}
	if w.o.GiveUp > 0 && longest > w.o.GiveUp {
		return ErrStalled
	}
	return nil
}

// allStacks shows all goroutines, the ones that wait longest first as the runtime lists them, cut at maxStacks.
func allStacks() string {
	buf := make([]byte, maxStacks)
	return string(buf[:runtime.Stack(buf, true)])
}
