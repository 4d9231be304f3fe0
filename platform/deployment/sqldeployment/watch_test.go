package sqldeployment_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/deployment"
)

// TestAnotherProcessIsHeardAtOnce: what is remembered would last for an hour, and a write through another connection ends it.
func TestAnotherProcessIsHeardAtOnce(t *testing.T) {
	t.Parallel()
	address := testenv.Postgres(t)
	hour := deployment.Options{Fresh: time.Hour, Absent: time.Hour}
	reader, writer := deployment.NewTable(open(t, address), hour), deployment.NewTable(open(t, address), hour)
	t.Cleanup(func() { _ = reader.Close(); _ = writer.Close() })
	app := deployment.App{Name: "shop", Place: deployment.Place{Target: deployment.TargetProcess, Endpoint: "127.0.0.1:1"}}
	put := func(visibility deployment.Visibility) {
		t.Helper()
		app.Visibility, app.Owner = visibility, "user-1"
		if _, err := writer.PutApp(t.Context(), app, deployment.Write{}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	eventually := func(what string, ok func(deployment.App, error) bool) {
		t.Helper()
		for !ok(reader.App(ctx, "shop")) {
			if ctx.Err() != nil {
				t.Fatalf("waited in vain until it is %s", what)
			}
		}
	}
	absent := func(_ deployment.App, err error) bool { return errors.Is(err, deployment.ErrNotFound) }
	eventually("absent", absent)
	for range 3 {
		put(deployment.Public)
		eventually("public", func(a deployment.App, err error) bool { return err == nil && !a.Gated() })
		put(deployment.Private)
		eventually("private", func(a deployment.App, _ error) bool { return a.Gated() })
		if err := writer.DeleteApp(t.Context(), "shop", deployment.Write{}); err != nil {
			t.Fatal(err)
		}
		eventually("absent", absent)
	}
}
