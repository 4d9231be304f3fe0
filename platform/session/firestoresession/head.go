package firestoresession

import (
	"encoding/binary"
	"fmt"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"vibesdk-gcp/platform/session"
)

// headFields are those that a list reads.
var headFields = []string{fieldCommit, fieldVersion, fieldInitialized, fieldPresent, fieldCreated, fieldUpdated, fieldExpires, fieldAlarm}

// peekFields are those that a layout is made of.
var peekFields = []string{fieldCommit, fieldParts}

// writtenFields are those that every commit writes or deletes.
var writtenFields = append([]string{fieldPurge, fieldByID, fieldByExpiry, fieldByAlarm, fieldRing}, headFields...)

// purgeAfter is how long the sweep that removes what expired has, before a TTL policy does.
const purgeAfter = 7 * 24 * time.Hour

// lastMoment is the end of what a timestamp of the service holds.
var lastMoment = time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// encodeHead leaves out what has no value: a document without a field is in no index of the field.
func encodeHead(h session.Head, chunked bool) fields {
	f := fields{
		fieldCommit:      integer(h.Commit),
		fieldVersion:     integer(h.Version),
		fieldInitialized: boolean(h.Initialized),
		fieldPresent:     boolean(h.Present),
		fieldUpdated:     moment(h.UpdatedAt),
	}
	if h.Present {
		f[fieldByID] = bytesValue([]byte(h.ID))
	}
	if !h.CreatedAt.IsZero() {
		f[fieldCreated] = moment(h.CreatedAt)
	}
	if !h.ExpiresAt.IsZero() {
		f[fieldExpires] = moment(h.ExpiresAt)
		f[fieldByExpiry] = bytesValue(sortKey(h.ExpiresAt, h.ID))
		if !chunked { // a policy would leave the chunks behind
			f[fieldPurge] = moment(earlier(h.ExpiresAt.Add(purgeAfter), lastMoment))
		}
	}
	if !h.AlarmAt.IsZero() {
		f[fieldAlarm] = moment(h.AlarmAt)
		f[fieldByAlarm] = bytesValue(sortKey(h.AlarmAt, h.ID))
	}
	return f
}

func decodeHead(id string, doc *pb.Document) (session.Head, error) {
	f := doc.GetFields()
	h := session.Head{
		ID:          id,
		Commit:      f[fieldCommit].GetIntegerValue(),
		Version:     f[fieldVersion].GetIntegerValue(),
		Initialized: f[fieldInitialized].GetBooleanValue(),
		Present:     f[fieldPresent].GetBooleanValue(),
		CreatedAt:   timeOf(f[fieldCreated]),
		UpdatedAt:   timeOf(f[fieldUpdated]),
		ExpiresAt:   timeOf(f[fieldExpires]),
		AlarmAt:     timeOf(f[fieldAlarm]),
	}
	if h.Commit < 1 {
		return session.Head{}, fmt.Errorf("stored session %q: commit is %d", id, h.Commit)
	}
	return h, nil
}

// sortKey orders by time and then by id, as bytes: one field with the index that every field has by itself does what would
// take a composite index, and ids keep their order whatever their documents are called.
func sortKey(t time.Time, id string) []byte {
	return append(timeKey(t), id...)
}

func timeKey(t time.Time) []byte {
	const sign = 1 << 63 // flipped, so that times before 1970 come first
	return binary.BigEndian.AppendUint64(nil, uint64(t.UnixMicro())^sign)
}

// layoutFrom reads the layout out of a document that has at least the peekFields.
func layoutFrom(doc *pb.Document) layout {
	l := layout{Commit: doc.GetFields()[fieldCommit].GetIntegerValue(), Updated: updatedAt(doc.GetUpdateTime())}
	for key, v := range doc.GetFields()[fieldParts].GetMapValue().GetFields() {
		name, err := unescape(key)
		if err != nil {
			continue // not ours, so not ours to replace
		}
		f := v.GetMapValue().GetFields()
		if l.Parts == nil {
			l.Parts = map[session.PartName]place{}
		}
		l.Parts[session.PartName(name)] = place{
			Tag:    f[fieldTag].GetStringValue(),
			Stored: int(f[fieldStored].GetIntegerValue()),
			Chunks: int(f[fieldChunks].GetIntegerValue()),
		}
	}
	return l
}
