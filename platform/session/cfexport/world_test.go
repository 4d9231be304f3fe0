package cfexport_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/sqlsession"
	"vibesdk-gcp/schemas"
)

// store is where imports go: what a dump becomes is what the port makes of it.
var (
	store    *session.Store
	sessions atomic.Int64
)

func TestMain(m *testing.M) {
	status, err := run(m)
	if err != nil {
		log.Fatal(err)
	}
	os.Exit(status)
}

func run(m *testing.M) (status int, err error) {
	folder, err := os.MkdirTemp("", "cfexport")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(folder)
	ctx := context.Background()
	db, err := sqldb.Open(ctx, "sqlite:"+filepath.Join(folder, "test.db"), sqldb.Options{})
	if err != nil {
		return 0, err
	}
	defer db.Close()
	if err := db.Migrate(ctx, schemas.SQL()); err != nil {
		return 0, err
	}
	store = session.NewStore(sqlsession.New(db), session.Options{})
	return m.Run(), nil
}

// fataler is what tests, benchmarks and properties have in common.
type fataler interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// record imports a dump into a new session.
func record(t fataler, request session.ImportRequest) *session.Record {
	t.Helper()
	ctx := context.Background()
	id := fmt.Sprint("s", sessions.Add(1))
	outcomes, err := store.Apply(ctx, id, []session.Mutation{{ID: "import", Kind: session.Import, Payload: request.Payload()}})
	if err != nil {
		t.Fatal(err)
	}
	if outcomes[0].Err != nil {
		t.Fatal(outcomes[0].Err)
	}
	r, err := store.Get(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
