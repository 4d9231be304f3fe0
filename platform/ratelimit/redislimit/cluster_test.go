package redislimit_test

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/ratelimit/redislimit"
)

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

// TestClusterOfTwo lists and moves keys that are on two servers.
func TestClusterOfTwo(t *testing.T) {
	t.Parallel()
	first := testenv.NewRedisServer(t, "--cluster-enabled", "yes")
	second := testenv.NewRedisServer(t, "--cluster-enabled", "yes")
	for i, s := range []*testenv.RedisServer{first, second} {
		admin := connect(t, s.URL())
		host, port, err := net.SplitHostPort(s.Address())
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(
			admin.ConfigSet(t.Context(), "cluster-announce-ip", host).Err(),
			admin.ConfigSet(t.Context(), "cluster-announce-port", port).Err(),
			admin.ClusterAddSlotsRange(t.Context(), i*8192, i*8192+8191).Err(),
		); err != nil {
			t.Fatal(err)
		}
	}
	host, port, err := net.SplitHostPort(second.Address())
	if err != nil {
		t.Fatal(err)
	}
	if err := connect(t, first.URL()).ClusterMeet(t.Context(), host, port).Err(); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*testenv.RedisServer{first, second} {
		for admin := connect(t, s.URL()); ; {
			info := admin.ClusterInfo(t.Context()).Val()
			if strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_assigned:16384") {
				break
			}
			if t.Context().Err() != nil {
				t.Fatal(t.Context().Err())
			}
		}
	}

	b := openAt(t, strings.Replace(first.URL(), "redis://", "redis+cluster://", 1), redislimit.Options{Timeout: patient})
	var want []string
	for n := range 200 {
		key := ratelimit.Key("llmCalls", "user:"+strconv.Itoa(n))
		want = append(want, key)
		if _, err := b.Take(t.Context(), noon, []ratelimit.Item{item(t, key, 100, float64(n%7+1))}, false); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []*testenv.RedisServer{first, second} {
		if n := connect(t, s.URL()).DBSize(t.Context()).Val(); n < 50 {
			t.Fatalf("%d keys are on a server of two", n)
		}
	}
	var got []string
	servers := map[string]bool{}
	for cursor := ""; ; {
		keys, next, err := b.Keys(t.Context(), cursor, 10)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, keys...)
		if cursor = next; next == "" {
			break
		}
		address, _, _ := strings.Cut(next, " ")
		servers[address] = true
	}
	slices.Sort(want)
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, want) || len(servers) != 2 {
		t.Errorf("%d of %d keys are listed, from %v", len(got), len(want), servers)
	}
	if _, _, err := b.Keys(t.Context(), "127.0.0.1:1 0", 10); err != nil {
		t.Errorf("a server that is gone: %v", err)
	}
	if _, _, err := b.Keys(t.Context(), first.Address()+" x", 10); !errors.Is(err, ratelimit.ErrInvalid) {
		t.Errorf("a cursor that is none: %v", err)
	}

	alone := open(t)
	for _, key := range want {
		counts, err := b.Dump(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if restored, err := alone.Restore(t.Context(), counts); err != nil || !restored {
			t.Fatalf("%s: %t, %v", key, restored, err)
		}
		counts.Key = fmt.Sprint(key, "/back")
		if restored, err := b.Restore(t.Context(), counts); err != nil || !restored {
			t.Fatalf("%s: %t, %v", counts.Key, restored, err)
		}
	}
	for n := range 200 {
		key := ratelimit.Key("llmCalls", "user:"+strconv.Itoa(n))
		if a, c := count(t, alone, item(t, key, 100, 0)), count(t, b, item(t, key+"/back", 100, 0)); a != float64(n%7+1) || c != a {
			t.Errorf("%s: %v and %v are counted, want %d", key, a, c, n%7+1)
		}
	}
}
