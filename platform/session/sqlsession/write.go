package sqlsession

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/session"
)

// write is one commit in the form in which it is stored.
type write struct {
	// stored is what the caller gets: the record with all tags.
	stored *session.Record
	// before and beforeTag are what must be stored now. Tag 0 is not compared.
	before, beforeTag int64
	// head are the values of headColumns and the ring.
	head []any
	// kept are the names of all parts; the others below are those to be written.
	kept, names []string
	tags        []int64
	data        [][]byte
}

func newWrite(next *session.Record) (*write, error) {
	if next.Commit < 1 {
		return nil, fmt.Errorf("commit is %d, the least is 1", next.Commit)
	}
	if size := next.Size(); size > session.MaxRecord {
		return nil, tooLarge("the record", size, session.MaxRecord)
	}
	stored := *next
	stored.CreatedAt, stored.UpdatedAt = sqldb.Time(sqldb.Micros(next.CreatedAt)), sqldb.Time(sqldb.Micros(next.UpdatedAt))
	stored.ExpiresAt, stored.AlarmAt = sqldb.Time(sqldb.Micros(next.ExpiresAt)), sqldb.Time(sqldb.Micros(next.AlarmAt))
	stored.Parts = make(map[session.PartName]session.Part, len(next.Parts))
	w := &write{stored: &stored, before: next.Commit - 1, beforeTag: parseTag(next.Tag), kept: []string{}}
	for _, name := range slices.Sorted(maps.Keys(next.Parts)) {
		p := next.Parts[name]
		if len(p.Data) > session.MaxPart {
			return nil, tooLarge("part "+string(name), len(p.Data), session.MaxPart)
		}
		w.kept = append(w.kept, string(name))
		if p.Tag != "" && w.before > 0 {
			stored.Parts[name] = p
			continue
		}
		tag := newTag()
		w.names, w.tags, w.data = append(w.names, string(name)), append(w.tags, tag), append(w.data, p.Data)
		stored.Parts[name] = session.Part{Data: p.Data, Tag: formatTag(tag)}
	}
	ring, err := next.Ring.MarshalBinary()
	if err != nil {
		return nil, err
	}
	tag := newTag()
	stored.Tag = formatTag(tag)
	w.head = []any{
		next.ID, next.Commit, tag, next.Version, next.Initialized, next.Present, sqldb.Micros(next.CreatedAt),
		sqldb.Micros(next.UpdatedAt), sqldb.Micros(next.ExpiresAt), sqldb.Micros(next.AlarmAt), ring,
	}
	return w, nil
}

// size is about how many bytes are written.
func (w *write) size() int {
	n := 0
	for _, data := range w.data {
		n += len(data)
	}
	return n
}

// args are the arguments of Postgres' statements.
func (w *write) args() []any {
	args := append(slices.Clip(w.head), w.kept, w.names, w.tags, w.data)
	if w.before > 0 {
		args = append(args, w.before, w.beforeTag)
	}
	return args
}

// newTag draws a tag; 0 is none.
func newTag() int64 {
	for {
		if tag := int64(rand.Uint64()); tag != 0 { //nolint:gosec // tags are compared, not kept secret
			return tag
		}
	}
}

func formatTag(tag int64) string { return strconv.FormatInt(tag, 36) }

// parseTag reads a tag, and 0 from what is none.
func parseTag(text string) int64 {
	tag, err := strconv.ParseInt(text, 36, 64)
	if err != nil {
		return 0
	}
	return tag
}
