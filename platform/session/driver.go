package session

import (
	"context"
	"time"
)

// Driver stores records. Implementations must be safe for concurrent use, also by other processes.
//
// A store that is away is ErrUnavailable: a driver should say so for every error that another try may not get.
//
// Times are kept to the microsecond. Ids are any text of 1 to MaxID bytes without control characters: a
// driver must keep apart ids that differ in any byte, and escape what its store cannot hold.
type Driver interface {
	// Load returns the record as the last commit left it, never a mixture of two commits. It must see every commit
	// that returned before the call. known, which may be nil, is an older state of the same record: a
	// driver should take parts whose tag is unchanged from it instead of reading them, and return known itself
	// when the commit is the same. ErrNotFound when none is stored. Records that are not Present or Expired are returned like others.
	Load(ctx context.Context, id string, known *Record) (*Record, error)

	// Commit stores next if what is stored has exactly the commit next.Commit-1 (nothing, when next.Commit is 1), all of it
	// or nothing. It must write the parts without a tag, should write no others, and removes those that next no longer has. It returns the record as stored: next with all tags set.
	//
	// ErrConflict: another commit is stored, and this one was not and will not be written. ErrTooLarge: refused before
	// anything was sent. Any other error leaves open whether it was written.
	Commit(ctx context.Context, next *Record) (*Record, error)

	// Watch calls fn with the record as it is now, if it is stored and its commit is not known.Commit, and then with each
	// newer one, until ctx ends (it then returns ctx.Err()) or fn returns an error (which it returns). Commits that follow
	// each other quickly may be skipped, but not the last one; the commits passed to fn always rise, except that a record
	// that was removed and begun again is passed whatever its commit. A removal itself is not passed. fn is not called
	// concurrently. known may be nil, or have nothing but an ID and a Commit. A connection that broke must be mended inside,
	// without missing the newest record.
	Watch(ctx context.Context, id string, known *Record, fn func(*Record) error) error

	// List returns the heads that q selects.
	List(ctx context.Context, q Query) ([]Head, error)

	// Remove deletes a record for good if it has exactly this commit. ErrConflict otherwise, nil when there is none.
	Remove(ctx context.Context, id string, commit int64) error
}

// Query selects heads, at most Limit (1 to 1000) of them. With neither time set it selects those that are
// Present, ordered by id. Only one of the times may be set; records that are not Present are then included.
type Query struct {
	// After continues behind this id: of the order by id; with a time set, see AfterTime.
	After string
	// AfterTime continues behind the pair (AfterTime, After) of an order by time and id.
	AfterTime time.Time
	// DueBy selects heads with an alarm at or before this time, ordered by AlarmAt and id.
	DueBy time.Time
	// ExpiredBy selects heads that expire at or before this time, ordered by ExpiresAt and id.
	ExpiredBy time.Time
	Limit     int
}

// Cleaner is a driver that can leave things behind when a process dies between two writes.
type Cleaner interface {
	// Clean removes what no record has referred to since before, at most limit things, and returns how many it removed.
	Clean(ctx context.Context, before time.Time, limit int) (int, error)
	// Unreferenced returns how many things Clean would remove, at most limit, and removes none.
	Unreferenced(ctx context.Context, before time.Time, limit int) (int, error)
}
