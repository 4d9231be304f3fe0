package sandbox

import (
	"context"
	"time"
)

// RecordDriver stores records. [Records] holds one and adds validation, the rules of moving and the retry of
// conflicts. All methods are safe for concurrent use.
type RecordDriver interface {
	// Create stores a new record (Version 1) and its spec. ErrExists when the id is taken, and changes nothing.
	Create(ctx context.Context, r Record, spec Spec) error
	// Load returns a record. ErrNotFound when there is none.
	Load(ctx context.Context, id string) (Record, error)
	// Spec returns the spec stored with the record. ErrNotFound when there is none or it was dropped.
	Spec(ctx context.Context, id string) (Spec, error)
	// Save replaces the record if the stored version is r.Version, and stores it with r.Version + 1. ErrConflict when another
	// version is stored, ErrNotFound when none is. It must not touch ActiveAt when the stored one is later.
	// A record saved as Deleted or Failed drops its spec.
	Save(ctx context.Context, r Record) error
	// List returns records ordered by id. Specs are not read.
	List(ctx context.Context, q Query) ([]Record, error)
	// Count returns how many records there are of each state that is not terminal. A state without any may be missing.
	Count(ctx context.Context) (map[State]int, error)
	// Touch moves ActiveAt forward to the given times. Unknown ids are ignored.
	Touch(ctx context.Context, at map[string]time.Time) error
}

// Query selects records. Zero fields select everything.
type Query struct {
	States []State
	// AppName selects the deployments of one app.
	AppName string
	// DueBefore selects records that are due then: exactly those for which [Record.Due] says so.
	DueBefore time.Time
	// After is the id to go on from, exclusive.
	After string
	// Limit is the most records returned. Defaults to 100, at most 1000.
	Limit int
}
