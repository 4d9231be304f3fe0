package sqldeployment_test

import (
	"path/filepath"
	"testing"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/deployment/deploymenttest"
	"vibesdk-gcp/platform/deployment/sqldeployment"
	"vibesdk-gcp/schemas"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	deploymenttest.Run(t, func(tb testing.TB) deployment.Driver {
		tb.Helper()
		return open(tb, sqlite(tb))
	})
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	testenv.Postgres(t) // skips here, once, when there is none
	deploymenttest.Run(t, func(tb testing.TB) deployment.Driver {
		tb.Helper()
		return open(tb, testenv.Postgres(tb))
	})
}

func sqlite(tb testing.TB) string {
	tb.Helper()
	return "sqlite:" + filepath.Join(tb.TempDir(), "deployments.db")
}

func open(tb testing.TB, address string) *sqldeployment.Driver {
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
	if err := db.Migrate(tb.Context(), schemas.SQL()); err != nil {
		tb.Fatal(err)
	}
	return sqldeployment.New(db)
}
