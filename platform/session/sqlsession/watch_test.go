package sqlsession_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/sqlsession"
)

// watching starts a watcher and returns the commits that it sees.
func watching(t *testing.T, d *sqlsession.Driver, id string) <-chan int64 {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	seen := make(chan int64, 100)
	var wg sync.WaitGroup
	wg.Go(func() {
		err := d.Watch(ctx, id, nil, func(r *session.Record) error {
			seen <- r.Commit
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Watch: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return seen
}

// await takes from seen until it is the commit that is wanted.
func await(t *testing.T, seen <-chan int64, want int64) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case got := <-seen:
			if got == want {
				return
			}
			if got > want {
				t.Fatalf("saw commit %d, want %d", got, want)
			}
		case <-deadline:
			t.Fatalf("commit %d was not seen", want)
		}
	}
}

func next(t *testing.T, d *sqlsession.Driver, r *session.Record) *session.Record {
	t.Helper()
	changed := *r
	changed.Commit++
	changed.Version++
	stored, err := d.Commit(t.Context(), &changed)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

// TestWatchFindsWhatNobodyNotified: the process that committed died before it could say so.
func TestWatchFindsWhatNobodyNotified(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, url string) {
		db, other := migrated(t, url), open(t, url)
		d := sqlsession.New(db)
		next(t, d, &session.Record{Head: session.Head{ID: "a"}})
		seen := watching(t, d, "a")
		await(t, seen, 1)
		if _, err := other.W.Exec("UPDATE sessions SET commits = 2, tag = tag + 1"); err != nil {
			t.Fatal(err)
		}
		await(t, seen, 2)
	})
}

// TestWatchIsWoken by commits here and through another handle. Those of SQLite are told only that something changed.
func TestWatchIsWoken(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, url string) {
		here, there := sqlsession.New(migrated(t, url)), sqlsession.New(open(t, url))
		here.OnlyWhenWoken()
		r := next(t, there, &session.Record{Head: session.Head{ID: "a"}})
		seen := watching(t, here, "a")
		await(t, seen, 1)
		for range 5 {
			r = next(t, here, r)
			await(t, seen, r.Commit)
			r = next(t, there, r)
			await(t, seen, r.Commit)
		}
	})
}

// TestWatchIsGivenWhatWasCommittedHere: it need not be read again.
func TestWatchIsGivenWhatWasCommittedHere(t *testing.T) {
	t.Parallel()
	d := sqlsession.New(migrated(t, newSQLite(t)))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	seen := make(chan *session.Record)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		_ = d.Watch(ctx, "a", nil, func(r *session.Record) error { // ends with ctx
			select {
			case seen <- r:
			case <-ctx.Done():
			}
			return nil
		})
	})
	// Now and then something else may have woken the watcher, which then reads.
	r := &session.Record{Head: session.Head{ID: "a"}}
	for given := false; !given; {
		r = next(t, d, r)
		for last := int64(0); last < r.Commit; {
			select {
			case got := <-seen:
				last, given = got.Commit, got == r
			case <-ctx.Done():
				t.Fatal("watchers always read what was committed here")
			}
		}
	}
}

// TestPostgresOthersHearOfCommits, by the session's id, so that watchers of other sessions need not look.
func TestPostgresOthersHearOfCommits(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	d, other := sqlsession.New(migrated(t, url)), open(t, url)
	heard := make(chan []string, 100)
	defer other.SubscribeKeys("vibesdk_session", func(ids []string) { heard <- ids })()
	wait := func(what string, is func(ids []string) bool) {
		t.Helper()
		deadline := time.After(time.Minute)
		for {
			select {
			case ids := <-heard:
				if is(ids) {
					return
				}
			case <-deadline:
				t.Fatalf("not heard: %s", what)
			}
		}
	}
	wait("the beginning", func(ids []string) bool { return ids == nil })
	id := `ü "a"/` + "'b"
	r := next(t, d, &session.Record{Head: session.Head{ID: id}})
	wait("a commit", func(ids []string) bool { return slices.Equal(ids, []string{id}) })
	if err := d.Remove(t.Context(), id, r.Commit); err != nil {
		t.Fatal(err)
	}
	wait("a removal", func(ids []string) bool { return slices.Equal(ids, []string{id}) })
	eventually(t, "no goroutine is left", d.Idle)
}

// terminate breaks all connections to the database but its own.
func terminate(t *testing.T, db *sqldb.DB, where string) (broken int) {
	t.Helper()
	if err := db.R.QueryRow(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND ` + where).Scan(&broken); err != nil {
		t.Fatal(err)
	}
	return broken
}

func TestPostgresWatchMendsItsConnections(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	db, other := migrated(t, url), open(t, url)
	r := next(t, sqlsession.New(db), &session.Record{Head: session.Head{ID: "a"}})
	seen := watching(t, sqlsession.New(db), "a")
	await(t, seen, 1)
	for range 3 {
		if terminate(t, other, "TRUE") == 0 {
			t.Fatal("no connection was broken")
		}
		r = next(t, sqlsession.New(other), r)
		await(t, seen, r.Commit)
	}
}

// TestPostgresWatchMendsALoad breaks the connection of a load that the server is working on.
func TestPostgresWatchMendsALoad(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	db, other := migrated(t, url), open(t, url)
	d := sqlsession.New(db)
	next(t, d, &session.Record{Head: session.Head{ID: "a"}})
	seen := watching(t, d, "a")
	await(t, seen, 1)
	holder, err := other.W.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Rollback()
	if _, err := holder.Exec("LOCK TABLE sessions; UPDATE sessions SET commits = 2, tag = tag + 1"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := other.Notify(t.Context(), "vibesdk_session", "a"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the load waits for the table", func() bool {
			return terminate(t, other, "wait_event_type = 'Lock' AND query LIKE '%UNION ALL%'") > 0
		})
	}
	if err := holder.Commit(); err != nil {
		t.Fatal(err)
	}
	await(t, seen, 2)
}

func TestPostgresManyWatchersFewConnections(t *testing.T) {
	t.Parallel()
	const sessions, each = 100, 10
	url := testenv.Postgres(t)
	db, other := migrated(t, url), open(t, url)
	d, committer := sqlsession.New(db), sqlsession.New(other)
	var all []<-chan int64
	var records []*session.Record
	for i := range sessions {
		id := fmt.Sprint("s", i)
		records = append(records, next(t, committer, &session.Record{Head: session.Head{ID: id}}))
		for range each {
			all = append(all, watching(t, d, id))
		}
	}
	for _, seen := range all {
		await(t, seen, 1)
	}
	for _, r := range records {
		next(t, committer, r)
	}
	for _, seen := range all {
		await(t, seen, 2)
	}
	var connections int
	if err := other.R.QueryRow(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()`).Scan(&connections); err != nil {
		t.Fatal(err)
	}
	if connections > 8+1+8 { // two pools, and one listener
		t.Errorf("%d watchers hold %d connections", len(all), connections)
	}
}

// TestPostgresBrokenCommitIsNoConflict breaks the connection of a commit that the server is working on.
func TestPostgresBrokenCommitIsNoConflict(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	db, other := migrated(t, url), open(t, url)
	d := sqlsession.New(db)
	r := next(t, d, &session.Record{Head: session.Head{ID: "a"}})
	holder, err := other.W.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Rollback()
	if _, err := holder.Exec("SELECT 1 FROM sessions WHERE id = 'a' FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		second := *r
		second.Commit++
		_, err := d.Commit(t.Context(), &second)
		failed <- err
	}()
	eventually(t, "the commit waits for the row", func() bool { return terminate(t, other, "wait_event_type = 'Lock'") == 1 })
	if err := <-failed; err == nil || errors.Is(err, session.ErrConflict) {
		t.Errorf("a broken commit gave %v, want an error that leaves its outcome open", err)
	}
	if err := holder.Rollback(); err != nil {
		t.Fatal(err)
	}
	next(t, d, r)
}
