package session

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

const (
	// RingSize is how many mutations a record remembers at least, when it has seen so many.
	RingSize = 1024
	// RingCommits is of how many commits it remembers all mutations, also when they are more than RingSize.
	RingCommits = 8
	// MaxBatch is how many mutations one commit folds at most. It bounds the ring.
	MaxBatch = 500
)

// MaxReason is the longest Entry.Reason in bytes.
const MaxReason = 200

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
	// Reason is why it was rejected, at most MaxReason bytes.
	Reason string
}

// Ring is the memory of the mutations decided last, oldest first. It is immutable, and the zero value remembers
// nothing.
type Ring struct {
	// body holds the entries in runs as ringformat.go describes them. The runs count from base; after the last one
	// the counters stand at last.
	body       []byte
	base, last ringMark
	size       int
}

// NewRing returns a ring that remembers entries, oldest first, all of one commit. Stores make rings by themselves;
// this is for tests of drivers.
func NewRing(entries []Entry) Ring { return Ring{}.push(entries) }

// Len is how many mutations the ring remembers.
func (r Ring) Len() int { return r.size }

// Entries returns what is remembered, oldest first.
func (r Ring) Entries() []Entry {
	entries := make([]Entry, 0, r.size)
	for w := r.walk(); w.next(); {
		entries = append(entries, w.entry())
	}
	return entries
}

// After returns what was decided in commits after this one, oldest first.
func (r Ring) After(commit int64) []Entry {
	if r.last.commit <= commit {
		return nil
	}
	var entries []Entry
	for w := r.walk(); w.next(); {
		if w.mark.commit > commit {
			entries = append(entries, w.entry())
		}
	}
	return entries
}

// Find returns the entry of a mutation id: the newest, when a rejected mutation was replayed.
func (r Ring) Find(mutationID string) (Entry, bool) {
	hash := hashID(mutationID)
	e, ok := r.find(map[uint64]struct{}{hash: {}})[hash]
	return e, ok
}

// find returns the newest entry of each of the hashes that is remembered. It passes over all of the ring: a ring serves
// one batch and is then replaced, so that an index of it would cost more than it saves.
func (r Ring) find(want map[uint64]struct{}) map[uint64]Entry {
	if !r.hasAny(want) {
		return nil // as nearly always
	}
	found := make(map[uint64]Entry, len(want))
	for w := r.walk(); w.next(); {
		if _, ok := want[w.hash]; ok {
			found[w.hash] = w.entry()
		}
	}
	return found
}

// push returns a ring that also remembers entries, all of one commit, and has forgotten what is beyond the limits.
func (r Ring) push(entries []Entry) Ring {
	if len(entries) == 0 {
		return r
	}
	next := Ring{last: r.last, size: r.size + len(entries)}
	// What goes is all at the front, so the rest is copied as it is.
	w := r.walk()
	for next.size > RingSize {
		before := w
		if !w.next() || w.mark.commit > entries[0].Commit-RingCommits {
			w = before
			break
		}
		next.size--
	}
	next.base = w.mark
	next.body = make([]byte, 0, maxRunHead+len(w.rest)+len(entries)*24)
	if w.left > 0 { // a run was cut in two
		next.body = appendRunHead(next.body, w.left, ringMark{})
	}
	next.body = append(next.body, w.rest...)
	next.body, next.last = appendRuns(next.body, next.last, entries)
	return next
}

// hashID is the form in which rings remember a mutation's id.
func hashID(id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	return binary.BigEndian.Uint64(sum[:])
}
