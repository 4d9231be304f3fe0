package sqlsession_test

import (
	"path/filepath"
	"testing"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/sessiontest"
	"vibesdk-gcp/platform/session/sqlsession"
	"vibesdk-gcp/schemas"
)

func newSQLite(tb testing.TB) string { return "sqlite:" + filepath.Join(tb.TempDir(), "test.db") }

func TestSQLite(t *testing.T) {
	t.Parallel()
	run(t, newSQLite)
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	run(t, testenv.Postgres)
}

// each runs a test on an empty database of either kind.
func each(t *testing.T, test func(t *testing.T, address string)) {
	t.Helper()
	for name, address := range map[string]func(testing.TB) string{"sqlite": newSQLite, "postgres": testenv.Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, address(t))
		})
	}
}

func run(t *testing.T, newAddress func(t testing.TB) string) {
	sessiontest.Run(t, func(t testing.TB) func() session.Driver {
		address := newAddress(t)
		migrated(t, address)
		return func() session.Driver { return sqlsession.New(open(t, address)) }
	}, sessiontest.Features{})
}

func migrated(tb testing.TB, address string) *sqldb.DB {
	tb.Helper()
	db := open(tb, address)
	if err := db.Migrate(tb.Context(), schemas.SQL()); err != nil {
		tb.Fatal(err)
	}
	return db
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
