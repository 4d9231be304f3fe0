package sqlbus_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/eventstest"
	"vibesdk-gcp/events/sqlbus"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/schemas"
)

func TestConformanceSQLite(t *testing.T) {
	t.Parallel()
	eventstest.Run(t, onSQLite, eventstest.Features{})
}

func TestConformancePostgres(t *testing.T) {
	t.Parallel()
	testenv.Postgres(t) // skips here, with the reason, rather than in every case
	eventstest.Run(t, onPostgres, eventstest.Features{})
}

func onSQLite(t testing.TB) eventstest.Opener {
	return opener("sqlite:" + filepath.Join(t.TempDir(), "bus.db"))
}

func onPostgres(t testing.TB) eventstest.Opener { return opener(testenv.Postgres(t)) }

// opener gives each driver a database handle of its own, as a process has.
func opener(address string) eventstest.Opener {
	return func(t testing.TB, subs ...events.Subscription) events.Driver {
		t.Helper()
		db := open(t, address)
		d, err := sqlbus.New(context.Background(), db, sqlbus.Options{
			Subscriptions: append([]events.Subscription{events.Parked}, without(subs, events.Parked.Name)...),
			Lease:         2 * time.Second,
		})
		if err != nil {
			t.Fatalf("sqlbus.New: %v", err)
		}
		return &closer{Driver: d, db: db}
	}
}

// without leaves out the subscription of a name.
func without(subs []events.Subscription, name string) []events.Subscription {
	var rest []events.Subscription
	for _, s := range subs {
		if s.Name != name {
			rest = append(rest, s)
		}
	}
	return rest
}

func open(t testing.TB, address string) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(context.Background(), address, sqldb.Options{})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close database: %v", err)
		}
	})
	if err := db.Migrate(context.Background(), schemas.SQL()); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	return db
}

// closer closes the database with the driver.
type closer struct {
	events.Driver
	db   *sqldb.DB
	once sync.Once
}

func (c *closer) Close() error {
	err := c.Driver.Close()
	c.once.Do(func() {
		if closeErr := c.db.Close(); err == nil {
			err = closeErr
		}
	})
	return err
}
