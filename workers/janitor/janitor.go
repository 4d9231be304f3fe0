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

// Options are what a [Janitor] works with. Records, Runtime, Routes and Publisher must be set.
type Options struct {
	Records   *sandbox.Records
	Runtime   *sandbox.Runtime
	Routes    *deployment.Table
	Publisher events.Publisher
	// Lookahead is how far ahead the stale sweep looks: at least the time between two ticks. Defaults to 1 minute.
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
type Janitor struct{ o Options }

// New returns a Janitor.
func New(o Options) *Janitor {
	if o.Lookahead == 0 {
		o.Lookahead = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Janitor{o}
}

// Handle is the [events.Handler] of the janitor subscription. A permanent error is a tick that is not valid.
func (j *Janitor) Handle(ctx context.Context, m events.Message) error {
	return events.Decode(schemas.DecodeCleanupTick, j.sweep)(ctx, m)
}

func (j *Janitor) sweep(ctx context.Context, _ events.Message, tick *gen.CleanupTick) error {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	switch kind := tick.GetKind(); kind {
	case gen.CleanupTick_STALE_SANDBOXES:
		return j.sweepStale(ctx, tick.GetDryRun())
	case gen.CleanupTick_ORPHANED_SANDBOXES:
		return j.sweepOrphans(ctx, tick.GetDryRun())
	default:
		return events.Permanent(fmt.Errorf("kind %s has no sweep", kind))
	}
}
