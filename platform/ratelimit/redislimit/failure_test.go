package redislimit_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
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

func TestScriptFlushChargesOnce(t *testing.T) {
	t.Parallel()
	s := testenv.NewRedisServer(t)
	b, admin, i := openAt(t, s.URL(), redislimit.Options{Timeout: patient}), connect(t, s.URL()), item(t, "k", 1e6, 1)
	var flushing, charging sync.WaitGroup
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
	for range 16 {
		charging.Go(func() {
			for range 50 {
				if _, err := b.Take(context.Background(), noon, []ratelimit.Item{i}, false); err != nil {
					t.Error(err)
				}
			}
		})
	}
	charging.Wait()
	close(stop)
	flushing.Wait()
	if got := count(t, b, i); got != 16*50 {
		t.Errorf("%v charges were counted, want %d", got, 16*50)
	}
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

// TestSlowRedis puts a gate between backend and server: replies do not come before it opens.
func TestSlowRedis(t *testing.T) {
	t.Parallel()
	s := testenv.NewRedisServer(t)
	gate := newGate(t, s.Address())
	b, i := openAt(t, "redis://"+gate.address, redislimit.Options{Timeout: patient}), item(t, "k", 1e6, 1)
	if _, err := b.Take(t.Context(), noon, []ratelimit.Item{i}, false); err != nil {
		t.Fatal(err)
	}
	gate.shut()
	limiter, err := ratelimit.New(b, ratelimit.Options{Limits: map[string]ratelimit.Limit{
		"open": {Config: i.Rule.Config}, "closed": {Config: i.Rule.Config, OnFailure: ratelimit.Closed},
	}, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	// None of these could return if it waited for the reply.
	if r, err := limiter.Increment(t.Context(), "open", "u", 1); err != nil || !r.Success || !r.Degraded {
		t.Errorf("open: %+v, %v, want the guard's answer", r, err)
	}
	if _, err := limiter.Increment(t.Context(), "closed", "u", 1); !errors.Is(err, ratelimit.ErrUnavailable) {
		t.Errorf("closed: %v, want ErrUnavailable", err)
	}
	// A call that waits behind the gate is not sent when its time is over before.
	gate.open()
	after := count(t, b, item(t, "platform:open:u", 1e6, 1)) + count(t, b, item(t, "platform:closed:u", 1e6, 1))
	if after > 2 {
		t.Errorf("%v charges were counted for two calls", after)
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

func TestCluster(t *testing.T) {
	t.Parallel()
	s := testenv.NewRedisServer(t, "--cluster-enabled", "yes")
	makeCluster(t, connect(t, s.URL()), s.Address())
	address := strings.Replace(s.URL(), "redis://", "redis+cluster://", 1)
	b := openAt(t, address, redislimit.Options{Timeout: patient})
	take := func(b ratelimit.Backend, keys ...string) error {
		var items []ratelimit.Item
		for _, key := range keys {
			items = append(items, item(t, key, 100, 1))
		}
		_, err := b.Take(t.Context(), noon, items, false)
		return err
	}
	one := []string{ratelimit.Key("llmCalls", "user:1"), ratelimit.Key("appCreation", "user:1")}
	if err := take(b, one...); err != nil {
		t.Errorf("two limits of one identifier: %v", err)
	}
	for n := range 50 {
		if err := take(b, ratelimit.Key("llmCalls", fmt.Sprint("ip:{", n))); err != nil {
			t.Errorf("one key: %v", err)
		}
	}
	other := append([]string{ratelimit.Key("llmCalls", "user:2")}, one...)
	if err := take(b, other...); !errors.Is(err, ratelimit.ErrApart) {
		t.Errorf("two identifiers: %v, want ErrApart", err)
	}
	if got := count(t, b, item(t, one[0], 100, 1)); got != 1 {
		t.Errorf("%v charges were counted, want 1: what is refused charges nothing", got)
	}
	together := openAt(t, address, redislimit.Options{Timeout: patient, OneShard: true, Prefix: "one:"})
	if err := take(together, other...); err != nil {
		t.Errorf("two identifiers on one shard: %v", err)
	}
	a := ratelimit.Adjustment{ID: "i", Key: one[0], Rule: item(t, "", 100, 1).Rule, Bucket: noon.UnixMilli() / 10_000, Delta: -1}
	if err := b.Adjust(t.Context(), noon, a); err != nil {
		t.Errorf("Adjust: %v", err)
	}
}

// makeCluster gives a lone server all slots, and the address to announce.
func makeCluster(t *testing.T, admin *redis.Client, address string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(
		admin.ConfigSet(t.Context(), "cluster-announce-ip", host).Err(),
		admin.ConfigSet(t.Context(), "cluster-announce-port", port).Err(),
		admin.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(),
	)
	if err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(admin.ClusterInfo(t.Context()).Val(), "cluster_state:ok") {
		if t.Context().Err() != nil {
			t.Fatal(t.Context().Err())
		}
	}
}

func TestKeysExpire(t *testing.T) {
	t.Parallel()
	address, prefix := testenv.Redis(t)
	b, admin := openAt(t, address, redislimit.Options{Prefix: prefix, Timeout: patient}), connect(t, address)
	i := item(t, "k", 100, 1)
	if _, err := b.Take(t.Context(), noon, []ratelimit.Item{i}, false); err != nil {
		t.Fatal(err)
	}
	if err := b.Adjust(t.Context(), noon, ratelimit.Adjustment{ID: "i", Key: "k", Rule: i.Rule, Bucket: i.Rule.Bucket(noon.UnixMilli()), Delta: 1}); err != nil {
		t.Fatal(err)
	}
	keys, err := admin.Keys(t.Context(), prefix+"*").Result()
	if err != nil || len(keys) != 2 {
		t.Fatalf("keys %q, %v, want the hash and the ids of its adjustments", keys, err)
	}
	for _, key := range keys {
		left, err := admin.PTTL(t.Context(), key).Result()
		if horizon := time.Duration(i.Rule.Horizon()) * time.Millisecond; err != nil || left < horizon-time.Minute || left > horizon*17/16 {
			t.Errorf("%s lives %s, %v, want its horizon of %s and a little", key, left, err, horizon)
		}
	}
}

// TestExpiryIsRenewed makes a key one that was last noted as used an eighth of its horizon ago: the next charge must let it live on
// for a whole horizon, while one that follows soon need not.
func TestExpiryIsRenewed(t *testing.T) {
	t.Parallel()
	address, prefix := testenv.Redis(t)
	b, admin := openAt(t, address, redislimit.Options{Prefix: prefix, Timeout: patient}), connect(t, address)
	i, name := item(t, "k", 100, 1), prefix+"{k}k"
	horizon := time.Duration(i.Rule.Horizon()) * time.Millisecond
	charge := func() time.Duration {
		if _, err := b.Take(t.Context(), time.Time{}, []ratelimit.Item{i}, false); err != nil {
			t.Fatal(err)
		}
		return admin.PTTL(t.Context(), name).Val()
	}
	shorten := func() {
		if err := admin.PExpire(t.Context(), name, horizon/2).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if left := charge(); left < horizon || left > horizon*17/16 {
		t.Errorf("a new key lives %s, want a horizon of %s and a sixteenth", left, horizon)
	}
	shorten()
	if left := charge(); left > horizon/2 {
		t.Errorf("a charge soon after set the expiry to %s", left)
	}
	head, err := admin.HGet(t.Context(), name, "h").Bytes()
	if err != nil {
		t.Fatal(err)
	}
	const used = 25 // after flags, horizon, clock and bucket size
	before := math.Float64frombits(binary.LittleEndian.Uint64(head[used:])) - float64(i.Rule.Horizon()/8)
	binary.LittleEndian.PutUint64(head[used:], math.Float64bits(before))
	if err := admin.HSet(t.Context(), name, "h", head).Err(); err != nil {
		t.Fatal(err)
	}
	if left := charge(); left < horizon {
		t.Errorf("a charge an eighth of the horizon later leaves %s, want at least the horizon of %s", left, horizon)
	}
}

// TestOldCellsAreDropped charges for ten horizons.
func TestOldCellsAreDropped(t *testing.T) {
	t.Parallel()
	address, prefix := testenv.Redis(t)
	b, admin := openAt(t, address, redislimit.Options{Prefix: prefix, Timeout: patient}), connect(t, address)
	rule, err := ratelimit.Config{Limit: 1e6, Period: 600, BucketSize: 1}.Rule()
	if err != nil {
		t.Fatal(err)
	}
	for second := 0; second < 12_000; second += 10 {
		now := noon.Add(time.Duration(second) * time.Second)
		if _, err := b.Take(t.Context(), now, []ratelimit.Item{{Key: "k", Rule: rule, N: 1}}, false); err != nil {
			t.Fatal(err)
		}
	}
	keys := admin.Keys(t.Context(), prefix+"*").Val()
	fields, err := admin.HLen(t.Context(), keys[0]).Result()
	// The horizon is 19 cells, the middle level's cell 32 more; without pruning there would be 375.
	if err != nil || fields > 60 {
		t.Errorf("%d fields are left, %v, want at most 60", fields, err)
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

// gate passes connections on to a server and holds its replies back while shut.
type gate struct {
	address string

	mu     sync.Mutex
	opened *sync.Cond
	closed bool
	conns  map[net.Conn]struct{}
	ended  bool
}

func newGate(t *testing.T, server string) *gate {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{address: listener.Addr().String(), conns: map[net.Conn]struct{}{}}
	g.opened = sync.NewCond(&g.mu)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			g.add(client, upstream)
			serving.Go(func() { _, _ = io.Copy(upstream, client); _ = upstream.Close() })
			serving.Go(func() { g.replies(client, upstream) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		g.mu.Lock()
		g.ended = true
		g.mu.Unlock()
		g.drop()
		g.open()
		serving.Wait()
	})
	return g
}

func (g *gate) add(conns ...net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range conns {
		if g.ended {
			_ = c.Close()
		}
		g.conns[c] = struct{}{}
	}
}

// replies copies from the server to the client, through the gate.
func (g *gate) replies(client, upstream net.Conn) {
	defer client.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := upstream.Read(buffer)
		g.mu.Lock()
		for g.closed {
			g.opened.Wait()
		}
		g.mu.Unlock()
		if n > 0 {
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (g *gate) shut() { g.set(true) }
func (g *gate) open() { g.set(false) }

func (g *gate) set(closed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = closed
	g.opened.Broadcast()
}

// drop breaks every connection.
func (g *gate) drop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		_ = c.Close()
		delete(g.conns, c)
	}
}
