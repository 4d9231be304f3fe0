package session

import "time"

const (
	// RingSize is how many mutations a record remembers at least, when it has seen so many.
	RingSize = 1024
	// RingCommits is of how many commits it remembers all mutations, also when they are more than RingSize.
	RingCommits = 8
	// MaxBatch is how many mutations one commit folds at most. It bounds the ring.
	MaxBatch = 500
)

// Entry is what a ring remembers of one mutation.
type Entry struct {
	// Hash is the first 64 bits of the SHA-256 of the mutation's id, and Sum 32 bits of that of its content.
	Hash uint64
	Sum  uint32
	Kind Kind
	Code Code
	// Replay is Mutation.Replay of when it was decided.
	Replay int
	// Commit and Version are the record's right after.
	Commit, Version int64
	At              time.Time
	Ref             string
	// Reason is why it was rejected, at most 200 bytes.
	Reason string
}

// Ring is the memory of the mutations decided last, oldest first. It is immutable.
type Ring struct {
	// unexported fields
}

// Entries returns what is remembered, oldest first.
func (r Ring) Entries() []Entry { panic("to be written") }

// Find returns the entry of a mutation id.
func (r Ring) Find(mutationID string) (Entry, bool) { panic("to be written") }

// MarshalBinary writes the ring: 1 byte of format, then the entries, about 12 bytes each.
func (r Ring) MarshalBinary() ([]byte, error) { panic("to be written") }

// UnmarshalBinary reads what MarshalBinary wrote. It keeps no reference to data and fails on anything else.
func (r *Ring) UnmarshalBinary(data []byte) error { panic("to be written") }
