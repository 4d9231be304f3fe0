package session

import "time"

// Kind says what a mutation does.
type Kind uint8

// The kinds of mutations. Put, Merge, Schedule, Enqueue and an Append that begins a conversation make a session present that was not,
// as any call does with a Durable Object; Initialize, Clone and Import do by their nature. The first ones travel on the topic state-mutations; StartJob and FinishJob are the
// platform's own. The numbers are stored in rings and must never change.
const (
	// Initialize sets the state once, also over one that was put before. A second one is ErrInitialized.
	Initialize Kind = 1
	// Put replaces a part.
	Put Kind = 2
	// Merge applies an RFC 7396 merge patch to a part; a missing part counts as null.
	Merge Kind = 3
	// Patch applies an RFC 6902 patch to a part: all of it or nothing. A path that leads nowhere is ErrNotFound, a test that fails
	// ErrInvalid.
	Patch Kind = 4
	// Append adds the payload at the end of the array at Path. A missing conversation counts as an empty array.
	Append Kind = 5
	// Clone makes this session, which must not be present (ErrConflict), a copy of CloneOf's state, which must be initialized
	// (ErrNotFound). Of VibeSDK's states the ids become those of the clone, what was going on is reset, and the source's
	// sandbox, secrets and deployment are left out; others are copied as they are.
	Clone Kind = 6
	// Destroy removes all parts, and is applied also where there are none. Its record stays for [Options.Tombstone], so that late duplicates are recognised.
	Destroy Kind = 7
	// Schedule adds a job; the payload is a [ScheduleRequest]. Outcome.Ref is the job's id.
	Schedule Kind = 8
	// Cancel removes a schedule; the payload is a [CancelRequest]. ErrNotFound when there is none.
	Cancel Kind = 9
	// Enqueue adds an item to the queue; the payload is an [EnqueueRequest]. Outcome.Ref is the item's id.
	Enqueue Kind = 10
	// Dequeue removes items from the queue; the payload is a [DequeueRequest]. Outcome.Ref is how many.
	Dequeue Kind = 11
	// Import replaces all parts of a session by those of an export; the payload is an [ImportRequest]. A session that is present
	// is ErrConflict unless Expected is set.
	Import Kind = 12
	// StartJob claims one run of a job; the payload is a [StartRequest].
	StartJob Kind = 13
	// FinishJob ends a run that was claimed; the payload is a [FinishRequest].
	FinishJob Kind = 14
)

// Mutation is a change to one session.
type Mutation struct {
	// ID identifies the mutation for ever, 1 to MaxID bytes: the same id twice is applied once.
	ID   string
	Kind Kind
	// Part is the part that Put, Merge, Patch and Append change; empty means PartState.
	Part PartName
	// Expected, when set, rejects the mutation with ErrConflict unless the version is exactly this one. A session that is
	// not present has, for this comparison, version 0.
	Expected *int64
	// Payload is JSON text. Put and Initialize keep it byte for byte, the others the values in it.
	Payload []byte
	// Path is the JSON Pointer of Append; the empty one is the whole part.
	Path string
	// CloneOf is the source session of Clone.
	CloneOf string
	// Replay is how often a person sent this mutation again after it was parked. A rejection is reconsidered when Replay
	// is higher than it was then; what was applied stays applied.
	Replay int
}

// Code is how a mutation ended. The numbers are stored in rings and must never change.
type Code uint8

// The codes.
const (
	Applied             Code = 1
	RejectedConflict    Code = 2
	RejectedInitialized Code = 3
	RejectedNotFound    Code = 4
	RejectedInvalid     Code = 5
	RejectedTooLarge    Code = 6
)

// Outcome is how a mutation ended.
type Outcome struct {
	MutationID string
	Code       Code
	// Version is the session's version right after the mutation.
	Version int64
	// At is when it was decided.
	At time.Time
	// Ref is what the mutation made, such as the id of a job. At most MaxID bytes.
	Ref string
	// Duplicate is set when the outcome was decided before, and comes from the ring.
	Duplicate bool
	// Err is nil when the mutation was applied. Otherwise it says why not and wraps ErrConflict, ErrInitialized,
	// ErrNotFound, ErrInvalid, ErrTooLarge or ErrIDReused.
	Err error
}
