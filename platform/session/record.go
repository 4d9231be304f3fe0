package session

import "time"

// Limits of a record. Each is checked before anything is written.
const (
	// MaxID is the longest session, mutation and job id in bytes.
	MaxID = 128
	// MaxPart is the largest part in bytes of JSON text. A Durable Object takes about 2 MB for its state.
	MaxPart = 10 << 20
	// MaxRecord is the most bytes that all parts of a record have together.
	MaxRecord = 32 << 20
	// MaxDepth is how deep the JSON of a part may nest.
	MaxDepth = 1000
	// MaxJobs is how many schedules and queued items a session holds.
	MaxJobs = 10_000
)

// PartName names a part of a record.
type PartName string

// The parts of a record. A record has only those that were set.
const (
	// PartState is the agent's state: any JSON value, also null, kept byte for byte where no mutation touched it.
	PartState PartName = "state"
	// PartFullConversations and PartCompactConversations hold a JSON array of messages each.
	PartFullConversations    PartName = "full_conversations"
	PartCompactConversations PartName = "compact_conversations"
	// PartMCPServers is a JSON object: id → row of cf_agents_mcp_servers.
	PartMCPServers PartName = "mcp_servers"
	// PartJobs is the JSON form of the [Job]s. Only job mutations and imports change it.
	PartJobs PartName = "jobs"
	// PartTables keeps rows of tables that the platform does not interpret, so that an export gives them back. Only
	// imports change it.
	PartTables PartName = "tables"
)

// Part is one JSON text of a record.
type Part struct {
	// Data is the text. Nobody may change it.
	Data []byte
	// Tag is how the driver recognises what it stored, and empty for what it has not stored yet. Only the driver that
	// made a tag reads it.
	Tag string
}

// Head is what a driver reads and lists without touching a part.
type Head struct {
	ID string
	// Commit counts the writes of this record: 1 for the first. 0 means that it is not stored.
	Commit int64
	// Version counts the mutations that were applied.
	Version int64
	// Initialized is set by INITIALIZE, by a CLONE of an initialized session and by an import of one.
	Initialized bool
	// Present is false for what is only remembered: a session that was destroyed, or one that has seen nothing but
	// rejected mutations. It has no parts, and readers do not find it.
	Present bool
	// CreatedAt is when the session became present last; UpdatedAt is the time of the last commit.
	CreatedAt, UpdatedAt time.Time
	// ExpiresAt is when the record may be removed, and from when on readers no longer find it. Zero is never.
	ExpiresAt time.Time
	// AlarmAt is when its next job is due. Zero is none.
	AlarmAt time.Time
}

// Expired reports whether the record's time was over at now.
func (h Head) Expired(now time.Time) bool { return !h.ExpiresAt.IsZero() && !now.Before(h.ExpiresAt) }

// Record is one session as it was after a commit. Records are shared: whoever holds one must not change it, nor its
// parts.
type Record struct {
	Head
	Ring  Ring
	Parts map[PartName]Part
	// Tag is how the driver recognises the commit that this record came from, and empty for what it has not loaded. It
	// goes unread from a record to the one made of it, and never to another session.
	Tag string
}

// State returns the agent's state, and false when none was ever set.
func (r *Record) State() ([]byte, bool) {
	p, ok := r.Parts[PartState]
	return p.Data, ok
}

// Size is how many bytes the parts have together.
func (r *Record) Size() int {
	n := 0
	for _, p := range r.Parts {
		n += len(p.Data)
	}
	return n
}
