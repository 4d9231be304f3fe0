package session

import (
	"context"
	"iter"
)

// Reader reads sessions and never writes. It is safe for concurrent use.
type Reader struct{}

// NewReader returns a reader over d.
func NewReader(d Driver, o Options) *Reader { panic("to be written") }

// Get returns the record with every commit that returned before the call. ErrNotFound when it is not Present or
// Expired.
func (r *Reader) Get(ctx context.Context, id string) (*Record, error) { panic("to be written") }

// Load returns the record like Get, also when it is not Present or Expired: its ring tells what became of its mutations.
// ErrNotFound when nothing is stored.
func (r *Reader) Load(ctx context.Context, id string) (*Record, error) { panic("to be written") }

// Watch yields the record as it is, if its commit is above after, and then each newer one, the last one always; see [Driver.Watch]. Records
// that are not Present are yielded as well, so that a destroyed session is seen. It ends with ctx or with an error that it yields.
func (r *Reader) Watch(ctx context.Context, id string, after int64) iter.Seq2[*Record, error] {
	panic("to be written")
}

// Wait returns the outcome of a mutation once it is decided. It ends with ctx's error.
func (r *Reader) Wait(ctx context.Context, id, mutationID string) (Outcome, error) {
	panic("to be written")
}

// Decided returns the outcome of m without waiting for it, also of a session that is not present: Duplicate is set, and
// Err is ErrIDReused when the id was used for other content. ErrNotFound when the id is not remembered.
func (r *Reader) Decided(ctx context.Context, id string, m Mutation) (Outcome, error) {
	panic("to be written")
}

// List returns heads of the driver, without those that are Expired unless q asks for them.
func (r *Reader) List(ctx context.Context, q Query) ([]Head, error) { panic("to be written") }
