package redislimit_test

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/ratelimit/redislimit"
)

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
