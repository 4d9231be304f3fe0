package sqlsession_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/sessiontest"
	"vibesdk-gcp/platform/session/sqlsession"
)

func TestMain(m *testing.M) {
	sessiontest.CrashMain(func(ctx context.Context, address string) (session.Driver, error) {
		db, err := sqldb.Open(ctx, address, sqldb.Options{})
		if err != nil {
			return nil, err
		}
		return sqlsession.New(db), nil
	})
	os.Exit(m.Run())
}

func TestCrashSQLite(t *testing.T) {
	t.Parallel()
	crash(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"))
}

func TestCrashPostgres(t *testing.T) {
	t.Parallel()
	crash(t, testenv.Postgres(t))
}

func crash(t *testing.T, address string) {
	sessiontest.Crash(t, address, sqlsession.New(migrated(t, address)))
}
