package sessiontest_test

import (
	"context"
	"path/filepath"
	"testing"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/sessiontest"
	"vibesdk-gcp/platform/session/sqlsession"
	"vibesdk-gcp/schemas"
)

// openSQLite opens the store that a killed process leaves behind; memory would die with it.
func openSQLite(ctx context.Context, address string) (session.Driver, error) {
	db, err := sqldb.Open(ctx, address, sqldb.Options{})
	if err != nil {
		return nil, err
	}
	return sqlsession.New(db), nil
}

func TestCrash(t *testing.T) {
	t.Parallel()
	address := "sqlite:" + filepath.Join(t.TempDir(), "crash.db")
	db, err := sqldb.Open(t.Context(), address, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), schemas.SQL()); err != nil {
		t.Fatal(err)
	}
	sessiontest.Crash(t, address, sqlsession.New(db))
}
