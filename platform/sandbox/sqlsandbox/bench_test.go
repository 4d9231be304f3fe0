package sqlsandbox_test

import (
	"path/filepath"
	"testing"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/sandbox/sandboxtest"
	"vibesdk-gcp/platform/sandbox/sqlsandbox"
	"vibesdk-gcp/schemas"
)

// BenchmarkUpdate compares Records.Update (read, decide, conditional write) with the bare UPDATE of one column.
func BenchmarkUpdate(b *testing.B) {
	for _, backend := range []struct {
		name    string
		address func(b *testing.B) string
	}{
		{"sqlite", func(b *testing.B) string { return "sqlite:" + filepath.Join(b.TempDir(), "bench.db") }},
		{"postgres", func(b *testing.B) string { return testenv.Postgres(b) }},
	} {
		b.Run(backend.name, func(b *testing.B) {
			db := open(b, backend.address(b))
			if err := db.Migrate(b.Context(), schemas.SQL()); err != nil {
				b.Fatal(err)
			}
			benchmarkUpdate(b, db)
		})
	}
}

func benchmarkUpdate(b *testing.B, db *sqldb.DB) {
	d := sqlsandbox.New(db)
	r := sandboxtest.NewRecord("bench")
	if err := d.Create(b.Context(), r, sandbox.Spec{}); err != nil {
		b.Fatal(err)
	}
	b.Run("records", func(b *testing.B) {
		records := sandbox.NewRecords(d)
		for b.Loop() {
			if _, err := records.Update(b.Context(), r.ID, func(r *sandbox.Record) error { r.Restarts++; return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("raw", func(b *testing.B) {
		query := db.Dialect.SQL("UPDATE sandboxes SET restarts = restarts + 1 WHERE id = $1")
		for b.Loop() {
			if _, err := db.W.ExecContext(b.Context(), query, r.ID); err != nil {
				b.Fatal(err)
			}
		}
	})
}
