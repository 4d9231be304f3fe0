package app_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/deployment/sqldeployment"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/ratelimit/sqllimit"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/sqlsession"
	"vibesdk-gcp/schemas"
)

// envFile writes the variables of a configuration to a file.
func envFile(t testing.TB, values map[string]string) (path string, c app.Config) {
	t.Helper()
	text := "# a configuration of a test\n\n"
	for name, value := range values {
		text += name + "=" + value + "\n"
	}
	path = filepath.Join(t.TempDir(), "vibed.env")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := app.ReadConfigFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, c
}

// homes are the stores of one side of a migration.
type homes struct {
	store  *session.Store
	limits *sqllimit.Backend
	apps   *deployment.Table
}

func openHomes(t testing.TB, address string) homes {
	t.Helper()
	db, err := sqldb.Open(t.Context(), address, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), schemas.SQL()); err != nil {
		t.Fatal(err)
	}
	apps := deployment.NewTable(sqldeployment.New(db), deployment.Options{})
	t.Cleanup(func() { _ = apps.Close() })
	return homes{session.NewStore(sqlsession.New(db), session.Options{CacheBytes: -1}), sqllimit.New(db, sqllimit.Options{}), apps}
}

func (h homes) deploy(t testing.TB, name, owner string) deployment.App {
	t.Helper()
	stored, err := h.apps.PutApp(t.Context(), deployment.App{
		Name: name, Place: deployment.Place{Target: deployment.TargetCloudflare, Endpoint: "worker"}, Visibility: deployment.Private, Owner: owner,
		Rollout: &deployment.Rollout{Place: deployment.Place{Target: deployment.TargetCloudRun, Endpoint: "https://a.run.app"}, Weight: 10},
	}, deployment.Write{By: "tester"})
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func (h homes) put(t testing.TB, id, mutation, payload string) {
	t.Helper()
	out, err := h.store.Apply(t.Context(), id, []session.Mutation{{ID: mutation, Kind: session.Put, Payload: []byte(payload)}})
	if err != nil || out[0].Err != nil {
		t.Fatalf("put %s: %+v, %v", id, out, err)
	}
}

func (h homes) charge(t testing.TB, key string, n float64) float64 {
	t.Helper()
	rule, err := ratelimit.Config{Limit: 1000, Period: 86400}.Rule()
	if err != nil {
		t.Fatal(err)
	}
	answers, err := h.limits.Take(t.Context(), time.Time{}, []ratelimit.Item{{Key: key, Rule: rule, N: n}}, n == 0)
	if err != nil {
		t.Fatal(err)
	}
	return answers[0].Main
}

func migrate(t testing.TB, o app.MigrateOptions) app.MigrateReport {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	report, err := app.Migrate(within(t), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// TestMigrateThereAndBack copies between SQLite and Postgres, goes on there, and comes back.
func TestMigrateThereAndBack(t *testing.T) {
	t.Parallel()
	lite, pg := "sqlite:"+filepath.Join(t.TempDir(), "a.db"), testenv.Postgres(t)
	_, from := envFile(t, map[string]string{"DATABASE_URL": lite})
	_, to := envFile(t, map[string]string{"DATABASE_URL": pg})
	here, there := openHomes(t, lite), openHomes(t, pg)
	const sessions, keys = 250, 130
	for i := range sessions {
		here.put(t, fmt.Sprintf("s%03d", i), "m", fmt.Sprintf(`{"n": %d.0}`, i))
	}
	if _, err := here.store.Apply(t.Context(), "gone", []session.Mutation{
		{ID: "begin", Kind: session.Put, Payload: []byte("1")}, {ID: "end", Kind: session.Destroy},
	}); err != nil {
		t.Fatal(err)
	}
	for i := range keys {
		here.charge(t, fmt.Sprintf("platform:llmCalls:user:%d", i), float64(i+1))
	}

	const apps = 120
	for i := range apps {
		here.deploy(t, fmt.Sprintf("app-%d", i), "user-1")
	}
	here.deploy(t, "app-7", "user-2")

	both := app.MigrateOptions{From: from, To: to}
	dry := both
	dry.DryRun, dry.Verify = true, true
	if r := migrate(t, dry); r.Sessions.Copied != sessions+1 || r.Sessions.Differing != sessions+1 || r.Limits.Copied != keys || r.Limits.Differing != keys ||
		r.Deployments.Copied != apps || r.Deployments.Differing != apps || r.Clean() {
		t.Errorf("dry run: %+v, %+v, %+v", r.Sessions, r.Limits, r.Deployments)
	}
	if _, err := there.store.Get(t.Context(), "s001"); !errors.Is(err, session.ErrNotFound) {
		t.Fatalf("a dry run wrote: %v", err)
	}

	both.Verify = true
	if r := migrate(t, both); r.Sessions.Copied != sessions+1 || r.Sessions.Compared != sessions+1 || r.Limits.Copied != keys || r.Limits.Compared != keys ||
		r.Deployments.Copied != apps || r.Deployments.Compared != apps || !r.Clean() {
		t.Errorf("first run: %+v, %+v, %+v", r.Sessions, r.Limits, r.Deployments)
	}
	if r := migrate(t, both); r.Sessions.Copied != 0 || r.Sessions.Same != sessions+1 || r.Limits.Copied != 0 || r.Limits.Same != keys ||
		r.Deployments.Copied != 0 || r.Deployments.Same != apps || !r.Clean() {
		t.Errorf("second run: %+v, %+v, %+v", r.Sessions, r.Limits, r.Deployments)
	}

	// It goes on there, and what is old here does not come over it.
	there.put(t, "s001", "m2", "2")
	there.put(t, "new", "m", "3")
	if n := there.charge(t, "platform:llmCalls:user:4", 2); n != 5 {
		t.Errorf("the next charge finds %v, want 5", n)
	}
	if stored := there.deploy(t, "app-7", "user-3"); stored.Version != 3 {
		t.Errorf("the next version of an app is %d, want 3", stored.Version)
	}
	there.deploy(t, "new", "user-1")
	r := migrate(t, both)
	if r.Deployments.Ahead != 1 || r.Deployments.Differing != 1 || r.Deployments.OnlyThere != 1 {
		t.Errorf("over an app that went on: %+v", r.Deployments)
	}
	if r.Clean() || r.Sessions.Ahead != 1 || r.Limits.Ahead != 1 || r.Sessions.OnlyThere != 1 || r.Sessions.Differing != 1 || r.Limits.Differing != 1 ||
		!slices.ContainsFunc(r.Sessions.Findings, func(f string) bool { return strings.Contains(f, `"s001"`) }) {
		t.Errorf("over what went on: %+v, %+v", r.Sessions, r.Limits)
	}
	if rec, err := there.store.Get(t.Context(), "s001"); err != nil || string(rec.Parts[session.PartState].Data) != "2" {
		t.Errorf("the session that went on: %v, %v", rec, err)
	}

	// Back, with the files swapped.
	back := app.MigrateOptions{From: to, To: from, Verify: true}
	if r := migrate(t, back); r.Sessions.Copied != 2 || r.Limits.Copied != 1 || r.Deployments.Copied != 2 || !r.Clean() {
		t.Errorf("back: %+v, %+v, %+v", r.Sessions, r.Limits, r.Deployments)
	}
	if rec, err := here.store.Get(t.Context(), "s001"); err != nil || rec.Version != 2 {
		t.Errorf("back home: %v, %v", rec, err)
	}
	if out, err := here.store.Apply(t.Context(), "s001", []session.Mutation{{ID: "m2", Kind: session.Put, Payload: []byte("2")}}); err != nil || !out[0].Duplicate {
		t.Errorf("a mutation that was made there: %+v, %v", out, err)
	}
	if changes, err := here.apps.AppHistory(t.Context(), "app-7", 0); err != nil || len(changes) != 3 || changes[0].App.Owner != "user-3" {
		t.Errorf("the history of an app that went on there: %+v, %v", changes, err)
	}
	if n := here.charge(t, "platform:llmCalls:user:4", 0); n != 7 {
		t.Errorf("back home %v are counted, want 7", n)
	}
}

// TestMigrateIsKilled kills the program again and again. In the end everything is there, and no run began anew.
func TestMigrateIsKilled(t *testing.T) {
	t.Parallel()
	lite, pg := "sqlite:"+filepath.Join(t.TempDir(), "a.db"), testenv.Postgres(t)
	from, _ := envFile(t, map[string]string{"DATABASE_URL": lite})
	to, _ := envFile(t, map[string]string{"DATABASE_URL": pg})
	here := openHomes(t, lite)
	const sessions, keys = 2000, 500
	for i := range sessions {
		here.put(t, fmt.Sprintf("s%04d", i), "m", fmt.Sprintf(`{"n":%d,"text":%q}`, i, strings.Repeat("x", 2000)))
	}
	for i := range keys {
		here.charge(t, fmt.Sprintf("platform:llmCalls:user:%d", i), 1)
	}
	state := filepath.Join(t.TempDir(), "state.json")
	program := testenv.Program(t, "vibectl", "")
	command := func(ctx context.Context, more ...string) *exec.Cmd {
		return exec.CommandContext(ctx, program, append([]string{
			"migrate", "--from", from, "--to", to, "--sessions", "--limits", "--state", state, "--workers", "2", "-o", "json",
		}, more...)...)
	}
	killed, saved := 0, ""
	for range 6 {
		run := command(within(t))
		if err := run.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- run.Wait() }()
		// It is killed in the middle: as soon as it has got farther than the run before.
		for now := saved; now == saved; {
			select {
			case err := <-ended:
				t.Fatalf("it ended before it was killed: %v", err)
			default:
			}
			data, err := os.ReadFile(state)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			now = string(data)
		}
		if err := run.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-ended
		killed++
		data, err := os.ReadFile(state)
		if err != nil {
			t.Fatal(err)
		}
		if saved = string(data); !strings.Contains(saved, `"cursor": "s`) {
			t.Fatalf("the state after %d kills: %s", killed, saved)
		}
	}
	_, after, _ := strings.Cut(saved, `"cursor": "s`)
	t.Logf("killed %d times, the last time at s%.4s", killed, after)
	out, err := command(within(t), "--verify").CombinedOutput()
	if err != nil {
		t.Fatalf("the last run: %v\n%s", err, out)
	}
	if !strings.Contains(string(out), `"resumed": true`) || !strings.Contains(string(out), fmt.Sprintf(`"compared": %d`, sessions)) ||
		!strings.Contains(string(out), fmt.Sprintf(`"compared": %d`, keys)) || strings.Count(string(out), `"differing": 0`) != 2 {
		t.Errorf("the last run: %s", out)
	}
	if _, err := os.Stat(state); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the state file of a run that is over: %v", err)
	}

	openHomes(t, pg).put(t, "s0000", "elsewhere", "1")
	out, err = command(within(t), "--verify").CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 3 || !strings.Contains(string(out), `session \"s0000\"`) {
		t.Errorf("with a difference: %v\n%s", err, out)
	}
}

func TestMigrateRefuses(t *testing.T) {
	t.Parallel()
	lite := "sqlite:" + filepath.Join(t.TempDir(), "a.db")
	openHomes(t, lite)
	_, from := envFile(t, map[string]string{"DATABASE_URL": lite})
	_, empty := envFile(t, map[string]string{"DATABASE_URL": "sqlite:" + filepath.Join(t.TempDir(), "none.db")})
	_, gone := envFile(t, map[string]string{"DATABASE_URL": "sqlite:" + filepath.Join(t.TempDir(), "gone.db")})
	state := filepath.Join(t.TempDir(), "state.json")
	foreign := `{"parts":{"sessions":{"from":"sqlite:/elsewhere","to":"sqlite:/else","phase":"copy","cursor":"s"}}}`
	for name, c := range map[string]struct {
		o     app.MigrateOptions
		state string
		want  string
	}{
		"a source that is not there":       {app.MigrateOptions{From: gone, To: from}, "", "DATABASE_URL"},
		"a state file of other homes":      {app.MigrateOptions{From: from, To: empty, StateFile: state}, foreign, "is of a migration of sessions from sqlite:/elsewhere"},
		"a state file that is none":        {app.MigrateOptions{From: from, To: empty, StateFile: state}, "{}", "is not one of a migration"},
		"a file of keys that is not there": {app.MigrateOptions{From: from, To: empty, Limits: true, KeysFile: state + ".keys"}, "", "keys"},
	} {
		_ = os.Remove(state)
		if c.state != "" {
			if err := os.WriteFile(state, []byte(c.state), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c.o.Logger = slog.New(slog.DiscardHandler)
		if _, err := app.Migrate(t.Context(), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if r := migrate(t, app.MigrateOptions{From: from, To: from}); r.Sessions.Note == "" || r.Limits.Note == "" || r.Sessions.Copied != 0 {
		t.Errorf("from a home to itself: %+v", r.Sessions)
	}
	for _, text := range []string{"NAME", "1A=2", "A=1\nA=2", "SECRET VALUE"} {
		path := filepath.Join(t.TempDir(), "env")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := app.ReadConfigFile(path); err == nil || strings.Contains(err.Error(), "VALUE") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
