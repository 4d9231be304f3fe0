package paritysession_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"vibesdk-gcp/internal/shadow"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/paritysession"
	"vibesdk-gcp/platform/session/sessiontest"
	"vibesdk-gcp/platform/session/sqlsession"
	"vibesdk-gcp/schemas"
)

func open(t testing.TB, address string) session.Driver {
	t.Helper()
	db, err := sqldb.Open(t.Context(), address, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), schemas.SQL()); err != nil {
		t.Fatal(err)
	}
	return sqlsession.New(db)
}

func newAddress(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "test.db") }

// silent is a second driver that never answers a load.
type silent struct{ session.Driver }

func (silent) Load(ctx context.Context, _ string, _ *session.Record) (*session.Record, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestSuite: with a second driver that does not even answer, everything is as with the first alone.
func TestSuite(t *testing.T) {
	t.Parallel()
	sessiontest.Run(t, func(t testing.TB) func() session.Driver {
		address := newAddress(t)
		open(t, address)
		return func() session.Driver {
			first := open(t, address)
			d := paritysession.New(first, silent{first}, shadow.Options{Ratio: 1, Most: 4, Timeout: 1})
			t.Cleanup(func() { _ = d.Close(context.Background()) })
			return d
		}
	}, sessiontest.Features{})
}

func TestResults(t *testing.T) {
	t.Parallel()
	first, second := open(t, newAddress(t)), open(t, newAddress(t))
	here, there := session.NewStore(first, session.Options{}), session.NewStore(second, session.Options{})
	put := func(s *session.Store, id, mutation, payload string) {
		t.Helper()
		out, err := s.Apply(t.Context(), id, []session.Mutation{{ID: mutation, Kind: session.Put, Payload: []byte(payload)}})
		if err != nil || out[0].Err != nil {
			t.Fatalf("%+v, %v", out, err)
		}
	}
	for _, id := range []string{"same", "behind", "ahead", "differs"} {
		put(here, id, "m1", `"secret 1"`)
		rec, err := here.Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := there.Adopt(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	put(here, "missing", "m1", `"secret 1"`)
	put(there, "extra", "m1", `"secret 1"`)
	put(here, "behind", "m2", `"secret 2"`)
	put(there, "ahead", "m2", `"secret 2"`)
	put(here, "differs", "m2", `"secret 2"`)
	put(there, "differs", "m2", `"secret 3"`)

	for _, id := range []string{"same", "nobody", "missing", "extra", "behind", "ahead", "differs"} {
		reader := sdk.NewManualReader()
		var log bytes.Buffer
		d := paritysession.New(first, second, shadow.Options{
			Ratio: 1, MeterProvider: sdk.NewMeterProvider(sdk.WithReader(reader)), Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		got, err := session.NewReader(d, session.Options{}).Get(t.Context(), id)
		want, wantErr := session.NewReader(first, session.Options{}).Get(t.Context(), id)
		if !errors.Is(err, wantErr) && err != wantErr || err == nil && session.Difference(got, want) != "" { //nolint:errorlint // both may be nil
			t.Errorf("%s: %v, %v; want what the first has: %v", id, got, err, wantErr)
		}
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		result := id
		if id == "nobody" {
			result = "same"
		}
		var all metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		points := all.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints
		if value, _ := points[0].Attributes.Value("result"); len(points) != 1 || points[0].Value != 1 || value.AsString() != result {
			t.Errorf("%s is counted as %v", id, points)
		}
		if said := strings.Contains(log.String(), "result="+result) && strings.Contains(log.String(), "session_id="+id); said != (result != "same") {
			t.Errorf("%s: the log says %q", id, log.String())
		}
		if strings.Contains(log.String(), "secret") {
			t.Errorf("contents are logged: %s", log.String())
		}
	}
}
