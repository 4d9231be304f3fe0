package chaos_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"vibesdk-gcp/cmd/internal/chaos"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/internal/testenv"
)

// shortRun is how long faults last when CHAOS_TIME does not say: long enough for each kind of them, and for thousands of calls.
const shortRun = 10 * time.Second

// length is how long faults last: CHAOS_TIME, as 3m.
func length(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("CHAOS_TIME")
	if text == "" {
		return shortRun
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second || d > time.Hour {
		t.Fatalf("CHAOS_TIME=%s is not from 1s to 1h", text)
	}
	return d
}

// seed is where the random choices begin: CHAOS_SEED, or another one each time.
func seed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("CHAOS_SEED")
	if text == "" {
		return rand.Uint64()
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("CHAOS_SEED=%s is not a whole number", text)
	}
	return n
}

// begin makes a world, which says at its end how to repeat it if it failed.
func begin(t *testing.T) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("kills programs for many seconds")
	}
	w := newWorld(t, seed(t))
	testenv.Program(t, "sandboxd", "crashpoint,faults")
	w.fleet = newFleet(t, testenv.Program(t, "vibed", "crashpoint,faults"))
	t.Cleanup(func() { w.say() })
	return w
}

// say tells what happened; more of it when the test failed.
func (w *world) say() {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := 0
	for _, n := range w.operations {
		calls += n
	}
	w.t.Logf("seed %d; %d calls: %v", w.seed, calls, w.operations)
	w.history.Read(func() {
		outcomes := map[string]int{}
		for _, m := range w.history.Mutations {
			outcomes[m.Outcome.String()]++
		}
		w.t.Logf("%d mutations: %v; %d jobs, %d calls of the agent host, %d sandboxes, %d faults", len(w.history.Mutations), outcomes,
			len(w.history.Jobs), len(w.history.Calls), len(w.history.Requests), len(w.nemesis))
	})
	if len(w.surprises) > 0 {
		w.t.Errorf("answers that nobody may get, and how often: %v", w.surprises)
	}
	if len(w.failures) > 0 {
		w.t.Logf("answers that should have been 503, and how often: %v", w.failures)
		if os.Getenv("CHAOS_TIME") != "" { // one more error that a driver does not know is no reason to fail a short run
			w.t.Fail()
		}
	}
	w.t.Logf("lives of programs:\n%s", w.fleet.report())
	if !w.t.Failed() {
		return
	}
	for _, n := range w.nemesis {
		w.t.Log(n)
	}
	w.t.Logf("programs said:\n%s", w.fleet.tails(8000))
	w.t.Logf("to repeat the choices of this run: CHAOS_SEED=%d CHAOS_TIME=%s go test -count=1 -run '^%s$' ./cmd/internal/chaos", w.seed, length(w.t), w.t.Name())
}

// TestChaosOnPostgres lets everything go wrong in an installation on Postgres and Redis, with sandboxes as processes.
func TestChaosOnPostgres(t *testing.T) {
	t.Parallel()
	w := begin(t)
	postgres := testenv.NewPostgresServer(t)
	redis := testenv.NewRedisServer(t, "--appendonly", "yes", "--appendfsync", "everysec")
	w.backends = []*backend{
		{name: "Postgres", kill: postgres.Kill, start: postgres.Start},
		{name: "Redis", kill: redis.Kill, start: redis.Start, pause: redis.Pause, resume: redis.Resume},
	}
	base := w.base()
	maps.Copy(base, map[string]string{
		"DATABASE_URL": postgres.URL(w.network.to(t, "Postgres", postgres.Address())), "SOURCES_URL": "file://" + t.TempDir(),
		"LIMIT_BACKEND": "redis", "REDIS_URL": "redis://" + w.network.to(t, "Redis", redis.Address()), "SESSION_BACKEND": "postgres",
		"SANDBOXD": testenv.Program(t, "sandboxd", "crashpoint,faults"),
	})
	front, side := testenv.Address(t), testenv.Address(t)
	w.gateways, w.routers = []string{front}, []string{side}
	own := func(more map[string]string) map[string]string {
		env := map[string]string{"DATA_DIR": t.TempDir()}
		maps.Copy(env, more)
		return env
	}
	data := t.TempDir()
	// What runs sandboxes on one folder is one process.
	w.fleet.add("gateway", base, own(map[string]string{"LISTEN": front, "DATA_DIR": data}), "gateway", "sandboxrunner", "janitor")
	w.fleet.add("router", base, own(map[string]string{"LISTEN": side}), "router", "deadletters")
	for n := range 2 {
		w.fleet.add(fmt.Sprint("statewriter", n), base, own(nil), "statewriter")
		w.fleet.add(fmt.Sprint("callbackrunner", n), base, own(nil), "callbackrunner")
	}
	w.fleet.add("ticker", base, own(nil), "ticker")

	db := database(t, postgres)
	w.look = func(ctx context.Context, f *chaos.Final) error {
		f.Orphans = append(f.Orphans, processesOf("SANDBOX_DIR", data)...)
		folders, err := filepath.Glob(filepath.Join(data, "sandboxes", "sbx-*"))
		if err != nil {
			return err
		}
		for _, folder := range folders {
			f.Orphans = append(f.Orphans, "folder "+filepath.Base(folder))
		}
		if err := waiting(ctx, db, f); err != nil {
			return err
		}
		return w.leftInSQL(ctx, db, f)
	}
	w.run(length(t))
}

// database opens what is to be looked into past the programs, and past what stands between them and it.
func database(t *testing.T, server *testenv.PostgresServer) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), server.URL(server.Address()), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// waiting counts the messages that the bus in the database holds.
func waiting(ctx context.Context, db *sqldb.DB, f *chaos.Final) error {
	rows, err := db.R.QueryContext(ctx, `SELECT s.name, count(*) FROM bus_subscriptions s JOIN bus_lanes l ON l.sub = s.id
		LEFT JOIN bus_messages m ON l.id = COALESCE(m.lane, m.seq) GROUP BY s.name`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var n int
		if err := rows.Scan(&name, &n); err != nil {
			return err
		}
		if name != "janitor" { // ticks never stop coming
			f.Waiting[name] = n
		}
	}
	return rows.Err()
}

// leftInSQL looks for rows that belong to nothing, and asks the routers for the routes of sandboxes.
func (w *world) leftInSQL(ctx context.Context, db *sqldb.DB, f *chaos.Final) error {
	for what, query := range map[string]string{
		"part of session":            `SELECT session_id FROM session_parts WHERE session_id NOT IN (SELECT id FROM sessions)`,
		"message without a lane":     `SELECT id FROM bus_messages WHERE COALESCE(lane, seq) NOT IN (SELECT id FROM bus_lanes)`,
		"route of sandbox":           `SELECT sandbox_id FROM preview_routes WHERE fence <> 0`,
		"specification of a sandbox": `SELECT id FROM sandbox_specs WHERE id NOT IN (SELECT id FROM sandboxes WHERE state NOT IN ('deleted', 'failed'))`,
	} {
		if err := orphans(ctx, db, f, what, query); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	tokens, err := db.R.QueryContext(ctx, `SELECT id, token FROM sandboxes WHERE token <> ''`)
	if err != nil {
		return err
	}
	defer tokens.Close()
	for tokens.Next() {
		var id, token string
		if err := tokens.Scan(&id, &token); err != nil {
			return err
		}
		for _, router := range w.routers {
			left, err := routeLeft(ctx, router, id+"-"+token+".preview.localhost")
			if err != nil {
				return err
			}
			if left != "" {
				f.Orphans = append(f.Orphans, left)
			}
		}
	}
	return tokens.Err()
}

func orphans(ctx context.Context, db *sqldb.DB, f *chaos.Final, what, query string) error {
	rows, err := db.R.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		f.Orphans = append(f.Orphans, what+" "+id)
	}
	return rows.Err()
}
