package sqlsession

import (
	"database/sql"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/session"
)

// headRow is a row of sessions without its ring.
type headRow struct {
	session.Head
	tag                                int64
	created, updated, expires, alarmed int64
}

// fields are where headColumns are read to.
func (h *headRow) fields() []any {
	return []any{&h.Commit, &h.tag, &h.Version, &h.Initialized, &h.Present, &h.created, &h.updated, &h.expires, &h.alarmed}
}

func (h *headRow) head() session.Head {
	h.CreatedAt, h.UpdatedAt = sqldb.Time(h.created), sqldb.Time(h.updated)
	h.ExpiresAt, h.AlarmAt = sqldb.Time(h.expires), sqldb.Time(h.alarmed)
	return h.Head
}

// knowledge is what need not be read again.
type knowledge struct {
	record   *session.Record
	tag      int64
	partTags []int64
	parts    map[int64]session.Part
}

func newKnowledge(known *session.Record) knowledge {
	k := knowledge{record: known, partTags: []int64{}, parts: map[int64]session.Part{}}
	if known == nil {
		return k
	}
	k.tag, _ = parseRecordTag(known.Tag)
	for _, p := range known.Parts {
		if tag := parseTag(p.Tag); tag != 0 {
			k.partTags = append(k.partTags, tag)
			k.parts[tag] = p
		}
	}
	return k
}

// read makes a record of the rows of queries.load.
func (k knowledge) read(id string, rows *sql.Rows) (*session.Record, error) {
	var r *session.Record
	var tag int64
	var names []string
	parts := map[session.PartName]session.Part{}
	for rows.Next() {
		var (
			h    headRow
			name session.PartName
			body []byte
		)
		if err := rows.Scan(append([]any{&name, &body}, h.fields()...)...); err != nil {
			return nil, err
		}
		if name == "" {
			if h.tag == k.tag {
				return k.record, rows.Err()
			}
			h.ID = id
			tag, r = h.tag, &session.Record{Head: h.head(), Parts: parts}
			if err := r.Ring.UnmarshalBinary(body); err != nil {
				return nil, err
			}
			continue
		}
		p, ok := k.parts[h.tag]
		if !ok {
			p = session.Part{Data: body, Tag: formatTag(h.tag)}
		}
		parts[name], names = p, append(names, string(name))
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if r == nil {
		return nil, session.ErrNotFound
	}
	r.Tag = formatRecordTag(tag, names)
	return r, nil
}
