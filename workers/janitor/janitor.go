package janitor

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/schemas"
	"vibesdk-gcp/schemas/gen"
)

// Options are what a [Janitor] works with. A part that is nil is not set up here: ticks for it do nothing.
type Options struct {
	// Records, Runtime, Routes and Publisher are for sandboxes: all or none.
	Records   *sandbox.Records
	Runtime   *sandbox.Runtime
	Routes    *deployment.Table
	Publisher events.Publisher
	// Sessions are swept of what is over. [session.Store] is one.
	Sessions Sessions
	// Wake publishes the runs of a session that are due before the lookahead ends. It needs Sessions.
	Wake func(ctx context.Context, sessionID string) error
	// SweepLimits removes rate-limit counts that nothing asks for any more, a bounded number of them, and returns how many. It
	// is called until it returns 0.
	SweepLimits func(ctx context.Context, now time.Time) (int, error)
	// Letters are the dead letters. [events.LetterBox] is one.
	Letters Letters
	// LetterAge and LetterCount raise the alarm: an open dead letter that is older, more of a subscription than that many. Default
	// to an hour and 100.
	LetterAge   time.Duration
	LetterCount int
	// SweepFiles removes uploads and payloads that are older, or counts them in a dry run, and returns how many. It keeps each
	// kind of file at least as long as that kind needs.
	SweepFiles func(ctx context.Context, now time.Time, olderThan time.Duration, dry bool) (int, error)
	// Lock takes the lock of a sweep among all janitors; ok is false while another holds it. Without it janitors of several processes may
	// sweep at once, which is harmless and a waste.
	Lock func(ctx context.Context, name string) (unlock func() error, ok bool, err error)
	// Lookahead is how far ahead the sweeps of what is due look: at least the time between two ticks. Defaults to 1 minute.
	Lookahead time.Duration
	// Now defaults to time.Now.
	Now func() time.Time
	// Logger defaults to slog.Default.
	Logger *slog.Logger
}

const (
	// sweepTimeout bounds a sweep. It is below the subscription's deadline, so that a sweep can say how far it came.
	sweepTimeout = 100 * time.Second
	// pageSize is how many records are read, and how many requests published, at once.
	pageSize = 200
	// atOnce is how many items of a page are worked on at once.
	atOnce = 8
)

// Janitor sweeps. It is safe for concurrent use, also by several processes.
type Janitor struct {
	o     Options
	turns turns
}

// New returns a Janitor.
func New(o Options) *Janitor {
	if o.Lookahead == 0 {
		o.Lookahead = time.Minute
	}
	if o.LetterAge == 0 {
		o.LetterAge = time.Hour
	}
	if o.LetterCount == 0 {
		o.LetterCount = 100
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Janitor{o: o, turns: turns{by: map[string]*turn{}}}
}

// Handle is the [events.Handler] of the janitor subscription. A permanent error is a tick that is not valid.
func (j *Janitor) Handle(ctx context.Context, m events.Message) error {
	return events.Decode(schemas.DecodeCleanupTick, j.sweep)(ctx, m)
}

func (j *Janitor) sweep(ctx context.Context, m events.Message, tick *gen.CleanupTick) error {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	sweep, ready, known := j.sweepOf(tick)
	switch {
	case !known:
		return events.Permanent(fmt.Errorf("kind %s has no sweep", tick.GetKind()))
	case !ready:
		j.o.Logger.DebugContext(ctx, "nothing to sweep: not set up here", "kind", tick.GetKind().String())
		return nil
	case tick.GetDryRun():
		return sweep(ctx, true)
	default:
		return j.alone(ctx, fmt.Sprintf("%s-%d", tick.GetKind(), tick.GetOlderThanSeconds()), m.Time, func() error { return sweep(ctx, false) })
	}
}

// sweepOf returns the sweep of a tick, and whether what it needs is set up.
func (j *Janitor) sweepOf(tick *gen.CleanupTick) (sweep func(ctx context.Context, dry bool) error, ready, known bool) {
	olderThan := schemas.OlderThan(tick)
	switch tick.GetKind() {
	case gen.CleanupTick_STALE_SANDBOXES:
		return j.sweepStale, j.o.Records != nil, true
	case gen.CleanupTick_ORPHANED_SANDBOXES:
		return j.sweepOrphans, j.o.Records != nil, true
	case gen.CleanupTick_STALE_SESSIONS:
		return j.sweepSessions, j.o.Sessions != nil, true
	case gen.CleanupTick_DUE_JOBS:
		return j.sweepJobs, j.o.Sessions != nil && j.o.Wake != nil, true
	case gen.CleanupTick_ORPHANED_CHUNKS:
		return func(ctx context.Context, dry bool) error { return j.sweepChunks(ctx, olderThan, dry) }, j.o.Sessions != nil, true
	case gen.CleanupTick_RATE_LIMIT_BUCKETS:
		return j.sweepLimits, j.o.SweepLimits != nil, true
	case gen.CleanupTick_DEAD_LETTERS:
		return j.sweepLetters, j.o.Letters != nil, true
	case gen.CleanupTick_EXPIRED_FILES:
		return func(ctx context.Context, dry bool) error { return j.sweepFiles(ctx, olderThan, dry) }, j.o.SweepFiles != nil, true
	default:
		return nil, false, false
	}
}
