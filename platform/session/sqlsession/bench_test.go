package sqlsession_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/sessiontest"
	"vibesdk-gcp/platform/session/sqlsession"
)

func BenchmarkSQLite(b *testing.B) { benchmark(b, newSQLite) }

func BenchmarkPostgres(b *testing.B) { benchmark(b, testenv.Postgres) }

// benchmark measures what one would write by hand, Raw and RawSessions, and then the same through driver and store.
func benchmark(b *testing.B, address func(testing.TB) string) {
	b.Run("Raw", func(b *testing.B) {
		raw := newRaw(b, address(b), 1)
		for n := int64(0); b.Loop(); n++ {
			raw.update(b, 0, n)
		}
	})
	b.Run("RawSessions", func(b *testing.B) {
		const callers, sessions = 64, 1000
		raw := newRaw(b, address(b), sessions)
		var turn atomic.Int64
		var rows [sessions]struct {
			sync.Mutex
			commits int64
		}
		var group sync.WaitGroup
		b.ResetTimer()
		for range callers {
			group.Go(func() {
				for n := turn.Add(1); n <= int64(b.N); n = turn.Add(1) {
					row := &rows[n%sessions]
					row.Lock()
					raw.update(b, n%sessions, row.commits)
					row.commits++
					row.Unlock()
				}
			})
		}
		group.Wait()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mutations/s")
	})
	sessiontest.Bench(b, func(tb testing.TB) func() session.Driver {
		url := address(tb)
		migrated(tb, url)
		return func() session.Driver { return sqlsession.New(open(tb, url)) }
	})
}

// raw is a table of counters beside as many bytes as a session of the benchmark has.
type raw struct {
	db    *sqldb.DB
	query string
	body  []byte
}

func newRaw(b *testing.B, address string, rows int) *raw {
	b.Helper()
	r := sessiontest.BenchRecord("s")
	ring, err := r.Ring.MarshalBinary()
	if err != nil {
		b.Fatal(err)
	}
	db := open(b, address)
	raw := &raw{
		db: db, query: db.Dialect.SQL("UPDATE raw SET commits = commits + 1, body = $1 WHERE id = $2 AND commits = $3"),
		body: append(ring, r.Parts[session.PartState].Data...),
	}
	create := "CREATE TABLE raw (id TEXT PRIMARY KEY, commits BIGINT, body BLOB)"
	if db.Dialect == sqldb.Postgres {
		create = "CREATE TABLE raw (id TEXT PRIMARY KEY, commits BIGINT, body BYTEA); ALTER TABLE raw ALTER body SET STORAGE EXTERNAL"
	}
	if _, err := db.W.Exec(create); err != nil {
		b.Fatal(err)
	}
	for i := range rows {
		if _, err := db.W.Exec(db.Dialect.SQL("INSERT INTO raw VALUES ($1, 0, $2)"), fmt.Sprint("session-", i), raw.body); err != nil {
			b.Fatal(err)
		}
	}
	return raw
}

// update is the conditional write of one row.
func (r *raw) update(b *testing.B, row, commits int64) {
	result, err := r.db.W.ExecContext(context.WithoutCancel(b.Context()), r.query, r.body, fmt.Sprint("session-", row), commits)
	if err != nil {
		b.Error(err)
		return
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		b.Errorf("wrote %d rows, %v", n, err)
	}
}
