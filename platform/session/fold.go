package session

import "time"

// folding is a batch of mutations in the making: the record as it was, and the documents that changed, parsed once
// for the whole batch.
type folding struct{}

// fold begins a batch on a record; base may be one with Commit 0, for a session that is not stored.
func fold(base *Record, now time.Time) *folding { panic("to be written") }

// apply applies one mutation. source is the record that a Clone copies, nil when it was not found. ref is
// Outcome.Ref. On an error nothing has changed; it wraps ErrConflict, ErrInitialized, ErrNotFound, ErrInvalid or ErrTooLarge.
func (f *folding) apply(m Mutation, source *Record) (ref string, err error) { panic("to be written") }

// version is the version after the mutations applied so far.
func (f *folding) version() int64 { panic("to be written") }

// result encodes the outcome of the batch: base with Version, Initialized, Present, CreatedAt, AlarmAt and Parts brought up to date. Changed parts have no tag, the others keep theirs.
// Commit, UpdatedAt, ExpiresAt and Ring are left to the caller.
func (f *folding) result() *Record { panic("to be written") }
