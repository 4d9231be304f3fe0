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
	deploymenttest.Run(t, func(t *testing.T) deployment.Driver {
		return open(t, "sqlite:"+filepath.Join(t.TempDir(), "deployments.db"))
	})
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	testenv.Postgres(t) // skips here, once, when there is none
	deploymenttest.Run(t, func(t *testing.T) deployment.Driver { return open(t, testenv.Postgres(t)) })
}

func open(t *testing.T, address string) *sqldeployment.Driver {
	t.Helper()
	db, err := sqldb.Open(t.Context(), address, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := db.Migrate(t.Context(), schemas.SQL()); err != nil {
		t.Fatal(err)
	}
	return sqldeployment.New(db)
}
