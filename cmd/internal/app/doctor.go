package app

import (
	"context"
	"log/slog"
	"strings"

	"vibesdk-gcp/events/pubsubbus"
	"vibesdk-gcp/internal/checkup"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/session/firestoresession"
)

// CheckPorts looks at the bus, the sessions, the limits and the database that a configuration names. It changes and makes nothing.
func CheckPorts(ctx context.Context, c Config, log *slog.Logger) []checkup.Finding {
	found := checkDatabase(ctx, c)
	found = append(found, checkBus(ctx, c, log)...)
	found = append(found, checkRedis(ctx, c)...)
	return append(found, checkSessions(ctx, c, log)...)
}

func checkDatabase(ctx context.Context, c Config) []checkup.Finding {
	f := checkup.About("database")
	if address := c.databaseURL(); strings.HasPrefix(address, "sqlite:") {
		f.Skip("is a file of the machine that vibed runs on: its gateway says whether it is ready")
		return f.Else("")
	}
	db, err := sqldb.Open(ctx, c.databaseURL(), sqldb.Options{MaxConns: 1})
	if err != nil {
		f.Fail("check DATABASE_URL and the network between", "%v", err)
		return f.Else("")
	}
	defer func() { _ = db.Close() }() // nothing was written
	// A program migrates when it starts; one that never did leaves none of the tables.
	if _, err := db.R.ExecContext(ctx, "SELECT 1 FROM dead_letters LIMIT 1"); err != nil {
		f.Warn("start vibed once: it migrates", "answers, but has not the tables of this release")
	}
	return append(f.Else("answers and is migrated"), checkConnections(ctx, db)...)
}

func checkBus(ctx context.Context, c Config, log *slog.Logger) []checkup.Finding {
	f := checkup.About("Pub/Sub")
	if c.Bus != "pubsub" {
		f.Skip("BUS_BACKEND is %s: messages are in the database", c.Bus)
		return f.Else("")
	}
	driver, err := pubsubbus.New(ctx, pubsubbus.Options{
		Project: c.PubSubProject, Endpoint: c.PubSubEndpoint, Prefix: c.PubSubPrefix, Logger: log,
		Push: c.Push.Consumers, PushDeadline: c.Push.Deadline, PushURL: c.Push.URL,
	})
	if err != nil {
		f.Fail("gcloud auth application-default login, or run where an account is", "%v", err)
		return f.Else("")
	}
	defer func() { _ = driver.Close() }() // nothing was published
	return driver.Check(ctx)
}

func checkSessions(ctx context.Context, c Config, log *slog.Logger) []checkup.Finding {
	f := checkup.About("Firestore")
	if c.Session.Backend != "firestore" {
		f.Skip("SESSION_BACKEND is %s", c.Session.Backend)
		return f.Else("")
	}
	driver, err := firestoresession.New(ctx, firestoresession.Options{
		Project: c.Session.FirestoreProject, Database: c.Session.FirestoreDatabase, Endpoint: c.Session.FirestoreEndpoint, Logger: log,
	})
	if err != nil {
		f.Fail("gcloud auth application-default login, or run where an account is", "%v", err)
		return f.Else("")
	}
	defer func() { _ = driver.Close() }() // nothing was written
	return driver.Check(ctx)
}
