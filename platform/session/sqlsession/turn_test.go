package sqlsession_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/sqlsession"
)

func first(id string) *session.Record {
	return &session.Record{
		Head:  session.Head{ID: id, Commit: 1, Version: 1, Present: true, UpdatedAt: time.Unix(1, 0)},
		Parts: map[session.PartName]session.Part{session.PartState: {Data: []byte(`{"n":1}`)}},
	}
}

// eventually polls without pause: what it waits for needs no time, only other goroutines.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// together holds the writing connection until all records wait to be committed, and the caller of the one named
// "impatient" has left. It returns how each ended.
func together(t *testing.T, d *sqlsession.Driver, db *sqldb.DB, records []*session.Record) []error {
	t.Helper()
	holder, err := db.W.Begin()
	if err != nil {
		t.Fatal(err)
	}
	impatient, leave := context.WithCancel(t.Context())
	defer leave()
	errs := make([]error, len(records))
	var all, leaving sync.WaitGroup
	for i, r := range records {
		ctx, wg := t.Context(), &all
		if r.ID == "impatient" {
			ctx, wg = impatient, &leaving
		}
		wg.Go(func() { _, errs[i] = d.Commit(ctx, r) })
		eventually(t, "the commit waits", func() bool { return d.Waiting() == i+1 })
	}
	leave()
	leaving.Wait()
	if err := holder.Rollback(); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	return errs
}

func TestSQLiteCommitsOfManySessionsShareATransaction(t *testing.T) {
	t.Parallel()
	db := migrated(t, newSQLite(t))
	path := db.Path()
	if _, err := db.W.Exec(`PRAGMA wal_autocheckpoint = 0;
		CREATE TRIGGER refuse BEFORE INSERT ON session_parts WHEN NEW.session_id = 'refused' BEGIN SELECT RAISE(ABORT, 'no'); END`); err != nil {
		t.Fatal(err)
	}
	d := sqlsession.New(db)
	if _, err := d.Commit(t.Context(), first("taken")); err != nil {
		t.Fatal(err)
	}
	records := []*session.Record{first("impatient"), first("taken")}
	for i := range 20 {
		records = append(records, first(fmt.Sprint("s", i)))
	}
	before := walCommits(t, path)
	errs := together(t, d, db, records)
	if !errors.Is(errs[0], context.Canceled) || errors.Is(errs[0], session.ErrConflict) {
		t.Errorf("whose context ended got %v", errs[0])
	}
	if !errors.Is(errs[1], session.ErrConflict) {
		t.Errorf("a taken id gave %v, want ErrConflict", errs[1])
	}
	if err := errors.Join(errs[2:]...); err != nil {
		t.Error(err)
	}
	if _, err := d.Load(t.Context(), "impatient", nil); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("a commit that was given up while it waited: %v, want ErrNotFound", err)
	}
	if got := walCommits(t, path) - before; got != 1 {
		t.Errorf("20 commits took %d transactions, want 1", got)
	}

	// One that cannot be stored fails alone.
	errs = together(t, d, db, []*session.Record{first("x"), first("refused"), first("y"), first("taken")})
	if errs[0] != nil || errs[2] != nil || !errors.Is(errs[3], session.ErrConflict) {
		t.Errorf("beside a commit that failed: %v, want success, success and a conflict", errs)
	}
	if errs[1] == nil || errors.Is(errs[1], session.ErrConflict) {
		t.Errorf("what the database refused gave %v", errs[1])
	}
	for id, want := range map[string]error{"x": nil, "y": nil, "refused": session.ErrNotFound} {
		if _, err := d.Load(t.Context(), id, nil); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", id, err, want)
		}
	}
	eventually(t, "no goroutine is left", d.Idle)
}

// walCommits counts the transactions in a database's log: the last frame of each holds the size of the database.
func walCommits(t *testing.T, path string) int {
	t.Helper()
	wal, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	commits := 0
	frame := 24 + int(binary.BigEndian.Uint32(wal[8:]))
	for at := 32; at+frame <= len(wal); at += frame {
		if string(wal[at+8:at+16]) == string(wal[16:24]) && binary.BigEndian.Uint32(wal[at+4:]) != 0 { // the salts of this log
			commits++
		}
	}
	return commits
}
