package redislimit

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/ratelimit"
)

// Where numbers stand in a stored head.
const (
	headHorizon = 1
	headClock   = 9
	headUsed    = 25
)

// TestShortWayKeepsTheHead: charges that only patch the stored head leave in it what the others do. The windows are short and the buckets
// long, so that nearly every charge goes the short way; all of it holds for the others as well.
func TestShortWayKeepsTheHead(t *testing.T) {
	t.Parallel()
	address, prefix := testenv.Redis(t)
	b, err := Open(address, Options{Prefix: prefix, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	rule := func(period float64) ratelimit.Rule {
		r, err := ratelimit.Config{Limit: 1e6, Period: period, BucketSize: 3600}.Rule()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	name := b.o.hash("k")
	charge := func(r ratelimit.Rule) ratelimit.Answer {
		t.Helper()
		answers, err := b.Take(t.Context(), time.Time{}, []ratelimit.Item{{Key: "k", Rule: r, N: 1}}, false)
		if err != nil {
			t.Fatal(err)
		}
		return answers[0]
	}
	head := func() []byte {
		t.Helper()
		data, err := b.client.HGet(t.Context(), name, "h").Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	number := func(at int) int64 { return int64(math.Float64frombits(binary.LittleEndian.Uint64(head()[at:]))) }
	change := func(at int, by int64) {
		t.Helper()
		data := head()
		binary.LittleEndian.PutUint64(data[at:], math.Float64bits(float64(number(at)+by)))
		if err := b.client.HSet(t.Context(), name, "h", data).Err(); err != nil {
			t.Fatal(err)
		}
	}
	short, longer := rule(1), rule(5400)
	for range 3 {
		if a := charge(short); number(headClock) != a.Now {
			t.Errorf("the head has the time %d after a charge at %d", number(headClock), a.Now)
		}
	}
	if charge(longer); number(headHorizon) != longer.Horizon() {
		t.Errorf("the horizon is %d, want %d, that of the longest window", number(headHorizon), longer.Horizon())
	}
	// Last noted as used an eighth of the horizon ago, and about to expire.
	change(headUsed, -longer.Horizon()/8)
	horizon := time.Duration(longer.Horizon()) * time.Millisecond
	if err := b.client.PExpire(t.Context(), name, horizon/2).Err(); err != nil {
		t.Fatal(err)
	}
	charge(short)
	if left := b.client.PTTL(t.Context(), name).Val(); left < horizon-horizon/20 {
		t.Errorf("the key lives %s after a charge, want about the horizon of %s", left, horizon)
	}
	// The clock of the server that failed was ahead.
	change(headClock, 30_000)
	want := number(headClock)
	for range 2 {
		if a := charge(short); a.Now != want {
			t.Errorf("the charge was made at %d, want %d, the latest time seen", a.Now, want)
		}
	}
}
