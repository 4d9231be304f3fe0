package gateway

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"vibesdk-gcp/platform/session"
)

// Session is the head of a session as callers see it.
type Session struct {
	ID string `json:"id"`
	// Version counts applied mutations, and is the ETag of the parts.
	Version int64 `json:"version"`
	// Commit counts writes, and is the event id of the stream.
	Commit      int64 `json:"commit"`
	Initialized bool  `json:"initialized"`
	// Present is false for a session that was destroyed.
	Present   bool      `json:"present"`
	CreatedAt time.Time `json:"createdAt,omitzero"`
	UpdatedAt time.Time `json:"updatedAt"`
	// ExpiresAt is absent for a session that stays for ever, AlarmAt when no job waits.
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

// SessionPart is a part and its size in bytes of JSON text.
type SessionPart struct {
	Name session.PartName `json:"name"`
	Size int              `json:"size"`
}

// SessionPage is one page of a list.
type SessionPage struct {
	Sessions []Session `json:"sessions"`
	// Next is the value of ?after= for the page that follows, NextTime that of ?afterTime= when ?due= was given; empty on
	// the last one.
	Next     string    `json:"next,omitempty"`
	NextTime time.Time `json:"nextTime,omitzero"`
}

// MutationResult answers a write.
type MutationResult struct {
	MutationID string `json:"mutationId"`
	// Code is applied, or why it was rejected: conflict, initialized, not-found, invalid, too-large. Pending says
	// that it is not decided yet; the fields below are then absent.
	Code string `json:"code"`
	// Version is the session's right after.
	Version int64     `json:"version,omitempty"`
	At      time.Time `json:"at,omitzero"`
	// Ref is what it made, such as the id of a job.
	Ref string `json:"ref,omitempty"`
	// Duplicate is set when it was decided before this call.
	Duplicate bool `json:"duplicate,omitempty"`
	// Reason is why it was rejected.
	Reason string `json:"reason,omitempty"`
}

// SessionHistory is what a session remembers of its mutations, newest first.
type SessionHistory struct {
	Entries []HistoryEntry `json:"entries"`
}

// HistoryEntry is one mutation that was decided.
type HistoryEntry struct {
	Kind    string    `json:"kind"`
	Code    string    `json:"code"`
	Version int64     `json:"version"`
	Commit  int64     `json:"commit"`
	At      time.Time `json:"at"`
	Ref     string    `json:"ref,omitempty"`
	Reason  string    `json:"reason,omitempty"`
}

// SessionEvent is the data of an event of a session's stream.
type SessionEvent struct {
	Version   int64     `json:"version"`
	Commit    int64     `json:"commit"`
	Present   bool      `json:"present"`
	UpdatedAt time.Time `json:"updatedAt"`
	// State is absent when there is none, and in a stream of heads.
	State json.RawMessage `json:"state,omitempty"`
}

var kindNames = map[session.Kind]string{
	session.Initialize: "initialize", session.Put: "put", session.Merge: "merge", session.Patch: "patch",
	session.Append: "append", session.Clone: "clone", session.Destroy: "destroy", session.Schedule: "schedule",
	session.Cancel: "cancel-schedule", session.Enqueue: "enqueue", session.Dequeue: "dequeue", session.Import: "import",
	session.StartJob: "start-job", session.FinishJob: "finish-job",
}

var codeNames = map[session.Code]string{
	session.Applied: "applied", session.RejectedConflict: "conflict", session.RejectedInitialized: "initialized",
	session.RejectedNotFound: "not-found", session.RejectedInvalid: "invalid", session.RejectedTooLarge: "too-large",
}

// pending is the code of what is not decided yet.
const pending = "pending"

func viewHead(h session.Head) Session {
	return Session{
		ID: h.ID, Version: h.Version, Commit: h.Commit, Initialized: h.Initialized, Present: h.Present,
		CreatedAt: h.CreatedAt, UpdatedAt: h.UpdatedAt, ExpiresAt: h.ExpiresAt, AlarmAt: h.AlarmAt,
	}
}

func viewSession(r *session.Record) (SessionDetail, error) {
	jobs, err := r.Jobs()
	if err != nil {
		return SessionDetail{}, err
	}
	d := SessionDetail{Session: viewHead(r.Head), Parts: []SessionPart{}}
	for name, part := range r.Parts {
		d.Parts = append(d.Parts, SessionPart{Name: name, Size: len(part.Data)})
	}
	slices.SortFunc(d.Parts, func(a, b SessionPart) int { return strings.Compare(string(a.Name), string(b.Name)) })
	for _, job := range jobs {
		switch {
		case job.Type != session.JobQueue:
			d.Schedules++
		case job.Parked:
			d.Parked++
		default:
			d.Queued++
		}
	}
	return d, nil
}

func viewOutcome(o session.Outcome) MutationResult {
	m := MutationResult{
		MutationID: o.MutationID, Code: codeNames[o.Code], Version: o.Version, At: o.At, Ref: o.Ref, Duplicate: o.Duplicate,
	}
	if o.Err != nil {
		m.Reason = o.Err.Error()
	}
	return m
}

func viewEntry(e session.Entry) HistoryEntry {
	return HistoryEntry{
		Kind: kindNames[e.Kind], Code: codeNames[e.Code], Version: e.Version, Commit: e.Commit, At: e.At, Ref: e.Ref, Reason: e.Reason,
	}
}
