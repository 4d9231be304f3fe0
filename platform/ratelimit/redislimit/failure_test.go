package redislimit_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/ratelimit/redislimit"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func item(t testing.TB, key string, limit, n float64) ratelimit.Item {
	t.Helper()
	rule, err := ratelimit.Config{Limit: limit, Period: 3600}.Rule()
	if err != nil {
		t.Fatal(err)
	}
	return ratelimit.Item{Key: key, Rule: rule, N: n}
}

func count(t testing.TB, b ratelimit.Backend, i ratelimit.Item) float64 {
	t.Helper()
	answers, err := b.Take(t.Context(), noon, []ratelimit.Item{i}, true)
	if err != nil {
		t.Fatal(err)
	}
	return answers[0].Main
}

func connect(t testing.TB, address string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(address)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// TestScriptFlushChargesOnce: 64 clients of one key are admitted exactly the limit while the server forgets the script again and again.
func TestScriptFlushChargesOnce(t *testing.T) {
	t.Parallel()
	s := testenv.NewRedisServer(t)
	const limit = 500
	b, admin, i := openAt(t, s.URL(), redislimit.Options{Timeout: patient}), connect(t, s.URL()), item(t, "k", limit, 1)
	var flushing sync.WaitGroup
	stop := make(chan struct{})
	flushing.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := admin.ScriptFlush(context.Background()).Err(); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	var admitted atomic.Int64
	together(func() {
		for range 12 {
			answers, err := b.Take(context.Background(), noon, []ratelimit.Item{i}, false)
			if err != nil {
				t.Error(err)
			} else if answers[0].Exceeded == "" {
				admitted.Add(1)
			}
		}
	})
	close(stop)
	flushing.Wait()
	if got := count(t, b, i); got != limit || admitted.Load() != limit {
		t.Errorf("%d charges were admitted and %v counted, want %d", admitted.Load(), got, limit)
	}
}

// together runs 64 clients at once and waits for all.
func together(run func()) {
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(run)
	}
	wg.Wait()
}

// TestKilledRedisForgetsOnlyWhatWasNotOnDisk kills the server under load: with a disk that is written before each reply it must know every
// charge that was answered, and at most one more for each call that was under way.
func TestKilledRedisForgetsOnlyWhatWasNotOnDisk(t *testing.T) {
	t.Parallel()
	s := testenv.NewRedisServer(t, "--appendonly", "yes", "--appendfsync", "always")
	b, i := openAt(t, s.URL(), redislimit.Options{Timeout: patient}), item(t, "k", 1e6, 1)
	var answered, failed atomic.Int64
	const clients = 16
	kill := make(chan struct{})
	var once sync.Once
	var charging sync.WaitGroup
	for range clients {
		charging.Go(func() {
			for {
				if _, err := b.Take(context.Background(), noon, []ratelimit.Item{i}, false); err != nil {
					if !errors.Is(err, ratelimit.ErrUnavailable) {
						t.Errorf("%v, want ErrUnavailable", err)
					}
					failed.Add(1)
					return
				}
				if answered.Add(1) == 500 {
					once.Do(func() { close(kill) })
				}
			}
		})
	}
	<-kill
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	charging.Wait()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	got := count(t, b, i)
	if least, most := float64(answered.Load()), float64(answered.Load()+failed.Load()); got < least || got > most {
		t.Errorf("after the restart %v charges are known, want %v answered and at most %v", got, least, most)
	}
	if _, err := b.Take(t.Context(), noon, []ratelimit.Item{i}, false); err != nil {
		t.Errorf("a charge after the restart: %v", err)
	}
}

func TestMemoryOnlyRedisStartsEmpty(t *testing.T) {
	t.Parallel()
	s := testenv.NewRedisServer(t, "--save", "", "--appendonly", "no")
	b, i := openAt(t, s.URL(), redislimit.Options{Timeout: patient}), item(t, "k", 5, 5)
	if _, err := b.Take(t.Context(), noon, []ratelimit.Item{i}, false); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Kill(), s.Start()); err != nil {
		t.Fatal(err)
	}
	if got := count(t, b, i); got != 0 {
		t.Errorf("%v charges are known, want none", got)
	}
}

// TestSlowRedis puts a gate between 64 clients of one key and the server: replies do not come before it opens. TestDeadlineOfASilentServer
// says how long that takes.
func TestSlowRedis(t *testing.T) {
	t.Parallel()
	s := testenv.NewRedisServer(t)
	gate := newGate(t, s.Address())
	const limit = 100
	b := openAt(t, "redis://"+gate.address, redislimit.Options{Timeout: patient})
	config := item(t, "", limit, 1).Rule.Config
	limiter, err := ratelimit.New(b, ratelimit.Options{Limits: map[string]ratelimit.Limit{
		"open": {Config: config}, "closed": {Config: config, OnFailure: ratelimit.Closed},
	}, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	if got := count(t, b, item(t, "k", 1, 1)); got != 0 { // the connection is made
		t.Fatal(got)
	}
	gate.shut()
	var admitted, closed atomic.Int64
	together(func() { // none of these calls could return if it waited for the reply
		for range 3 {
			if r, err := limiter.Increment(t.Context(), "open", "u", 1); err != nil || !r.Degraded {
				t.Errorf("open: %+v, %v, want the guard's answer", r, err)
			} else if r.Success {
				admitted.Add(1)
			}
		}
		if _, err := limiter.Increment(t.Context(), "closed", "u", 1); errors.Is(err, ratelimit.ErrUnavailable) {
			closed.Add(1)
		}
	})
	if admitted.Load() != limit || closed.Load() != 64 {
		t.Errorf("the guard admitted %d, want exactly %d; %d of 64 calls of the closed limit were rejected", admitted.Load(), limit, closed.Load())
	}
	gate.open()
	admitted.Store(0)
	gate.slow(5 * time.Millisecond) // every reply now takes its time, and the callers have it
	together(func() {
		for range 5 {
			answers, err := b.Take(t.Context(), noon, []ratelimit.Item{item(t, "slow", limit, 1)}, false)
			if err != nil {
				t.Error(err)
			} else if answers[0].Exceeded == "" {
				admitted.Add(1)
			}
		}
	})
	if got := count(t, b, item(t, "slow", limit, 1)); got != limit || admitted.Load() != limit {
		t.Errorf("%d charges were admitted and %v counted, want exactly %d", admitted.Load(), got, limit)
	}
}

// TestCallThatLeftIsNotSent lets a call give up while it waits behind another one.
func TestCallThatLeftIsNotSent(t *testing.T) {
	t.Parallel()
	s := testenv.NewRedisServer(t)
	admin, gate := connect(t, s.URL()), newGate(t, s.Address())
	b, i := openAt(t, "redis://"+gate.address, redislimit.Options{Timeout: patient, Conns: 1}), item(t, "k", 1e6, 1)
	if _, err := b.Take(t.Context(), noon, []ratelimit.Item{i}, false); err != nil {
		t.Fatal(err)
	}
	before := evals(t, admin)
	gate.shut()
	result := make(chan error, 1)
	go func() {
		_, err := b.Take(context.Background(), noon, []ratelimit.Item{i}, false)
		result <- err
	}()
	for evals(t, admin) == before {
		time.Sleep(time.Millisecond) // the server has not run it yet
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := b.Take(ctx, noon, []ratelimit.Item{i}, false); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the call that waited gave %v", err)
	}
	gate.open()
	if err := <-result; err != nil {
		t.Error(err)
	}
	if got := count(t, b, i); got != 2 {
		t.Errorf("%v charges were counted, want 2: the third was never sent", got)
	}
}

// TestServerClockNeverGoesBack stores a later time than the server's, as it is found after a failover.
func TestServerClockNeverGoesBack(t *testing.T) {
	t.Parallel()
	address, prefix := testenv.Redis(t)
	b, admin := openAt(t, address, redislimit.Options{Prefix: prefix, Timeout: patient}), connect(t, address)
	take := func() int64 {
		answers, err := b.Take(t.Context(), time.Time{}, []ratelimit.Item{item(t, "k", 100, 1)}, false)
		if err != nil {
			t.Fatal(err)
		}
		return answers[0].Now
	}
	later := take() + 3_600_000
	name := prefix + "{k}k"
	head, err := admin.HGet(t.Context(), name, "h").Bytes()
	if err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint64(head[9:], math.Float64bits(float64(later)))
	if err := admin.HSet(t.Context(), name, "h", head).Err(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := take(); got != later {
			t.Errorf("the charge was made at %d, want %d, the latest time seen", got, later)
		}
	}
}

// TestBrokenConnectionIsNotRetried drops the connection after the server has run the script, before its reply arrives.
func TestBrokenConnectionIsNotRetried(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"server": nil, "cluster": {"--cluster-enabled", "yes"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testenv.NewRedisServer(t, args...)
			admin := connect(t, s.URL())
			gate := newGate(t, s.Address())
			address := "redis://" + gate.address
			if name == "cluster" {
				makeCluster(t, admin, gate.address)
				address = "redis+cluster://" + gate.address
			}
			b, i := openAt(t, address, redislimit.Options{Timeout: patient}), item(t, "k", 1e6, 1)
			if _, err := b.Take(t.Context(), noon, []ratelimit.Item{i}, false); err != nil {
				t.Fatal(err)
			}
			before := evals(t, admin)
			gate.shut()
			result := make(chan error, 1)
			go func() {
				_, err := b.Take(context.Background(), noon, []ratelimit.Item{i}, false)
				result <- err
			}()
			for evals(t, admin) == before {
				time.Sleep(time.Millisecond) // the server has not run it yet
			}
			gate.drop()
			gate.open()
			if err := <-result; !errors.Is(err, ratelimit.ErrUnavailable) {
				t.Errorf("%v, want ErrUnavailable", err)
			}
			if got := count(t, b, i); got != 2 {
				t.Errorf("%v charges were counted, want 2: the second one once", got)
			}
		})
	}
}

// evals is how many scripts the server has run.
func evals(t *testing.T, admin *redis.Client) string {
	t.Helper()
	info, err := admin.InfoMap(context.Background(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	return info["Commandstats"]["cmdstat_evalsha"]
}

func TestReadOnlyReplicaIsUnavailable(t *testing.T) {
	t.Parallel()
	s := testenv.NewRedisServer(t)
	b, admin, i := openAt(t, s.URL(), redislimit.Options{Timeout: patient}), connect(t, s.URL()), item(t, "k", 5, 1)
	// A replica whose primary cannot be reached still answers, and refuses to write.
	if err := admin.ReplicaOf(t.Context(), "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Take(t.Context(), noon, []ratelimit.Item{i}, false); !errors.Is(err, ratelimit.ErrUnavailable) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
	if err := admin.ReplicaOf(t.Context(), "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	if got := count(t, b, i); got != 0 {
		t.Errorf("%v charges were counted, want none", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "http://x", "redis://user:secret-word@host:port/x", "unix:///tmp/x", "redis+cluster://user:secret-word@h:1/?x=y"} {
		b, err := redislimit.Open(address, redislimit.Options{})
		if err == nil {
			t.Errorf("%q was opened", address)
			_ = b.Close()
		} else if strings.Contains(err.Error(), "secret-word") {
			t.Errorf("the error of %q shows the password: %v", address, err)
		}
	}
	b := openAt(t, "redis://user:secret-word@127.0.0.1:1", redislimit.Options{})
	_, err := b.Take(t.Context(), noon, []ratelimit.Item{item(t, "k", 1, 1)}, false)
	if !errors.Is(err, ratelimit.ErrUnavailable) || strings.Contains(err.Error(), "secret-word") {
		t.Errorf("no server: %v, want ErrUnavailable without the password", err)
	}
	_ = b.Close()
	if _, err := b.Take(t.Context(), noon, []ratelimit.Item{item(t, "k", 1, 1)}, false); !errors.Is(err, ratelimit.ErrUnavailable) {
		t.Errorf("after Close: %v", err)
	}
}
