package session

import (
	"context"
	"log/slog"
	"time"
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
	// Logger defaults to slog.Default.
	Logger *slog.Logger
}

// Store applies mutations. It is safe for concurrent use; several processes may work on one session, and the
// compare-and-set of the driver decides between them.
type Store struct {
	*Reader
}

// NewStore returns a store over d.
func NewStore(d Driver, o Options) *Store { panic("to be written") }

// Apply applies the mutations in order, those of concurrent callers for the same session in the same commit, and
// returns one outcome for each when all of them are durable. A rejected mutation is an outcome, not an error.
//
// An error means that the driver could not be asked before ctx ended, and that some or all mutations may have
// been applied: giving the same ids again is safe.
func (s *Store) Apply(ctx context.Context, sessionID string, ms []Mutation) ([]Outcome, error) {
	panic("to be written")
}
