package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

// Options tune [New]. Limits must be given; the rest may be zero.
type Options struct {
	// Limits by name; see [PresetS], [PresetH] and [Override].
	Limits map[string]Limit
	// Deadline bounds each call to the backend. Defaults to 50 ms; at least 1 ms.
	Deadline time.Duration
	// Now is the clock. Nil means the backend's own, which all processes share.
	Now func() time.Time
	// GuardKeys bounds the keys of the guard that decides in an outage. Defaults to 10,000.
	GuardKeys int
	// Meter defaults to otel's global provider.
	Meter metric.MeterProvider
	// Logger gets outages, once when one begins and once when it ends. Defaults to slog.Default().
	Logger *slog.Logger
}

// Limiter is the rate limits as the rest of the program holds them. It is safe for concurrent use.
type Limiter struct {
	backend  Backend
	limits   map[string]named
	deadline time.Duration
	now      func() time.Time
	guard    *Memory
	outage   *outage
	metrics  *metrics
}

// Charge is one of the limits that a call is charged to.
type Charge struct {
	// Limit is its name, Identifier who is charged: `user:<id>`, `ip:<address>`.
	Limit, Identifier string
	// N is the cost, 0 to charge nothing but a decision; it may be negative.
	N float64
	// Config, when set, counts instead of the configuration of that name, and the name need not be configured. Counts are kept by
	// name and identifier, whatever the configuration.
	Config *Config
}

// New returns a Limiter over a backend, which stays the caller's to close. ErrInvalid names the faulty limit and field.
func New(b Backend, o Options) (*Limiter, error) {
	limits, err := rules(o.Limits)
	if err != nil {
		return nil, err
	}
	if o.Deadline == 0 {
		o.Deadline = 50 * time.Millisecond
	}
	if o.Deadline < time.Millisecond {
		return nil, fmt.Errorf("%w: deadline must be at least 1ms", ErrInvalid)
	}
	if o.Now == nil {
		o.Now = func() time.Time { return time.Time{} }
	}
	if o.Meter == nil {
		o.Meter = otel.GetMeterProvider()
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Limiter{
		backend: b, limits: limits, deadline: o.Deadline, now: o.Now,
		guard:  NewMemory(MemoryOptions{Keys: o.GuardKeys}),
		outage: &outage{log: o.Logger}, metrics: newMetrics(o.Meter, o.Logger),
	}, nil
}

// Increment charges one limit. See [Limiter.Take].
func (l *Limiter) Increment(ctx context.Context, limit, identifier string, n float64) (Result, error) {
	results, err := l.Take(ctx, Charge{Limit: limit, Identifier: identifier, N: n})
	if len(results) == 0 {
		return Result{}, err
	}
	return results[0], err
}

// Take charges all limits, or none when one of them rejects; [Admitted] reads the results, which are in the order of the charges. At
// most MaxItems charges, each of another key.
//
// An outage is no error while all limits are [Open]: the guard decides and the results are Degraded. If one is
// [Closed] the error is ErrUnavailable. Other errors are ErrUnknownLimit, ErrInvalid and ErrApart, and that of ctx when it ended.
func (l *Limiter) Take(ctx context.Context, charges ...Charge) ([]Result, error) {
	_, results, err := l.take(ctx, charges, false)
	return results, err
}

// Check decides like Take and charges nothing.
func (l *Limiter) Check(ctx context.Context, charges ...Charge) ([]Result, error) {
	_, results, err := l.take(ctx, charges, true)
	return results, err
}

// Admitted reports whether every result is a success.
func Admitted(results []Result) bool {
	for _, r := range results {
		if !r.Success {
			return false
		}
	}
	return len(results) > 0
}

// Remaining is what a limit still admits, at least 0; the burst window has no part in it. Errors are those of Take.
func (l *Limiter) Remaining(ctx context.Context, limit, identifier string) (float64, error) {
	left, _, err := l.RemainingOf(ctx, Charge{Limit: limit, Identifier: identifier})
	return left, err
}

// RemainingOf is Remaining under the configuration of a charge, whose N does not matter. Degraded says that the
// backend was down and the guard of this process answered.
func (l *Limiter) RemainingOf(ctx context.Context, c Charge) (left float64, degraded bool, err error) {
	c.N = 0
	t, _, err := l.take(ctx, []Charge{c}, true)
	if err != nil {
		return 0, false, err
	}
	return t.items[0].Rule.Remaining(t.answers[0]), t.degraded, nil
}

// Reset forgets what was charged to a limit for exactly this identifier. The limit need not be configured.
func (l *Limiter) Reset(ctx context.Context, limit, identifier string) error {
	if !ValidName(limit) {
		return errLimitName
	}
	key := Key(limit, identifier)
	if err := ValidateKey(key); err != nil {
		return err
	}
	_ = l.guard.Reset(context.WithoutCancel(ctx), key) // fails for an ended context only
	within, cancel := context.WithTimeout(ctx, l.deadline)
	defer cancel()
	return l.backend.Reset(within, key)
}

// Sweep lets the backend forget what no window reaches any more, and returns how many stored rows that freed. It
// takes what time it needs.
func (l *Limiter) Sweep(ctx context.Context) (int, error) {
	if _, err := l.guard.Sweep(ctx, time.Time{}); err != nil {
		return 0, err
	}
	return l.backend.Sweep(ctx, l.now())
}

// taken is a call that was decided, by the guard when degraded.
type taken struct {
	items    []Item
	answers  []Answer
	degraded bool
}

func (l *Limiter) take(ctx context.Context, charges []Charge, dry bool) (taken, []Result, error) {
	now := l.now()
	items, open, err := l.items(charges)
	if err == nil {
		err = Check(now, items)
	}
	if err != nil {
		return taken{}, nil, err
	}
	t := taken{items: items}
	within, cancel := context.WithTimeout(ctx, l.deadline)
	start := time.Now()
	t.answers, err = l.backend.Take(within, now, items, dry)
	cancel()
	l.metrics.waited(ctx, time.Since(start))
	switch {
	case err == nil:
		l.outage.ended()
	case ctx.Err() != nil:
		return taken{}, nil, ctx.Err() // the caller left, which says nothing about the backend
	case errors.Is(err, ErrInvalid), errors.Is(err, ErrApart):
		return taken{}, nil, err
	default:
		l.outage.began(err)
		if !open {
			if !dry {
				l.metrics.counted(ctx, charges, "closed")
			}
			return taken{}, nil, unavailable(err)
		}
		t.degraded = true
		if t.answers, err = l.guard.Take(ctx, now, items, dry); err != nil {
			return taken{}, nil, err
		}
	}
	results := make([]Result, len(items))
	for i, item := range items {
		results[i] = item.Rule.Result(item.N, t.answers[i])
		results[i].Degraded = t.degraded
	}
	if !dry {
		l.metrics.decided(ctx, charges, results)
	}
	return t, results, nil
}

// items words charges for the backend. open is whether all of them may be decided by the guard.
func (l *Limiter) items(charges []Charge) (items []Item, open bool, err error) {
	open = true
	items = make([]Item, len(charges))
	for i, c := range charges {
		limit, err := l.limit(c.Limit, c.Config)
		if err != nil {
			return nil, false, err
		}
		if c.Identifier == "" {
			return nil, false, fmt.Errorf("%w: identifier is empty", ErrInvalid)
		}
		items[i] = Item{Key: Key(c.Limit, c.Identifier), Rule: limit.rule, N: c.N}
		open = open && limit.open
	}
	return items, open, nil
}

// limit finds a limit by name, or makes one from the configuration given with a charge.
func (l *Limiter) limit(name string, given *Config) (named, error) {
	limit, ok := l.limits[name]
	switch {
	case given == nil && !ok:
		return named{}, fmt.Errorf("%w: %q", ErrUnknownLimit, name)
	case given == nil:
		return limit, nil
	case !ValidName(name):
		return named{}, errLimitName
	}
	rule, err := given.Rule()
	return named{rule: rule, open: !ok || limit.open}, err
}

// ConfigOf returns what a charge is counted under, and false when its limit is not configured and brings nothing.
func (l *Limiter) ConfigOf(c Charge) (Config, bool) {
	if c.Config != nil {
		return *c.Config, true
	}
	limit, ok := l.limits[c.Limit]
	return limit.rule.Config, ok
}

// Limits returns the configured limits by name. The map is the caller's.
func (l *Limiter) Limits() map[string]Limit {
	limits := make(map[string]Limit, len(l.limits))
	for name, limit := range l.limits {
		onFailure := Closed
		if limit.open {
			onFailure = Open
		}
		limits[name] = Limit{Config: limit.rule.Config, OnFailure: onFailure}
	}
	return limits
}

func unavailable(err error) error {
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
