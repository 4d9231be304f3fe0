package firestoresession

import (
	"encoding/json"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"vibesdk-gcp/platform/session"
)

// layout is what the driver remembers of a stored commit, in Record.Tag: enough to replace it by one conditional write that
// sends only what changed and deletes what it made superfluous.
type layout struct {
	Commit int64 `json:"c"`
	// Updated is the document's update time, which the service compares, in seconds and nanoseconds.
	Updated [2]int64                   `json:"u"`
	Parts   map[session.PartName]place `json:"p,omitempty"`
}

// place says where a part is.
type place struct {
	Tag    string `json:"t"`
	Stored int    `json:"s"`           // bytes, after compression
	Chunks int    `json:"n,omitempty"` // documents it is cut into; 0 is in the session's own document
}

func (p place) inline() int {
	if p.Chunks > 0 {
		return 0
	}
	return p.Stored
}

func (l layout) encode() (string, error) {
	text, err := json.Marshal(l)
	return string(text), err
}

// layoutOf returns what a record's tag says, and false when it has none of this driver.
func layoutOf(r *session.Record) (layout, bool) {
	var l layout
	if r == nil || r.Tag == "" || json.Unmarshal([]byte(r.Tag), &l) != nil || l.Commit != r.Commit {
		return layout{}, false
	}
	return l, true
}

func (l layout) inline() int {
	n := 0
	for _, p := range l.Parts {
		n += p.inline()
	}
	return n
}

func (l layout) updated() *timestamppb.Timestamp {
	return &timestamppb.Timestamp{Seconds: l.Updated[0], Nanos: int32(l.Updated[1])}
}

func updatedAt(t *timestamppb.Timestamp) [2]int64 {
	return [2]int64{t.GetSeconds(), int64(t.GetNanos())}
}

// micros cuts a time to what is stored.
func micros(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMicro(t.UnixMicro()).UTC()
}
