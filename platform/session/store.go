package session

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Options tune a [Store] and a [Reader]. The zero value is right for most.
type Options struct {
	// TTL is how long a session lives after its last commit. 0 is for ever.
	TTL time.Duration
	// Tombstone is how long what is not Present is remembered. Defaults to 32 days, a day more than Pub/Sub keeps a
	// message at most.
	Tombstone time.Duration
	// CacheBytes bounds the memory for records that are kept between calls. Defaults to 64 MiB; negative keeps none.
	CacheBytes int64
	// Now defaults to time.Now.
	Now func() time.Time
	// Logger hears of drivers that fail. Defaults to slog.Default.
	Logger *slog.Logger
	// MeterProvider makes the instruments. Defaults to otel's global one.
	MeterProvider metric.MeterProvider
	// TracerProvider makes a span of each commit. Defaults to otel's global one.
	TracerProvider trace.TracerProvider
}

func (o Options) withDefaults() Options {
	if o.Tombstone <= 0 {
		o.Tombstone = 32 * 24 * time.Hour
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 64 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	return o
}

// Store applies mutations. It is safe for concurrent use; several processes may work on one session, and the
// compare-and-set of the driver decides between them.
type Store struct {
	*Reader
	metrics *metrics
	tracer  trace.Tracer

	mu     sync.Mutex
	groups map[string]*group // by session; one for each session that is being written
}

// NewStore returns a store over d.
func NewStore(d Driver, o Options) *Store {
	r := NewReader(d, o)
	return &Store{
		Reader: r, metrics: newMetrics(r.o.MeterProvider, r.o.Logger), groups: map[string]*group{},
		tracer: r.o.TracerProvider.Tracer("vibesdk-gcp/platform/session"),
	}
}

// Apply applies the mutations in order, those of concurrent callers for the same session in the same commit, and
// returns one outcome for each when all of them are durable. A rejected mutation is an outcome, not an error. More than
// MaxBatch mutations take several commits.
//
// An error means that the driver could not be asked before ctx ended, and that some or all mutations may have
// been applied: giving the same ids again is safe. Without a deadline Apply tries for ever. ErrInvalid says that the session's id
// is no id, and that nothing was done.
func (s *Store) Apply(ctx context.Context, sessionID string, ms []Mutation) ([]Outcome, error) {
	if err := checkID("session id", sessionID); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := newCall(ctx, ms)
	for i, o := range c.outcomes {
		if o.Err != nil {
			s.metrics.outcome(ctx, c.outcomes[i])
		}
	}
	if len(c.items) == 0 {
		return c.outcomes, nil
	}
	g := s.join(sessionID, c)
	select {
	case <-c.done:
	case <-ctx.Done():
		select {
		case <-c.done: // both happened; what is durable counts
		default:
			return nil, s.leave(g, c)
		}
	}
	return c.outcomes, c.err
}

// Remove deletes a record for good if it has exactly this commit; ErrConflict otherwise. Duplicates of its
// mutations are not recognised any more, so it is for records that are Expired.
func (s *Store) Remove(ctx context.Context, id string, commit int64) error {
	if err := s.driver.Remove(ctx, id, commit); err != nil {
		return err
	}
	s.cache.drop(id)
	return nil
}

// Clean calls the driver's Clean if it is a [Cleaner].
func (s *Store) Clean(ctx context.Context, before time.Time, limit int) (int, error) {
	c, ok := s.driver.(Cleaner)
	if !ok {
		return 0, nil
	}
	n, err := c.Clean(ctx, before, limit)
	if err != nil {
		return n, fmt.Errorf("clean sessions: %w", err)
	}
	return n, nil
}

// Unreferenced calls the driver's Unreferenced if it is a [Cleaner].
func (s *Store) Unreferenced(ctx context.Context, before time.Time, limit int) (int, error) {
	c, ok := s.driver.(Cleaner)
	if !ok {
		return 0, nil
	}
	n, err := c.Unreferenced(ctx, before, limit)
	if err != nil {
		return 0, fmt.Errorf("count what no session refers to: %w", err)
	}
	return n, nil
}
