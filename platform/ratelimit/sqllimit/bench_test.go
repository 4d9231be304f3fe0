package sqllimit_test

import (
	"testing"

	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/ratelimit/ratelimittest"
)

func BenchmarkSQLite(b *testing.B) { ratelimittest.Bench(b, openSQLite) }

// BenchmarkPostgres also measures, on the same server, what a counter per window costs: one upsert that is refused
// above a limit, which knows neither buckets nor more than one window.
func BenchmarkPostgres(b *testing.B) {
	testenv.Postgres(b) // skips all of them at once
	ratelimittest.Bench(b, openPostgres)
	for name, keys := range map[string]int{"UpsertHot64": 1, "UpsertKeys64": 10_000} {
		b.Run(name, func(b *testing.B) {
			backend := openPostgres(b).(*backend)
			backend.db.W.SetMaxOpenConns(32)
			backend.db.W.SetMaxIdleConns(32)
			if _, err := backend.db.W.Exec("CREATE TABLE counters (k BIGINT PRIMARY KEY, n BIGINT NOT NULL) WITH (fillfactor = 50)"); err != nil {
				b.Fatal(err)
			}
			if _, err := backend.db.W.Exec("ALTER ROLE CURRENT_USER SET synchronous_commit = off"); err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _, _ = backend.db.W.Exec("ALTER ROLE CURRENT_USER RESET synchronous_commit") })
			backend.db.W.SetMaxIdleConns(0) // new connections have the setting
			backend.db.W.SetMaxIdleConns(32)
			ratelimittest.BenchClients(b, func(i int) error {
				var n int64
				return backend.db.W.QueryRow(`INSERT INTO counters AS c VALUES ($1, 1)
					ON CONFLICT (k) DO UPDATE SET n = c.n + 1 WHERE c.n < 1000000000 RETURNING n`, i%keys).Scan(&n)
			})
		})
	}
}
