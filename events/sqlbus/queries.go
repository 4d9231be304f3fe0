package sqlbus

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"vibesdk-gcp/internal/sqldb"
)

// chunks are the row counts for which an INSERT is prepared, largest first.
var chunks = []int{64, 16, 4, 1}

// queries are the prepared statements. Those of a turn run in its transaction and work on whole sets: a turn costs
// as many round trips to Postgres for a hundred messages as for one.
type queries struct {
	register, registered *sql.Stmt

	lockKeys, tryLockKeys *sql.Stmt // nil on SQLite
	drawIDs               *sql.Stmt
	lanesOfKeys           *sql.Stmt
	insertLanes           map[int]*sql.Stmt // by number of rows
	insertMessages        map[int]*sql.Stmt

	probe, firstDue *sql.Stmt // earliest due of a subscription's free lanes, outside and inside a turn
	claimSingles    *sql.Stmt // unordered lanes with the size of their message
	claimKeys       *sql.Stmt // ordered lanes
	heads           *sql.Stmt // the first messages of ordered lanes, without their content
	fetch           *sql.Stmt // the content of messages
	own             *sql.Stmt
	postpone        *sql.Stmt // changes the due time of a lane that this turn has locked

	finishLanes    *sql.Stmt // deletes leased lanes
	freeLanes      *sql.Stmt // frees leased lanes whose first message is fresh
	free           *sql.Stmt // frees one leased lane
	finishMessages *sql.Stmt
	retire         *sql.Stmt // deletes lanes without messages

	beat, addOwner, listOwners        *sql.Stmt
	takeOwner, freeOwned, removeOwner *sql.Stmt

	all []*sql.Stmt
}

func prepare(ctx context.Context, db *sqldb.DB) (*queries, error) {
	q := &queries{insertLanes: map[int]*sql.Stmt{}, insertMessages: map[int]*sql.Stmt{}}
	var errs []error
	on := func(pool *sql.DB, query string) *sql.Stmt {
		stmt, err := pool.PrepareContext(ctx, db.Dialect.SQL(query))
		if err != nil {
			errs = append(errs, fmt.Errorf("prepare %.40q: %w", query, err))
			return nil
		}
		q.all = append(q.all, stmt)
		return stmt
	}
	write := func(query string) *sql.Stmt { return on(db.W, query) }
	in := db.Dialect.In

	q.register = write(`INSERT INTO bus_subscriptions (name, topic) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`)
	q.registered = write(`SELECT id, topic FROM bus_subscriptions WHERE name = $1`)

	if db.Dialect == sqldb.Postgres {
		q.lockKeys = write(`SELECT pg_advisory_xact_lock($1::int, stripe) FROM unnest($2::int[]) AS stripe`)
		q.tryLockKeys = write(`SELECT stripe FROM unnest($2::int[]) AS stripe WHERE pg_try_advisory_xact_lock($1::int, stripe)`)
		q.drawIDs = write(`SELECT nextval('bus_ids') FROM generate_series(1, $1::bigint)`)
		q.heads = write(`SELECT m.lane, m.seq, m.size, m.not_before FROM unnest($1::bigint[]) AS l (id) CROSS JOIN LATERAL (
			SELECT lane, seq, size, not_before FROM bus_messages WHERE lane = l.id ORDER BY seq LIMIT $2) AS m`)
	} else {
		q.drawIDs = write(`UPDATE bus_ids SET next = next + $1 RETURNING next`)
		q.heads = write(`SELECT m.lane, m.seq, m.size, m.not_before FROM json_each($1) AS l JOIN bus_messages m ON m.seq IN (
			SELECT seq FROM bus_messages WHERE lane = l.value ORDER BY seq LIMIT $2)`)
	}
	q.lanesOfKeys = write(`SELECT id, key FROM bus_lanes WHERE sub = $1 AND ` + in("key", "$2", "text"))
	for _, rows := range chunks {
		q.insertLanes[rows] = write(`INSERT INTO bus_lanes (id, sub, key, due, owner, attempts) VALUES ` +
			values(rows, laneColumns, ", 0, 0"))
		q.insertMessages[rows] = write(`INSERT INTO bus_messages
			(seq, lane, size, accepted, id, type, source, time, not_before, attributes, data) VALUES ` +
			values(rows, messageColumns, ""))
	}

	const firstDue = `SELECT due FROM bus_lanes WHERE owner = 0 AND sub = $1 ORDER BY due LIMIT 1`
	q.probe, q.firstDue = on(db.R, firstDue), write(firstDue)
	q.claimSingles = write(`SELECT l.id, l.attempts, m.size FROM bus_lanes l JOIN bus_messages m ON m.seq = l.id
		WHERE l.owner = 0 AND l.sub = $1 AND l.due >= $2 AND l.due <= $3
		ORDER BY l.due, l.id LIMIT $4` + db.Dialect.SkipLockedOf("l"))
	q.claimKeys = write(`SELECT id, key, attempts FROM bus_lanes
		WHERE owner = 0 AND sub = $1 AND due >= $2 AND due <= $3
		ORDER BY due, id LIMIT $4` + db.Dialect.SkipLocked())
	q.fetch = write(`SELECT seq, id, type, source, time, not_before, attributes, data FROM bus_messages WHERE ` +
		in("seq", "$1", "bigint"))
	q.own = write(`UPDATE bus_lanes SET owner = $1 WHERE ` + in("id", "$2", "bigint"))
	q.postpone = write(`UPDATE bus_lanes SET due = $1 WHERE id = $2`)

	// The plus keeps SQLite from walking all lanes of the owner by index.
	q.finishLanes = write(`DELETE FROM bus_lanes WHERE +owner = $1 AND ` + in("id", "$2", "bigint") + ` RETURNING id`)
	q.freeLanes = write(`UPDATE bus_lanes SET owner = 0, due = 0, attempts = 0
		WHERE +owner = $1 AND ` + in("id", "$2", "bigint") + ` RETURNING id`)
	q.free = write(`UPDATE bus_lanes SET owner = 0, due = $1, attempts = $2 WHERE id = $3 AND owner = $4`)
	q.finishMessages = write(`DELETE FROM bus_messages WHERE ` + in("seq", "$1", "bigint"))
	q.retire = write(`DELETE FROM bus_lanes WHERE ` + in("id", "$1", "bigint") + `
		AND NOT EXISTS (SELECT 1 FROM bus_messages m WHERE m.lane = bus_lanes.id) RETURNING id`)

	q.beat = write(`UPDATE bus_owners SET beat = beat + 1 WHERE id = $1`)
	q.addOwner = write(`INSERT INTO bus_owners (id, process, beat) VALUES ($1, $2, 1)`)
	q.listOwners = on(db.R, `SELECT id, process, beat FROM bus_owners`)
	q.takeOwner = write(`DELETE FROM bus_owners WHERE id = $1 AND beat = $2`)
	q.freeOwned = write(`UPDATE bus_lanes SET owner = 0, due = 0, attempts = attempts + 1 WHERE owner = $1`)
	q.removeOwner = write(`DELETE FROM bus_owners WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM bus_lanes WHERE owner = $1)`)
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, q.close())
	}
	return q, nil
}

// laneColumns and messageColumns are how many placeholders a row of an INSERT has.
const laneColumns, messageColumns = 4, 11

// values lists rows of placeholders, each row ended by the given constants.
func values(rows, columns int, constants string) string {
	var b strings.Builder
	for row := range rows {
		if row > 0 {
			b.WriteString(", ")
		}
		b.WriteByte('(')
		for column := range columns {
			if column > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "$%d", row*columns+column+1)
		}
		b.WriteString(constants + ")")
	}
	return b.String()
}

func (q *queries) close() error {
	errs := make([]error, 0, len(q.all))
	for _, stmt := range q.all {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(errs...)
}
