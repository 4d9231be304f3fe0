package sqlsandbox_test

import (
	"path/filepath"
	"sync"
	"testing"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/sandbox/sandboxtest"
	"vibesdk-gcp/platform/sandbox/sqlsandbox"
	"vibesdk-gcp/schemas"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "test.db") })
}

func run(t *testing.T, newAddress func(t *testing.T) string) {
	var addresses sync.Map // of drivers, for a second one on the same database
	sandboxtest.RunRecords(t, func(t *testing.T) sandbox.RecordDriver {
		address := newAddress(t)
		db := open(t, address)
		if err := db.Migrate(t.Context(), schemas.SQL()); err != nil {
			t.Fatal(err)
		}
		d := sqlsandbox.New(db)
		addresses.Store(d, address)
		return d
	}, sandboxtest.RecordFeatures{
		Second: func(t *testing.T, first sandbox.RecordDriver) sandbox.RecordDriver {
			address, _ := addresses.Load(first)
			return sqlsandbox.New(open(t, address.(string)))
		},
	})
}

func open(tb testing.TB, address string) *sqldb.DB {
	tb.Helper()
	db, err := sqldb.Open(tb.Context(), address, sqldb.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}
