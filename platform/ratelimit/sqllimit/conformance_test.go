package sqllimit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/ratelimit/ratelimittest"
	"vibesdk-gcp/platform/ratelimit/sqllimit"
	"vibesdk-gcp/schemas"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	run(t, openSQLite)
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	testenv.Postgres(t) // skips here, with the reason, rather than in every case
	run(t, openPostgres)
}

func run(t *testing.T, open func(testing.TB) ratelimit.Backend) {
	ratelimittest.Run(t, open, ratelimittest.Features{
		Touched: func(b ratelimit.Backend) int64 { return b.(*backend).Touched() },
		Bytes:   func(b ratelimit.Backend, key string) int64 { return b.(*backend).bytes(t, key) },
		Rows:    func(b ratelimit.Backend) int { return b.(*backend).rows(t) },
	})
}

func TestVectors(t *testing.T) {
	t.Parallel()
	files := []string{ratelimittest.Recorded}
	if list := os.Getenv("RATELIMIT_VECTORS"); list != "" {
		files = strings.Split(list, ",")
	}
	for name, open := range map[string]func(testing.TB) ratelimit.Backend{"SQLite": openSQLite, "Postgres": openPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ratelimittest.Vectors(t, open, files, os.Getenv("REQUIRE_BACKENDS") == "1")
			t.Run("moved", func(t *testing.T) {
				ratelimittest.MovedVectors(t, openSQLite, open, files, os.Getenv("REQUIRE_BACKENDS") == "1")
			})
		})
	}
}

// backend shows its database to tests.
type backend struct {
	*sqllimit.Backend
	db *sqldb.DB
}

func (b *backend) rows(t *testing.T) (count int) {
	t.Helper()
	query := "SELECT (SELECT COUNT(*) FROM ratelimit_cells) + (SELECT COUNT(*) FROM ratelimit_adjusted)"
	if err := b.db.R.QueryRow(query).Scan(&count); err != nil {
		t.Fatal(err)
	}
	return count
}

// bytes are those of a key's columns, for each row.
func (b *backend) bytes(t *testing.T, key string) (sum int64) {
	t.Helper()
	query := b.db.Dialect.SQL("SELECT SUM(LENGTH(key) + LENGTH(cell) + LENGTH(data) + 8) FROM ratelimit_cells WHERE key = $1")
	if err := b.db.R.QueryRow(query, key).Scan(&sum); err != nil {
		t.Fatal(err)
	}
	return sum
}

func openSQLite(t testing.TB) ratelimit.Backend {
	t.Helper()
	return openAt(t, "sqlite:"+filepath.Join(t.TempDir(), "limits.db"), sqllimit.Options{Keep: 48 * time.Hour})
}

func openPostgres(t testing.TB) ratelimit.Backend {
	t.Helper()
	return openAt(t, testenv.Postgres(t), sqllimit.Options{Keep: 48 * time.Hour})
}

func openAt(t testing.TB, address string, o sqllimit.Options) *backend {
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
	return &backend{sqllimit.New(db, o), db}
}
