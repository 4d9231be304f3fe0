package sqlbus_test

import (
	"path/filepath"
	"testing"

	"vibesdk-gcp/events/eventstest"
	"vibesdk-gcp/internal/testenv"
)

// BenchmarkPublishHandle measures the bus beside what the same SQLite does for plain inserts of the same 200 bytes,
// so that one run gives the ratios: RawSingle is a durable transaction for each row, RawBatch one for 100 rows.
// The bus writes three times for each message: publication, claim, settlement.
func BenchmarkPublishHandle(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		var base eventstest.Baseline
		b.Run("RawSingle", func(b *testing.B) { base.Single = raw(b, 1) })
		b.Run("RawBatch", func(b *testing.B) { base.Batch = raw(b, 100) })
		eventstest.Bench(b, onSQLite, base)
	})
	b.Run("postgres", func(b *testing.B) {
		testenv.Postgres(b) // skips all of them at once
		eventstest.Bench(b, onPostgres)
	})
}

// raw inserts b.N rows into a table of two columns, so many in each transaction.
func raw(b *testing.B, rows int) (rate float64) {
	db := open(b, "sqlite:"+filepath.Join(b.TempDir(), "raw.db"))
	if _, err := db.W.Exec("CREATE TABLE raw (id INTEGER PRIMARY KEY, data BLOB)"); err != nil {
		b.Fatal(err)
	}
	insert, err := db.W.Prepare("INSERT INTO raw (data) VALUES (?)")
	if err != nil {
		b.Fatal(err)
	}
	defer insert.Close()
	data := make([]byte, 200)
	b.ResetTimer()
	for left := b.N; left > 0; left -= rows {
		tx, err := db.W.Begin()
		if err != nil {
			b.Fatal(err)
		}
		for range min(rows, left) {
			if _, err := tx.Stmt(insert).Exec(data); err != nil {
				b.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	rate = float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate, "msg/s")
	return rate
}
