package workertest

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/sqlbus"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/sqlsession"
	"vibesdk-gcp/schemas"
)

// Sessions is the platform that workers on sessions need, for real: a store and a bus in one database.
type Sessions struct {
	DB    *sqldb.DB
	Store *session.Store
	Bus   *events.Bus
}

// NewSessions opens the store and the bus at address, which is migrated; an empty one is a SQLite file of its own. fx, if it is not
// nil, hears of every effect on a session; o tunes the store. All of it ends with t.
func NewSessions(tb testing.TB, address string, fx *Effects, o session.Options) *Sessions {
	tb.Helper()
	if address == "" {
		address = "sqlite:" + filepath.Join(tb.TempDir(), "test.db")
	}
	db, err := sqldb.Open(tb.Context(), address, sqldb.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	if err := db.Migrate(tb.Context(), schemas.SQL()); err != nil {
		tb.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	driver, err := sqlbus.New(tb.Context(), db, sqlbus.Options{Logger: quiet})
	if err != nil {
		tb.Fatal(err)
	}
	bus := events.New(driver, events.Options{Logger: quiet})
	tb.Cleanup(func() {
		if err := bus.Close(); err != nil {
			tb.Error(err)
		}
	})
	if o.Logger == nil {
		o.Logger = quiet
	}
	return &Sessions{DB: db, Bus: bus, Store: session.NewStore(sessions{sqlsession.New(db), fx}, o)}
}

// SessionState is what is so about a session, without what differs from run to run.
type SessionState struct {
	Version              int64
	Present, Initialized bool
	Parts                map[session.PartName]string
	Jobs                 []session.Job
}

// State is the state of some sessions; those that are not stored are left out. Jobs are without their times.
func (s *Sessions) State(ctx context.Context, ids ...string) (map[string]SessionState, error) {
	states := map[string]SessionState{}
	for _, id := range ids {
		rec, err := s.Store.Load(ctx, id)
		if errors.Is(err, session.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		state := SessionState{Version: rec.Version, Present: rec.Present, Initialized: rec.Initialized, Parts: map[session.PartName]string{}}
		for name, part := range rec.Parts {
			if name != session.PartJobs {
				state.Parts[name] = string(part.Data)
			}
		}
		jobs, err := rec.Jobs()
		if err != nil {
			return nil, err
		}
		for _, j := range jobs {
			j.Due, j.CreatedAt, j.HeldUntil, j.Holder = time.Time{}, time.Time{}, time.Time{}, ""
			state.Jobs = append(state.Jobs, j)
		}
		states[id] = state
	}
	return states, nil
}

// sessions passes everything on and tells of the effects that succeeded.
type sessions struct {
	session.Driver
	fx *Effects
}

func (d sessions) Commit(ctx context.Context, next *session.Record) (*session.Record, error) {
	stored, err := d.Driver.Commit(ctx, next)
	if err := d.fx.after(err, "commit"); err != nil {
		return nil, err
	}
	return stored, nil
}

func (d sessions) Remove(ctx context.Context, id string, commit int64) error {
	return d.fx.after(d.Driver.Remove(ctx, id, commit), "remove")
}
