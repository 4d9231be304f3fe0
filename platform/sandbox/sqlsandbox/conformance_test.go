package sqlsandbox_test

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/sandbox/sandboxtest"
	"vibesdk-gcp/platform/sandbox/sqlsandbox"
	"vibesdk-gcp/schemas"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "test.db") })
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T) string { return testenv.Postgres(t) })
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

// TestListUsesTheIndex keeps sweeps from reading what has ended: their condition must be spelled as the index is.
func TestListUsesTheIndex(t *testing.T) {
	t.Parallel()
	db := open(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"))
	if err := db.Migrate(t.Context(), schemas.SQL()); err != nil {
		t.Fatal(err)
	}
	for name, query := range map[string]sandbox.Query{
		"due":   {DueBefore: time.Unix(1, 0), Limit: 10},
		"state": {States: []sandbox.State{sandbox.Ready, sandbox.Building}, Limit: 10},
	} {
		text, args := sqlsandbox.ListQuery(db.Dialect, query)
		rows, err := db.R.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, args...)
		if err != nil {
			t.Fatal(err)
		}
		var plan strings.Builder
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			plan.WriteString(detail + "\n")
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan.String(), "sandboxes_live") || strings.Contains(plan.String(), "TEMP B-TREE") {
			t.Errorf("%s: plan is\n%s", name, &plan)
		}
	}
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
