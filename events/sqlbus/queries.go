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

const messageColumns = "id, type, source, time, not_before, attributes, data"

// queries are the prepared statements. Those of a turn run in its transaction.
type queries struct {
	register, registered *sql.Stmt

	lockKeys, tryLockKey *sql.Stmt // nil on SQLite
	drawIDs              *sql.Stmt
	lanesOfKeys          *sql.Stmt
	insertLanes          map[int]*sql.Stmt
	insertMessages       map[int]*sql.Stmt

	probe, firstDue        *sql.Stmt // earliest due of a subscription's free lanes, outside and inside a turn
	claimSingles           *sql.Stmt // unordered: lane and message in one row
	claimKeys              *sql.Stmt // ordered: lanes
	run                    *sql.Stmt // ordered: messages of a lane
	own                    *sql.Stmt
	beat, addOwner         *sql.Stmt
	finishLanes            *sql.Stmt // deletes leased lanes
	finishMessages         *sql.Stmt // deletes the messages of lanes
	free                   *sql.Stmt // frees one leased lane
	postpone               *sql.Stmt // changes the due time of a free lane
	finishRun              *sql.Stmt // deletes the first messages of a lane
	retire                 *sql.Stmt // deletes a lane without messages
	listOwners, takeOwner  *sql.Stmt
	freeOwned, removeOwner *sql.Stmt

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
		q.tryLockKey = write(`SELECT pg_try_advisory_xact_lock($1::int, $2::int)`)
		q.drawIDs = write(`SELECT nextval('bus_ids') FROM generate_series(1, $1::bigint)`)
	} else {
		q.drawIDs = write(`UPDATE bus_ids SET next = next + $1 RETURNING next`)
	}
	q.lanesOfKeys = write(`SELECT id, key FROM bus_lanes WHERE sub = $1 AND ` + in("key", "$2", "text"))
	for _, rows := range chunks {
		q.insertLanes[rows] = write(`INSERT INTO bus_lanes (id, sub, key, due, owner, attempts) VALUES ` +
			values(rows, 4, ", 0, 0"))
		q.insertMessages[rows] = write(`INSERT INTO bus_messages (lane, seq, accepted, ` + messageColumns + `) VALUES ` +
			values(rows, 10, ""))
	}

	const firstDue = `SELECT due FROM bus_lanes WHERE owner = 0 AND sub = $1 ORDER BY due LIMIT 1`
	q.probe, q.firstDue = on(db.R, firstDue), write(firstDue)
	q.claimSingles = write(`SELECT l.id, l.attempts, m.seq, m.` + strings.ReplaceAll(messageColumns, ", ", ", m.") + `
		FROM bus_lanes l JOIN bus_messages m ON m.lane = l.id
		WHERE l.owner = 0 AND l.sub = $1 AND l.due >= $2 AND l.due <= $3
		ORDER BY l.due, l.id LIMIT $4` + db.Dialect.SkipLockedOf("l"))
	q.claimKeys = write(`SELECT id, key, attempts FROM bus_lanes
		WHERE owner = 0 AND sub = $1 AND due >= $2 AND due <= $3
		ORDER BY due, id LIMIT $4` + db.Dialect.SkipLocked())
	q.run = write(`SELECT seq, ` + messageColumns + ` FROM bus_messages WHERE lane = $1 ORDER BY seq LIMIT $2`)
	q.own = write(`UPDATE bus_lanes SET owner = $1 WHERE ` + in("id", "$2", "bigint"))
	q.postpone = write(`UPDATE bus_lanes SET due = $1 WHERE id = $2`)

	// The plus keeps SQLite from walking all lanes of the owner by index.
	q.finishLanes = write(`DELETE FROM bus_lanes WHERE +owner = $1 AND ` + in("id", "$2", "bigint") + ` RETURNING id`)
	q.finishMessages = write(`DELETE FROM bus_messages WHERE ` + in("lane", "$1", "bigint"))
	q.free = write(`UPDATE bus_lanes SET owner = 0, due = $1, attempts = $2 WHERE id = $3 AND owner = $4`)
	q.finishRun = write(`DELETE FROM bus_messages WHERE lane = $1 AND seq <= $2`)
	q.retire = write(`DELETE FROM bus_lanes WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM bus_messages WHERE lane = $1)`)

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
