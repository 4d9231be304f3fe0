package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/internal/testenv"
)

// ear gathers what SubscribeKeys calls its function with.
type ear struct {
	mu   sync.Mutex
	keys []string
	nils int
	// heard holds a token after each call.
	heard chan struct{}
}

func listen(db *sqldb.DB, channel string) (*ear, func()) {
	e := &ear{heard: make(chan struct{}, 1)}
	return e, db.SubscribeKeys(channel, func(keys []string) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.keys = append(e.keys, keys...)
		if keys == nil {
			e.nils++
		}
		select {
		case e.heard <- struct{}{}:
		default:
		}
	})
}

func (e *ear) soFar() (keys []string, nils int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.keys), e.nils
}

// await waits until the condition, looked at after each call, is true.
func (e *ear) await(t *testing.T, what string, is func(keys []string, nils int) bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		if is(e.soFar()) {
			return
		}
		select {
		case <-e.heard:
		case <-deadline:
			t.Fatalf("not heard: %s", what)
		}
	}
}

func begun(_ []string, nils int) bool { return nils > 0 }

func last(key string) func([]string, int) bool {
	return func(keys []string, _ int) bool { return slices.Contains(keys, key) }
}

// TestPostgresNotifyCarriesKeys sends more keys than one notification holds: each handle hears each of them once.
func TestPostgresNotifyCarriesKeys(t *testing.T) {
	t.Parallel()
	address := testenv.Postgres(t)
	var dbs [2]*sqldb.DB
	var ears [2]*ear
	for i := range dbs {
		db, err := sqldb.Open(t.Context(), address, sqldb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		dbs[i] = db
		ears[i], _ = listen(db, "keys")
		ears[i].await(t, "the beginning", begun) // of listening
	}
	keys := []string{`"`, `\`, "a\nb", "<ü🙂>", "", "]"}
	for i := range 300 {
		keys = append(keys, fmt.Sprint(i, strings.Repeat("<", 100)))
	}
	if err := dbs[0].Notify(t.Context(), "keys", keys...); err != nil {
		t.Fatal(err)
	}
	// Notifications are in order: once the second handle's own was heard, so was the echo of the first's.
	if err := dbs[1].Notify(t.Context(), "keys", "last"); err != nil {
		t.Fatal(err)
	}
	ears[0].await(t, "the last key", last("last"))
	ears[1].await(t, "the first key", last(keys[len(keys)-1]))
	slices.Sort(keys)
	for i, e := range ears {
		got, nils := e.soFar()
		got = slices.DeleteFunc(got, func(key string) bool { return key == "last" })
		slices.Sort(got)
		if !slices.Equal(got, keys) || nils != 1 {
			t.Errorf("handle %d heard %d keys and %d times that anything changed, want %d keys and once", i, len(got), nils, len(keys))
		}
	}
}

// TestSQLiteNotifyCarriesKeys: the own handle hears keys, others that anything may have changed.
func TestSQLiteNotifyCarriesKeys(t *testing.T) {
	t.Parallel()
	address := "sqlite:" + filepath.Join(t.TempDir(), "db")
	here, err := sqldb.Open(t.Context(), address, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	there, err := sqldb.Open(t.Context(), address, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	near, end := listen(here, "keys")
	far, _ := listen(there, "keys")
	far.await(t, "the beginning", begun)
	if err := here.Notify(t.Context(), "keys", "a", "b"); err != nil {
		t.Fatal(err)
	}
	if got, _ := near.soFar(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("heard %q, want a and b before Notify returns", got)
	}
	if _, err := here.W.Exec("CREATE TABLE t (id INTEGER)"); err != nil {
		t.Fatal(err)
	}
	far.await(t, "a commit of another handle", func(_ []string, nils int) bool { return nils > 1 })
	end()
	if err := here.Notify(t.Context(), "keys", "c"); err != nil {
		t.Fatal(err)
	}
	if got, _ := near.soFar(); slices.Contains(got, "c") {
		t.Error("called after the end of the subscription")
	}
}

func TestPostgresUnavailable(t *testing.T) {
	t.Parallel()
	db, err := sqldb.Open(t.Context(), testenv.Postgres(t), sqldb.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.W.Exec("SELECT pg_terminate_backend(pg_backend_pid())"); !sqldb.IsUnavailable(err) {
		t.Errorf("a broken connection gave %v, want unavailable", err)
	}
	if _, err := sqldb.Open(t.Context(), "postgres://user@127.0.0.1:1/db?connect_timeout=1", sqldb.Options{}); !sqldb.IsUnavailable(err) {
		t.Errorf("a refused connection gave %v, want unavailable", err)
	}
	_, refused := db.W.Exec("SELECT * FROM nowhere")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, ending := db.W.ExecContext(ended, "SELECT 1")
	for _, err := range []error{nil, refused, ending, errors.New("other")} {
		if sqldb.IsUnavailable(err) {
			t.Errorf("%v is not about reaching the database", err)
		}
	}
}
