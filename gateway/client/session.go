package client

import (
	"encoding/json"
	"time"
)

// The parts of a session that are read and written by name.
const (
	PartState                = "state"
	PartFullConversations    = "full_conversations"
	PartCompactConversations = "compact_conversations"
	PartMCPServers           = "mcp_servers"
)

// Session is the head of a session.
type Session struct {
	ID string `json:"id"`
	// Version counts the mutations that were applied. Give it back as WriteOptions.IfVersion.
	Version int64 `json:"version"`
	// Commit counts writes; a stream of events goes on behind one.
	Commit      int64 `json:"commit"`
	Initialized bool  `json:"initialized"`
	// Present is false for a session that was destroyed.
	Present   bool      `json:"present"`
	CreatedAt time.Time `json:"createdAt,omitzero"`
	UpdatedAt time.Time `json:"updatedAt"`
	// ExpiresAt is zero for a session that stays for ever, AlarmAt when no job waits.
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
	AlarmAt   time.Time `json:"alarmAt,omitzero"`
}

// SessionDetail is a head with what the session consists of.
type SessionDetail struct {
	Session

	Parts []SessionPart `json:"parts"`
	// Schedules, Queued and Parked count jobs; those parked are queued items that failed for good.
	Schedules int `json:"schedules"`
	Queued    int `json:"queued"`
	Parked    int `json:"parked"`
}

// SessionPart is a part and its size in bytes.
type SessionPart struct {
	Name string `json:"name"`
	Size int    `json:"size"`
}

// Snapshot is a part as it was at a version.
type Snapshot struct {
	// Data is the JSON text, byte for byte as it was written.
	Data    []byte
	Version int64
}

// WriteOptions tune a write. The zero value is right for most.
type WriteOptions struct {
	// MutationID identifies the write for ever: the same id twice is one write. Made up when empty. At most 128 bytes.
	MutationID string
	// IfVersion, when set, makes the write [ErrVersion] unless the session is at this version; 0 is one that is not there.
	IfVersion *int64
	// Async returns when the write is durable on its way, without its outcome.
	Async bool
}

// Pending is the code of a write whose outcome is not known yet.
const Pending = "pending"

// MutationResult is how a write ended.
type MutationResult struct {
	MutationID string `json:"mutationId"`
	// Code is applied, pending, or why it was rejected: conflict, initialized, not-found, invalid, too-large.
	Code string `json:"code"`
	// Version is the session's right after.
	Version int64     `json:"version,omitempty"`
	At      time.Time `json:"at,omitzero"`
	// Ref is what it made, such as the id of a job.
	Ref string `json:"ref,omitempty"`
	// Duplicate is set when it was decided before the call.
	Duplicate bool `json:"duplicate,omitempty"`
	// Reason is why it was rejected.
	Reason string `json:"reason,omitempty"`
}

// StateMutation is a message of the topic state-mutations without its ids.
type StateMutation struct {
	// Kind is a name like PUT, MERGE or CLONE.
	Kind string `json:"kind"`
	// Part is empty for the state.
	Part string `json:"part,omitempty"`
	// Payload is JSON text.
	Payload string `json:"payload,omitempty"`
	// Path is the JSON Pointer of an APPEND.
	Path string `json:"path,omitempty"`
	// CloneOf is the source of a CLONE.
	CloneOf string `json:"cloneOf,omitempty"`
}

// HistoryEntry is one mutation that a session remembers.
type HistoryEntry struct {
	Kind    string    `json:"kind"`
	Code    string    `json:"code"`
	Version int64     `json:"version"`
	Commit  int64     `json:"commit"`
	At      time.Time `json:"at"`
	Ref     string    `json:"ref,omitempty"`
	Reason  string    `json:"reason,omitempty"`
}

// SessionEvent is a session as it was after a commit.
type SessionEvent struct {
	Version   int64     `json:"version"`
	Commit    int64     `json:"commit"`
	Present   bool      `json:"present"`
	UpdatedAt time.Time `json:"updatedAt"`
	// State is nil when there is none, and in a watch of heads. Spaces between its tokens are gone.
	State json.RawMessage `json:"state,omitempty"`
}
