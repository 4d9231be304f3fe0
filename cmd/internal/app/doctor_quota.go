package app

import (
	"context"
	"time"

	"vibesdk-gcp/internal/checkup"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/ratelimit/redislimit"
)

const (
	// connsPerProcess is what one process opens at most: its pool, and a connection that listens.
	connsPerProcess = sqldb.DefaultMaxConns + 1
	// redisPatience is how long a look waits for Redis: longer than a decision does, for a person waits.
	redisPatience = 10 * time.Second
)

// connections asks Postgres how many connections it takes from clients, and how many there are.
const connections = `
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
		- COALESCE(current_setting('reserved_connections', true)::int, 0),
	(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')`

// checkConnections holds the pools of our processes against what Postgres takes.
func checkConnections(ctx context.Context, db *sqldb.DB) []checkup.Finding {
	f := checkup.About("database connections")
	var limit, used int64
	if err := db.R.QueryRowContext(ctx, connections).Scan(&limit, &used); err != nil {
		f.Skip("cannot be counted: %v", err)
		return f.Else("")
	}
	judgeConnections(f, limit, used)
	return f.Else("%d of %d are used; the pools of %d processes fit", used, limit, limit/connsPerProcess)
}

// judgeConnections says what limits mean for processes of ours. An installation has one for each role at least, but for the ticker.
func judgeConnections(f *checkup.Findings, limit, used int64) {
	const fix = "raise max_connections (sql.max_connections in Terraform), or run fewer processes: each opens up to 9"
	least := int64(len(AllRoles())-1) * connsPerProcess
	switch {
	case limit < connsPerProcess:
		f.Fail(fix, "the database takes %d, one process may open %d", limit, connsPerProcess)
		return
	case limit < least:
		f.Warn(fix, "the database takes %d; with a process for each role they may open %d", limit, least)
	}
	f.Quota(fix, "connections", used, limit)
}

func checkRedis(ctx context.Context, c Config) []checkup.Finding {
	f := checkup.About("Redis")
	if c.Limit.Backend != "redis" {
		f.Skip("LIMIT_BACKEND is %s", c.Limit.Backend)
		return f.Else("")
	}
	backend, err := redislimit.Open(c.Limit.RedisURL, redislimit.Options{Timeout: redisPatience, DialTimeout: redisPatience})
	if err != nil {
		f.Fail("set REDIS_URL as vibed has it", "%v", err)
		return f.Else("")
	}
	defer func() { _ = backend.Close() }() // nothing was charged
	return backend.Check(ctx)
}
