package app_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/client"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/internal/testenv"
)

// hundred is a limit whose charges all stay for the length of a test.
var hundred = &client.LimitConfig{Limit: 100, Period: 86400}

// patient makes sure that a busy machine is not taken for an outage.
const patient = time.Minute

// together charges from 64 clients and returns how many charges were admitted and rejected.
func together(t *testing.T, l *client.Limits, each int, charge client.LimitCharge) (admitted, rejected int64) {
	t.Helper()
	ctx := within(t)
	var yes, no atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range each {
				switch result, err := l.Increment(ctx, charge); {
				case err != nil || result.Degraded:
					t.Errorf("%+v, %v", result, err)
				case result.Success:
					yes.Add(1)
				default:
					no.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return yes.Load(), no.Load()
}

// lifeOfALimit goes through what a limit can do on one back end.
func lifeOfALimit(t *testing.T, c app.Config) *client.Limits {
	t.Helper()
	l, ctx := start(t, c, app.RoleGateway).client.Limits(), within(t)
	who := "user:" + t.Name() + "/" + time.Now().Format(time.RFC3339Nano)
	burst := client.LimitCharge{Limit: "burst", Identifier: who, N: 1, Config: hundred}
	if yes, no := together(t, l, 5, burst); yes != 100 || no != 220 {
		t.Errorf("64 clients: %d admitted and %d rejected, want exactly 100 and 220", yes, no)
	}
	calls := client.LimitCharge{Limit: "llmCalls", Identifier: who, N: 1.2}
	if out, err := l.Take(ctx, calls, burst); err != nil || out.Success || !out.Results[0].Success || out.Results[1].ExceededLimit != "main" || out.Results[1].RetryAfterSeconds <= 0 {
		t.Errorf("with one that is used up: %+v, %v", out, err)
	}
	left := func(want float64) {
		t.Helper()
		if got, err := l.Remaining(ctx, calls); err != nil || got.RemainingLimit != want {
			t.Errorf("%+v remain, %v; want %v", got, err, want)
		}
	}
	left(200)
	if err := l.Reset(ctx, "burst", who); err != nil {
		t.Error(err)
	}
	out, err := l.Reserve(ctx, "", calls, burst)
	if err != nil || !out.Success || out.Reservation == nil {
		t.Fatalf("reserve: %+v, %v", out, err)
	}
	for range 2 {
		if err := l.Settle(ctx, *out.Reservation, 0.5); err != nil {
			t.Error(err)
		}
	}
	left(199.5)
	if out, err = l.Reserve(ctx, "mine", calls); err != nil || !out.Success {
		t.Fatalf("reserve: %+v, %v", out, err)
	}
	if err := l.Refund(ctx, *out.Reservation); err != nil {
		t.Error(err)
	}
	left(199.5)
	if out, err := l.Check(ctx, calls); err != nil || !out.Success || out.Results[0].RemainingLimit != 198.3 {
		t.Errorf("check: %+v, %v", out, err)
	}
	if _, err := l.Increment(ctx, client.LimitCharge{Limit: "unknown", Identifier: who, N: 1}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("a limit that is not configured: %v", err)
	}
	return l
}

func TestLimitsOnSQLite(t *testing.T) {
	t.Parallel()
	lifeOfALimit(t, config(t))
}

func TestLimitsOnPostgres(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.DatabaseURL = testenv.Postgres(t)
	lifeOfALimit(t, c)
}

func TestLimitsOnRedis(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Limit.Backend = "redis"
	c.Limit.RedisURL, _ = testenv.Redis(t)
	lifeOfALimit(t, c)
}

func TestLimitsInDurableObjects(t *testing.T) {
	t.Parallel()
	c := config(t)
	bridge := testenv.Workerd(t)
	c.Limit.Backend, c.Session.BridgeURL, c.Session.BridgeKey = "cloudflare", bridge.URL, bridge.Key
	l := lifeOfALimit(t, c)
	out, err := l.Take(within(t), client.LimitCharge{Limit: "llmCalls", Identifier: "user:1", N: 1}, client.LimitCharge{Limit: "llmCalls", Identifier: "user:2", N: 1})
	if !errors.Is(err, client.ErrConflict) {
		t.Errorf("two identifiers in one call: %+v, %v", out, err)
	}
}

// TestRedisIsKilledAndStarted holds a gateway to its bound: what Redis admits is the limit exactly when it forgets nothing, and
// the guard of the gateway admits at most the limit once more while it is away.
func TestRedisIsKilledAndStarted(t *testing.T) {
	t.Parallel()
	const most = 2000 // more than is admitted before the kill
	server := testenv.NewRedisServer(t, "--appendonly", "yes", "--appendfsync", "always", "--save", "")
	c := config(t)
	c.Limit.Backend, c.Limit.RedisURL = "redis", server.URL()
	l, ctx := start(t, c, app.RoleGateway).client.Limits(), within(t)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	charge := client.LimitCharge{Limit: "burst", Identifier: "user:1", N: 1, Config: &client.LimitConfig{Limit: most, Period: 86400}}
	var admitted, guarded, rejected atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for ctx.Err() == nil {
				switch result, err := l.Increment(ctx, charge); {
				case err != nil:
					if ctx.Err() == nil {
						t.Error(err)
						stop()
					}
					return
				case result.Success && result.Degraded:
					guarded.Add(1)
				case result.Success:
					admitted.Add(1)
				case !result.Degraded:
					rejected.Add(1)
				}
			}
		})
	}
	until := func(what string, reached func() bool) {
		t.Helper()
		for !reached() {
			select {
			case <-ctx.Done():
				t.Fatalf("no %s: %d admitted, %d by the guard, %d rejected", what, admitted.Load(), guarded.Load(), rejected.Load())
			case <-time.After(time.Millisecond):
			}
		}
	}
	until("admission", func() bool { return admitted.Load()+guarded.Load() > 0 })
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	until("guard", func() bool { return guarded.Load() > 0 })
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	until("rejection by Redis", func() bool { return rejected.Load() > 0 })
	stop()
	wg.Wait()
	t.Logf("%d admitted by Redis, %d by the guard", admitted.Load(), guarded.Load())
	if admitted.Load() > most || guarded.Load() > most {
		t.Errorf("Redis admitted %d and the guard %d, want at most %d each", admitted.Load(), guarded.Load(), most)
	}
}

func TestLimitsAreSwept(t *testing.T) {
	t.Parallel()
	c := config(t)
	w, ctx := start(t, c), within(t)
	db, err := sqldb.Open(ctx, "sqlite:"+filepath.Join(c.DataDir, "vibed.db"), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows := func() (n int) {
		if err := db.R.QueryRowContext(ctx, "SELECT COUNT(*) FROM ratelimit_cells").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	short := &client.LimitConfig{Limit: 1, Period: 0.05, BucketSize: 0.01}
	if _, err := w.client.Limits().Increment(ctx, client.LimitCharge{Limit: "short", Identifier: "user:1", N: 1, Config: short}); err != nil {
		t.Fatal(err)
	}
	if rows() == 0 {
		t.Fatal("nothing is stored")
	}
	// A cell is kept until the youngest bucket that it can hold has left: here some minutes at the top. So the test makes them old.
	if _, err := db.W.ExecContext(ctx, "UPDATE ratelimit_cells SET expires_at = 1"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.Publish(ctx, "cleanup-ticks", client.Message{Data: []byte(`{"kind":"RATE_LIMIT_BUCKETS"}`)}); err != nil {
		t.Fatal(err)
	}
	for rows() > 0 {
		select {
		case <-ctx.Done():
			t.Fatal("the tick swept nothing")
		case <-time.After(time.Millisecond):
		}
	}
}

func TestLimitSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filesIn(t, dir)
	key := file("key", "0123456789abcdef\n")
	for name, c := range map[string]struct {
		vars map[string]string
		want []string // variables at fault
	}{
		"redis":                       {map[string]string{"LIMIT_BACKEND": "redis", "REDIS_URL": "rediss://user:hunter2@host:6379/1"}, nil},
		"redis cluster":               {map[string]string{"LIMIT_BACKEND": "redis", "REDIS_URL": "redis+cluster://host:6379", "LIMIT_TIMEOUT": "20ms"}, nil},
		"redis without address":       {map[string]string{"LIMIT_BACKEND": "redis"}, []string{"REDIS_URL"}},
		"redis with another":          {map[string]string{"LIMIT_BACKEND": "redis", "REDIS_URL": "http://user:hunter2@host"}, []string{"REDIS_URL"}},
		"an address without use":      {map[string]string{"REDIS_URL": "redis://user:hunter2@host"}, []string{"REDIS_URL"}},
		"cloudflare":                  {map[string]string{"LIMIT_BACKEND": "cloudflare", "BRIDGE_URL": "https://bridge.example", "BRIDGE_KEY_FILE": key}, nil},
		"cloudflare without a bridge": {map[string]string{"LIMIT_BACKEND": "cloudflare"}, []string{"BRIDGE_URL", "BRIDGE_KEY_FILE"}},
		"unknown words": {
			map[string]string{"LIMIT_BACKEND": "memcached", "LIMITS_PRESET": "latest", "API_RATE_LIMIT": "yes", "LIMIT_TIMEOUT": "0s"},
			[]string{"LIMIT_BACKEND", "LIMITS_PRESET", "API_RATE_LIMIT", "LIMIT_TIMEOUT"},
		},
		"no file":     {map[string]string{"LIMITS_FILE": filepath.Join(dir, "none")}, []string{"LIMITS_FILE"}},
		"a bad file":  {map[string]string{"LIMITS_FILE": file("bad", "mine: {limit: 1, period: -1}\n")}, []string{"LIMITS_FILE"}},
		"a good file": {map[string]string{"LIMITS_FILE": file("good", "mine: {limit: 1, period: 1}\n"), "API_RATE_LIMIT": "on"}, nil},
	} {
		_, err := app.ReadConfig(environment(c.vars))
		if (err != nil) != (len(c.want) > 0) || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
		for _, variable := range c.want {
			if err == nil || !strings.Contains(err.Error(), "\n  "+variable+": ") {
				t.Errorf("%s: the error does not name %s: %v", name, variable, err)
			}
		}
	}
	c, err := app.ReadConfig(environment(map[string]string{"LIMITS_PRESET": "vibesdk-2025-10", "LIMITS_FILE": filepath.Join(dir, "good"), "LIMIT_BACKEND": "redis", "REDIS_URL": "redis://h"}))
	if err != nil || c.Limit.Limits["mine"].Limit != 1 || c.Limit.Limits["llmCalls"].Limit != 400 || c.Limit.Timeout != 50*time.Millisecond {
		t.Errorf("%+v, %v", c.Limit, err)
	}
}

func TestTheAPIIsLimited(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Limit.API, c.Auth.Key = true, "0123456789abcdef"
	limit := c.Limit.Limits["apiRateLimit"]
	limit.Limit = 2
	c.Limit.Limits["apiRateLimit"] = limit
	l, ctx := start(t, c, app.RoleGateway).client.Limits(), within(t)
	for range 2 {
		if _, err := l.List(ctx); err != nil {
			t.Fatal(err)
		}
	}
	// The charge is not decided on, so it is no rejected one: the call itself was refused.
	_, err := l.Increment(ctx, client.LimitCharge{Limit: "apiRateLimit", Identifier: "user:1", N: 1})
	var refused *client.Error
	if !errors.Is(err, client.ErrLimited) || !errors.As(err, &refused) || refused.RetryAfter <= 0 {
		t.Errorf("third call: %v", err)
	}
}
