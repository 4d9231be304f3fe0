package sqlsession

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

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
	// kept are the names of all parts. drop says that there may be others, to be removed.
	kept []string
	drop bool
	// These are the parts to be written.
	names []string
	tags  []int64
	data  [][]byte
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
	beforeTag, beforeNames := parseRecordTag(next.Tag)
	w := &write{stored: &stored, before: next.Commit - 1, beforeTag: beforeTag, kept: []string{}}
	w.drop = w.before > 0 && (beforeTag == 0 || slices.ContainsFunc(beforeNames, func(name string) bool {
		_, ok := next.Parts[session.PartName(name)]
		return !ok
	}))
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
	stored.Tag = formatRecordTag(tag, w.kept)
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
	args := append(slices.Clip(w.head), w.names, w.tags, w.data)
	if w.before > 0 {
		args = append(args, w.before, w.beforeTag)
	}
	if w.drop {
		args = append(args, w.kept)
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

// formatRecordTag makes the tag of a record. It names the parts, so that the next commit knows whether it has any to
// remove.
func formatRecordTag(tag int64, names []string) string {
	return strings.Join(append([]string{formatTag(tag)}, names...), "\n")
}

func parseRecordTag(text string) (tag int64, names []string) {
	list := strings.Split(text, "\n")
	return parseTag(list[0]), list[1:]
}
