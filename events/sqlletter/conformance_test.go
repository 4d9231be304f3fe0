package sqlletter_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/eventstest"
	"vibesdk-gcp/events/sqlbus"
	"vibesdk-gcp/events/sqlletter"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/schemas"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	eventstest.RunLetters(t, onSQLite, func(t testing.TB) eventstest.LetterOpener { return letters(sqlite(t)) }, eventstest.Features{Patience: 2 * time.Minute})
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	testenv.Postgres(t) // skips here, with the reason, rather than in every case
	eventstest.RunLetters(t, onSQLite, func(t testing.TB) eventstest.LetterOpener { return letters(testenv.Postgres(t)) }, eventstest.Features{Patience: 2 * time.Minute})
}

func sqlite(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "letters.db") }

// letters opens the store at an address as many times as there are processes.
func letters(address string) eventstest.LetterOpener {
	return func(t testing.TB) events.LetterDriver { return sqlletter.New(open(t, address)) }
}

// onSQLite is a bus of its own for each case: the letters need not be where the messages are.
func onSQLite(t testing.TB) eventstest.Opener {
	address := "sqlite:" + filepath.Join(t.TempDir(), "bus.db")
	return func(t testing.TB, subs ...events.Subscription) events.Driver {
		return bus(t, open(t, address), subs...)
	}
}

func bus(t testing.TB, db *sqldb.DB, subs ...events.Subscription) events.Driver {
	t.Helper()
	d, err := sqlbus.New(context.Background(), db, sqlbus.Options{
		Subscriptions: subs, Lease: 2 * time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func open(t testing.TB, address string) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(context.Background(), address, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := db.Migrate(context.Background(), schemas.SQL()); err != nil {
		t.Fatal(err)
	}
	return db
}
