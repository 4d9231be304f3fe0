package sqlsession

import (
	"fmt"
	"math"
	"strings"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/session"
)

// headColumns are those of sessions between id and ring, in the order of [headRow] and [write].
const headColumns = "commits, tag, version, initialized, present, created_at, updated_at, expires_at, alarm_at"

const upsertPart = ` ON CONFLICT (session_id, name) DO UPDATE SET tag = excluded.tag, data = excluded.data`

type queries struct {
	dialect sqldb.Dialect
	load    string
	// create, replace and replaceAndDrop are Postgres' commits: everything in one statement.
	create, replace, replaceAndDrop string
	// insertHead, updateHead, putPart and dropParts are what a commit consists of on SQLite.
	insertHead, updateHead, putPart, dropParts string
	removeHead, removeParts, exists            string
	tags                                       string
}

func newQueries(dialect sqldb.Dialect) queries {
	q := func(text string) string { return dialect.SQL(text) }
	insertHead := "INSERT INTO sessions (id, " + headColumns + ", ring) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO NOTHING"
	var sets strings.Builder
	for i, column := range strings.Split(headColumns+", ring", ", ") {
		fmt.Fprintf(&sets, "%s = $%d, ", column, i+2)
	}
	updateHead := func(commits, tag string) string {
		return fmt.Sprintf("UPDATE sessions SET %s WHERE id = $1 AND commits = %s AND (tag = %s OR %s = 0)",
			strings.TrimSuffix(sets.String(), ", "), commits, tag, tag)
	}
	replaceHead := updateHead("$15", "$16::bigint")
	return queries{
		dialect: dialect,
		// The parts are looked at only when the head has another tag than the caller knows.
		load: q(`SELECT '' AS name, CASE WHEN tag = $2 THEN NULL ELSE ring END AS body, ` + headColumns + ` FROM sessions WHERE id = $1
			UNION ALL
			SELECT name, CASE WHEN ` + dialect.In("tag", "$3", "bigint") + ` THEN NULL ELSE data END,
				0, tag, 0, FALSE, FALSE, 0, 0, 0, 0 FROM session_parts
			WHERE session_id = $1 AND (SELECT tag FROM sessions WHERE id = $1) <> $2`),
		create:  commitAtOnce(insertHead, ""),
		replace: commitAtOnce(replaceHead, ""),
		replaceAndDrop: commitAtOnce(replaceHead,
			`, gone AS (DELETE FROM session_parts p USING head WHERE p.session_id = head.id AND p.name <> ALL ($17::text[]))`),
		insertHead:  q(insertHead),
		updateHead:  q(updateHead("$12", "$13")),
		putPart:     q("INSERT INTO session_parts (session_id, name, tag, data) VALUES ($1, $2, $3, $4)" + upsertPart),
		dropParts:   q("DELETE FROM session_parts WHERE session_id = $1 AND NOT (" + dialect.In("name", "$2", "text") + ")"),
		removeHead:  q("DELETE FROM sessions WHERE id = $1 AND commits = $2"),
		removeParts: q("DELETE FROM session_parts WHERE session_id = $1"),
		exists:      q("SELECT 1 FROM sessions WHERE id = $1"),
		tags:        q("SELECT id, tag FROM sessions WHERE " + dialect.In("id", "$1", "text")),
	}
}

// commitAtOnce makes one statement of the write of a head, and of its parts if that hit: $12 to $14 hold those to be
// written. It returns how many heads were written.
func commitAtOnce(head, drop string) string {
	return `WITH head AS (` + head + ` RETURNING id)` + drop + `,
		put AS (INSERT INTO session_parts (session_id, name, tag, data)
			SELECT head.id, new.name, new.tag, new.data
			FROM head, unnest($12::text[], $13::bigint[], $14::bytea[]) AS new (name, tag, data)` + upsertPart + `)
		SELECT count(*) FROM head`
}

func (q queries) list(by session.Query) (string, []any) {
	const from = "SELECT id, " + headColumns + " FROM sessions WHERE "
	column, until := "alarm_at", by.DueBy
	switch {
	case !by.DueBy.IsZero():
	case !by.ExpiredBy.IsZero():
		column, until = "expires_at", by.ExpiredBy
	default:
		return q.dialect.SQL(from + "present AND id > $1 ORDER BY id LIMIT $2"), []any{by.After, by.Limit}
	}
	after := int64(math.MinInt64)
	if !by.AfterTime.IsZero() {
		after = sqldb.Micros(by.AfterTime)
	}
	// <> 0 is spelled as in the index.
	return q.dialect.SQL(fmt.Sprintf("%[1]s%[2]s <> 0 AND %[2]s <= $1 AND (%[2]s, id) > ($2, $3) ORDER BY %[2]s, id LIMIT $4",
		from, column)), []any{sqldb.Micros(until), after, by.After, by.Limit}
}
