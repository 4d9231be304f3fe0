package sqllimit

import "vibesdk-gcp/internal/sqldb"

type statements struct {
	lock, read, write, extend, reset string
	remember, unremember             string
	idle, sweepIdle, sweep, sweepIDs string
	head, whole, adjusted, list      string
}

func statementsFor(d sqldb.Dialect) statements {
	s := statements{
		// Cells that the key keeps longer than when they were written.
		extend: d.SQL(`UPDATE ratelimit_cells SET expires_at = expires_at + $2 WHERE key = $1 AND cell <> ''`),
		reset:  d.SQL(`DELETE FROM ratelimit_cells WHERE key = $1`),
		remember: d.SQL(`INSERT INTO ratelimit_adjusted (key, id, expires_at) VALUES ($1, $2, $3)
			ON CONFLICT (key, id) DO NOTHING`),
		unremember: d.SQL(`DELETE FROM ratelimit_adjusted WHERE key = $1 AND id = $2`),
		idle:       d.SQL(`SELECT key FROM ratelimit_cells WHERE expires_at < $1 AND cell = '' LIMIT $2`),
		sweepIdle: d.SQL(`DELETE FROM ratelimit_cells WHERE key IN (
			SELECT key FROM ratelimit_cells WHERE cell = '' AND expires_at < $1 AND ` + d.In("key", "$2", "text") + `)`),
		sweep: d.SQL(`DELETE FROM ratelimit_cells WHERE (key, cell) IN (
			SELECT key, cell FROM ratelimit_cells WHERE expires_at < $1 AND cell <> '' LIMIT $2) AND expires_at < $1`),
		sweepIDs: d.SQL(`DELETE FROM ratelimit_adjusted WHERE (key, id) IN (
			SELECT key, id FROM ratelimit_adjusted WHERE expires_at < $1 LIMIT $2)`),
		head:     d.SQL(`SELECT data FROM ratelimit_cells WHERE key = $1 AND cell = ''`),
		whole:    d.SQL(`SELECT cell, data FROM ratelimit_cells WHERE key = $1`),
		adjusted: d.SQL(`SELECT id, expires_at FROM ratelimit_adjusted WHERE key = $1`),
		// Each half ends by itself, so that a page costs no more than a page.
		list: d.SQL(`SELECT key FROM (
				SELECT * FROM (SELECT key FROM ratelimit_cells WHERE cell = '' AND key > $1 ORDER BY key LIMIT $2) AS counted
				UNION SELECT * FROM (SELECT DISTINCT key FROM ratelimit_adjusted WHERE key > $1 ORDER BY key LIMIT $2) AS adjusted
			) AS known ORDER BY key LIMIT $2`),
	}
	if d == sqldb.Postgres {
		// The locks come one after the other in the order given, so callers that sort never wait in a circle. They are
		// held before any later statement takes its snapshot. The clock is read when they are held.
		s.lock = `WITH held AS MATERIALIZED (SELECT pg_advisory_xact_lock(k) FROM unnest($1::bigint[]) AS k)
			SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, set_config('synchronous_commit', $2, true), count(*) FROM held`
		// The fence keeps this from becoming a join: a plan made while the table was small, and then kept, would read all of it.
		s.read = `SELECT w.key, w.cell, c.data FROM unnest($1::text[], $2::text[]) AS w (key, cell),
			LATERAL (SELECT data FROM ratelimit_cells AS r WHERE r.key = w.key AND r.cell = w.cell OFFSET 0) AS c`
		s.write = `INSERT INTO ratelimit_cells (key, cell, data, expires_at)
			SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[])
			ON CONFLICT (key, cell) DO UPDATE SET data = excluded.data, expires_at = excluded.expires_at`
		return s
	}
	s.read = `SELECT c.key, c.cell, c.data FROM json_each(?1) AS w
		CROSS JOIN ratelimit_cells AS c ON c.key = w.value ->> 0 AND c.cell = w.value ->> 1`
	s.write = `INSERT INTO ratelimit_cells (key, cell, data, expires_at) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (key, cell) DO UPDATE SET data = excluded.data, expires_at = excluded.expires_at`
	return s
}
