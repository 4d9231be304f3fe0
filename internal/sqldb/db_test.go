package sqldb_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/internal/testenv"
)

// each runs a test on both databases. The function opens another handle, as another process has.
func each(t *testing.T, test func(t *testing.T, open func() *sqldb.DB)) {
	t.Helper()
	run := func(t *testing.T, address string) {
		test(t, func() *sqldb.DB {
			t.Helper()
			db, err := sqldb.Open(context.Background(), address, sqldb.Options{MaxConns: 4})
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			t.Cleanup(func() {
				if err := db.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			return db
		})
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		run(t, "sqlite:"+filepath.Join(t.TempDir(), "folder with #%?", "db.sqlite"))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		run(t, testenv.Postgres(t))
	})
}

// migrations that break when two processes run them at once.
var migrations = fstest.MapFS{}

func init() {
	for _, dialect := range []string{"sqlite", "postgres"} {
		for n := range 5 {
			migrations[fmt.Sprintf("%s/%04d_t.sql", dialect, n+1)] = &fstest.MapFile{Data: fmt.Appendf(nil,
				"-- +goose Up\nCREATE TABLE t%d (id BIGINT PRIMARY KEY, word TEXT UNIQUE);\n", n)}
		}
	}
}

func migrated(t *testing.T, open func() *sqldb.DB) *sqldb.DB {
	t.Helper()
	db := open()
	if err := db.Migrate(context.Background(), migrations); err != nil {
		t.Fatalf("Migrate: %v", err)
	}
	return db
}

func TestMigrateFromManyProcessesAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func() *sqldb.DB) {
		var wg sync.WaitGroup
		for range 4 {
			db := open()
			wg.Go(func() {
				if err := db.Migrate(context.Background(), migrations); err != nil {
					t.Errorf("Migrate: %v", err)
				}
			})
		}
		wg.Wait()
		if _, err := migrated(t, open).W.Exec("INSERT INTO t4 (id) VALUES (1)"); err != nil {
			t.Error(err)
		}
	})
}

func TestTxCommitsOrChangesNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func() *sqldb.DB) {
		db := migrated(t, open)
		insert := func(id int, result error) error {
			return db.Tx(context.Background(), func(tx *sql.Tx) error {
				if _, err := tx.Exec(db.Dialect.SQL("INSERT INTO t0 (id) VALUES ($1)"), id); err != nil {
					return err
				}
				return result
			})
		}
		failure := errors.New("no")
		if err := insert(1, failure); !errors.Is(err, failure) {
			t.Errorf("Tx: got %v, want the function's error", err)
		}
		if err := insert(2, nil); err != nil {
			t.Errorf("Tx: %v", err)
		}
		var got int
		if err := db.R.QueryRow("SELECT SUM(id) FROM t0").Scan(&got); err != nil || got != 2 {
			t.Errorf("rows sum to %d, %v, want 2", got, err)
		}
	})
}

func TestErrorKinds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func() *sqldb.DB) {
		db := migrated(t, open)
		insert := db.Dialect.SQL("INSERT INTO t0 (id, word) VALUES ($1, $2)")
		if _, err := db.W.Exec(insert, 1, "a"); err != nil {
			t.Fatal(err)
		}
		for name, args := range map[string][]any{"primary key": {1, "b"}, "unique": {2, "a"}} {
			if _, err := db.W.Exec(insert, args...); !sqldb.IsDuplicate(err) || sqldb.IsTransient(err) {
				t.Errorf("%s: %v must be a duplicate and not transient", name, err)
			}
		}
		if _, err := db.W.Exec("INSERT INTO nowhere VALUES (1)"); sqldb.IsDuplicate(err) || sqldb.IsTransient(err) {
			t.Errorf("%v is neither a duplicate nor transient", err)
		}
		if sqldb.IsDuplicate(nil) || sqldb.IsTransient(nil) {
			t.Error("nil is an error")
		}
	})
}

func TestPostgresDeadlockIsTransient(t *testing.T) {
	t.Parallel()
	db, err := sqldb.Open(context.Background(), testenv.Postgres(t), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.W.Exec("CREATE TABLE d (id BIGINT PRIMARY KEY, n BIGINT); INSERT INTO d VALUES (1, 0), (2, 0)"); err != nil {
		t.Fatal(err)
	}
	var both, done sync.WaitGroup
	both.Add(2)
	errs := make([]error, 2)
	for i := range 2 {
		done.Go(func() {
			errs[i] = db.Tx(context.Background(), func(tx *sql.Tx) error {
				_, first := tx.Exec("UPDATE d SET n = n + 1 WHERE id = $1", i+1)
				both.Done()
				both.Wait()
				_, second := tx.Exec("UPDATE d SET n = n + 1 WHERE id = $1", 2-i)
				return errors.Join(first, second)
			})
		})
	}
	done.Wait()
	if err := errors.Join(errs...); !sqldb.IsTransient(err) {
		t.Errorf("a deadlock gave %v, want a transient error", err)
	}
}

func TestSQLiteBusyIsTransient(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	db, err := sqldb.Open(context.Background(), "sqlite:"+path, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	other, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(1)&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := db.W.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := other.Begin(); !sqldb.IsTransient(err) {
		t.Errorf("a busy database gave %v, want a transient error", err)
	}
}

func TestNotifyReachesOtherProcesses(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func() *sqldb.DB) {
		here, there := migrated(t, open), open()
		for _, channel := range []string{"first", "second"} { // the second joins the listener of the first
			c, end := there.Subscribe(channel)
			defer end()
			deadline := time.After(20 * time.Second)
			for n, got := 0, false; !got; n++ {
				// On SQLite the commit alone is the notice. Again and again, because listening begins a little later.
				if _, err := here.W.Exec(here.Dialect.SQL("INSERT INTO t0 (word) VALUES ($1)"), fmt.Sprint(channel, n)); err != nil && here.Dialect == sqldb.SQLite {
					t.Fatal(err)
				}
				if err := here.Notify(context.Background(), channel); err != nil {
					t.Fatal(err)
				}
				select {
				case <-c:
					got = true
				case <-time.After(50 * time.Millisecond):
				case <-deadline:
					t.Fatalf("channel %s: nothing arrived", channel)
				}
			}
		}
	})
}

func TestNotifyReachesEverySubscriberOnce(t *testing.T) {
	t.Parallel()
	db, err := sqldb.Open(context.Background(), "sqlite:"+filepath.Join(t.TempDir(), "db"), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, endA := db.Subscribe("c")
	b, endB := db.Subscribe("c")
	defer endB()
	<-a // the watch says that it began
	<-b
	endA()
	for range 3 {
		if err := db.Notify(context.Background(), "c"); err != nil {
			t.Fatal(err)
		}
	}
	<-b
	if len(a) != 0 || len(b) != 0 {
		t.Errorf("tokens left: %d after the end, %d after one was taken, want none", len(a), len(b))
	}
	for range 2 {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

// TestSQLitePragmas looks at every connection of both pools.
func TestSQLitePragmas(t *testing.T) {
	t.Parallel()
	db, err := sqldb.Open(context.Background(), "sqlite:"+filepath.Join(t.TempDir(), "db"), sqldb.Options{MaxConns: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for name, pool := range map[string]*sql.DB{"W": db.W, "R": db.R} {
		want := map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000", "query_only": "0",
		}
		conns := 1
		if name == "R" {
			want["query_only"], conns = "1", 4
		}
		for range conns {
			conn, err := pool.Conn(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close() // held until all were seen, so that each is another one
			if _, err := conn.ExecContext(context.Background(), "CREATE TABLE t"+rand.Text()+" (id INTEGER)"); (err != nil) != (name == "R") {
				t.Errorf("%s: writing gave %v", name, err)
			}
			got := map[string]string{}
			for pragma := range want {
				var value string
				if err := conn.QueryRowContext(context.Background(), "PRAGMA "+pragma).Scan(&value); err != nil {
					t.Fatal(err)
				}
				got[pragma] = value
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("this is no database, and long enough to be seen as none"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{
		"", "mysql://x", "sqlite:", "sqlite::memory:", "sqlite:file:x?mode=memory", "sqlite:" + file,
		"postgres://user:secret-word@127.0.0.1:1/db?connect_timeout=1", "postgres://user:secret-word@[bad/db",
	} {
		db, err := sqldb.Open(context.Background(), address, sqldb.Options{})
		if err == nil {
			t.Errorf("%q was opened", address)
			_ = db.Close()
			continue
		}
		if strings.Contains(err.Error(), "secret-word") {
			t.Errorf("the error of %q shows the password: %v", address, err)
		}
	}
	var none *sqldb.DB
	if err := none.Close(); err != nil {
		t.Errorf("Close of nil: %v", err)
	}
}

func TestDialect(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func() *sqldb.DB) {
		db := migrated(t, open)
		words := []string{`a`, `"b"`, `<ü🙂>`}
		for i, word := range words {
			if _, err := db.W.Exec(db.Dialect.SQL("INSERT INTO t1 (id, word) VALUES ($1, $2)"), i+1, word); err != nil {
				t.Fatal(err)
			}
		}
		texts, err := sqldb.Values(db.Dialect, append(words[1:], "absent"))
		if err != nil {
			t.Fatal(err)
		}
		ids, err := sqldb.Values(db.Dialect, []int64{1, 3, 1 << 62})
		if err != nil {
			t.Fatal(err)
		}
		var count, id int64
		query := db.Dialect.SQL("SELECT COUNT(*), MAX(id) FROM t1 WHERE " + db.Dialect.In("word", "$2", "text") +
			" AND " + db.Dialect.In("id", "$1", "bigint"))
		if err := db.R.QueryRow(query, ids, texts).Scan(&count, &id); err != nil || count != 1 || id != 3 {
			t.Errorf("got %d rows up to id %d, %v, want one row, 3", count, id, err)
		}
		at := time.Date(2026, 11, 23, 1, 2, 3, 456789000, time.FixedZone("", 3600))
		if got := sqldb.Time(sqldb.Micros(at)); !got.Equal(at) || got.Location() != time.UTC {
			t.Errorf("time %s came back as %s", at, got)
		}
		if !sqldb.Time(sqldb.Micros(time.Time{})).IsZero() {
			t.Error("the zero time is not kept")
		}
	})
}
