package sqlsession_test

import (
	"context"
	"os"
	"testing"

	"vibesdk-gcp/internal/sqldb"
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

func TestCrash(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, address string) {
		sessiontest.Crash(t, address, sqlsession.New(migrated(t, address)))
	})
}
