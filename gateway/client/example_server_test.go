package client_test

import (
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"gocloud.dev/blob/memblob"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/sqlbus"
	"vibesdk-gcp/gateway"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/ratelimit/sqllimit"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/sandbox/sqlsandbox"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/sqlsession"
	"vibesdk-gcp/schemas"
	"vibesdk-gcp/workers/statewriter"
)

// exampleServer is a gateway with everything behind it that sessions and limits need, on SQLite. Call stop at the end.
func exampleServer() (address string, stop func()) {
	dir, err := os.MkdirTemp("", "example-")
	check(err)
	ctx, cancel := context.WithCancel(context.Background())
	db, err := sqldb.Open(ctx, "sqlite:"+filepath.Join(dir, "example.db"), sqldb.Options{})
	check(err)
	check(db.Migrate(ctx, schemas.SQL()))
	driver, err := sqlbus.New(ctx, db, sqlbus.Options{})
	check(err)
	bus := events.New(driver, events.Options{})
	store := session.NewStore(sqlsession.New(db), session.Options{})
	limiter, err := ratelimit.New(sqllimit.New(db, sqllimit.Options{}), ratelimit.Options{Limits: map[string]ratelimit.Limit{
		"llmCalls": {Config: ratelimit.Config{Limit: 3, Period: 60}},
	}, Deadline: time.Minute})
	check(err)
	bucket := memblob.OpenBucket(nil)
	g, err := gateway.New(gateway.Options{
		Publisher: bus, Records: sandbox.NewRecords(sqlsandbox.New(db)), Runtime: nothingRuns{}, Sessions: store.Reader, Limits: limiter,
		Sources: bucket, SourcesURL: "file:///sources", PreviewURL: func(id, _ string) string { return "http://" + id + ".preview.test/" },
	})
	check(err)
	writer := statewriter.New(statewriter.Options{Store: store})
	done := make(chan error, 1)
	go func() { done <- bus.ConsumeBatches(ctx, events.StateWriter, writer.Handle) }()
	server := httptest.NewServer(g)
	return server.URL, func() {
		g.Drain()
		server.Close()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			check(err)
		}
		check(bus.Close())
		check(bucket.Close())
		check(db.Close())
		check(os.RemoveAll(dir))
	}
}

// nothingRuns is a machine without sandboxes.
type nothingRuns struct{}

func (nothingRuns) Inspect(context.Context, sandbox.Ref) (sandbox.Status, error) {
	return sandbox.Status{}, nil
}

func (nothingRuns) Logs(context.Context, sandbox.Ref, sandbox.Phase, int64) (io.ReadCloser, error) {
	return nil, sandbox.ErrNotFound
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
