package deployment

import (
	"context"
	"time"
)

// Driver stores apps and preview routes. [Table] holds one and adds validation and the cache. All methods
// are safe for concurrent use.
type Driver interface {
	// PutApp stores an app under the next version, and returns it as stored. The change is in the history with it, in one commit.
	// ErrConflict when w asks for another version than the one stored. Versions go on after a deletion, for as long as
	// the history remembers it.
	PutApp(ctx context.Context, a App, w Write) (App, error)
	// App returns an app. ErrNotFound when there is none.
	App(ctx context.Context, name string) (App, error)
	// Apps returns apps ordered by name, after the given name, at most limit.
	Apps(ctx context.Context, after string, limit int) ([]App, error)
	// DeleteApp removes an app at an instant, which is in the history with it. ErrNotFound when there is none, ErrConflict as with PutApp.
	DeleteApp(ctx context.Context, name string, w Write, at time.Time) error
	// AppHistory returns the changes of an app, the newest first, at most limit. It must keep the last [HistoryLength] of each
	// name, and should keep no more; those of deleted apps stay. None is not an error.
	AppHistory(ctx context.Context, name string, limit int) ([]Change, error)
	// AdoptApp stores an app as another table has it: the newest of its changes, which are given the newest first, with its version and time,
	// and all of them as its history, in one commit. It returns false when it is there already. ErrConflict when it went on here, which is
	// a larger version, or the same one with something else in it; nothing changes then.
	AdoptApp(ctx context.Context, name string, changes []Change) (bool, error)
	// PurgeHistory forgets the histories of apps that were deleted before an instant, and returns how many changes those were.
	PurgeHistory(ctx context.Context, before time.Time) (int, error)

	// PutPreview publishes a route. ErrStale when a larger fence is stored, or a larger one was withdrawn. The same route twice is nil.
	PutPreview(ctx context.Context, p Preview) error
	// Preview returns the route of a sandbox. ErrNotFound when there is none.
	Preview(ctx context.Context, sandboxID string) (Preview, error)
	// WithdrawPreview removes the route if its fence is ≤ fence; absent is nil. A withdrawn fence can never be published again.
	WithdrawPreview(ctx context.Context, sandboxID string, fence int64) error
	// PurgeWithdrawn forgets withdrawals older than before, and returns how many.
	PurgeWithdrawn(ctx context.Context, before time.Time) (int, error)

	// Watch calls heard after each write, through any driver of the store that can tell, until the returned function is called. It
	// should hear of writes of other processes at once. It is a hint that may be missing: whoever needs to know looks from time to time. heard must
	// return at once and not call the driver.
	Watch(heard func(Hint)) (end func())
}

// Hint says what may have changed. The zero value is everything.
type Hint struct {
	// App is the name of an app, Preview the id of a sandbox; one of them or none is set.
	App, Preview string
}

// Lookup is the view that the router holds.
type Lookup interface {
	App(ctx context.Context, name string) (App, error)
	Preview(ctx context.Context, sandboxID string) (Preview, error)
}
