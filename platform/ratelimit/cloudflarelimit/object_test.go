package cloudflarelimit_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/internal/cfclient"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/ratelimit/cloudflarelimit"
)

func rule(t testing.TB, c ratelimit.Config) ratelimit.Rule {
	t.Helper()
	r, err := c.Rule()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// count charges the keys by the object's own clock and returns the count of the first before.
func count(t testing.TB, b ratelimit.Backend, r ratelimit.Rule, n float64, keys ...string) float64 {
	t.Helper()
	var items []ratelimit.Item
	for _, key := range keys {
		items = append(items, ratelimit.Item{Key: key, Rule: r, N: n})
	}
	answers, err := b.Take(t.Context(), time.Time{}, items, n == 0)
	if err != nil {
		t.Fatal(err)
	}
	return answers[0].Main
}

func TestLimitsOfAnIdentifierAreTogether(t *testing.T) {
	t.Parallel()
	b := open(t, testenv.Workerd(t), cloudflarelimit.Options{})
	r := rule(t, ratelimit.Config{Limit: 10, Period: 3600})
	one, two, other := ratelimit.Key("a", "user:1"), ratelimit.Key("b", "user:1"), ratelimit.Key("a", "user:2")
	count(t, b, r, 1, one, two)
	_, err := b.Take(t.Context(), time.Time{}, []ratelimit.Item{{Key: one, Rule: r, N: 1}, {Key: other, Rule: r, N: 1}}, false)
	if !errors.Is(err, ratelimit.ErrApart) {
		t.Errorf("two identifiers in one call: %v, want ErrApart", err)
	}
	if err := b.Reset(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]float64{one: 0, two: 1, other: 0} {
		if got := count(t, b, r, 0, key); got != want {
			t.Errorf("%s counts %v, want %v", key, got, want)
		}
	}
}

func TestCountsOutliveTheObject(t *testing.T) {
	t.Parallel()
	bridge := testenv.Workerd(t)
	b := open(t, bridge, cloudflarelimit.Options{})
	r := rule(t, ratelimit.Config{Limit: 10, Period: 3600})
	for want := range 3 {
		if got := count(t, b, r, 1, "k"); got != float64(want) {
			t.Errorf("count %v, want %d", got, want)
		}
		bridge.Restart(t, nil)
	}
}

func TestTimesNeedTheTestClock(t *testing.T) {
	t.Parallel()
	b := open(t, testenv.Workerd(t), cloudflarelimit.Options{})
	r := rule(t, ratelimit.Config{Limit: 10, Period: 3600})
	_, err := b.Take(t.Context(), time.UnixMilli(1), []ratelimit.Item{{Key: "k", Rule: r, N: 1}}, false)
	if !errors.Is(err, ratelimit.ErrInvalid) {
		t.Errorf("a time in production: %v, want ErrInvalid", err)
	}
}

// TestObjectsEmptyThemselves waits for the alarm of an object whose windows are short.
func TestObjectsEmptyThemselves(t *testing.T) {
	t.Parallel()
	bridge := testenv.BridgeWith(t, testenv.WorkerSpec{Entry: rowsEntry})
	b := open(t, bridge, cloudflarelimit.Options{Object: "all"})
	short := rule(t, ratelimit.Config{Limit: 10, Period: 0.05, BucketSize: 0.01})
	long := rule(t, ratelimit.Config{Limit: 10, Period: 3600})
	stored := func() int64 { return ask(t, bridge, "/rows", "all") }
	charge := func() {
		count(t, b, short, 1, "a", "b")
		err := b.Adjust(t.Context(), time.Time{}, ratelimit.Adjustment{ID: "id", Key: "a", Rule: short, Bucket: short.Bucket(time.Now().UnixMilli()), Delta: 1})
		if err != nil {
			t.Fatal(err)
		}
	}
	until := func(want int64) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); stored() != want; {
			if time.Now().After(deadline) {
				t.Fatalf("%d rows are stored, want %d", stored(), want)
			}
		}
	}
	for range 2 { // an object that emptied itself does so again
		charge()
		until(0)
	}
	// A correction that comes too late changes nothing, but its id is remembered for a while.
	err := b.Adjust(t.Context(), time.Time{}, ratelimit.Adjustment{ID: "late", Key: "a", Rule: short, Bucket: 1, Delta: 1})
	if err != nil {
		t.Fatal(err)
	}
	until(0)
	count(t, b, short, 1, "a") // alone, so that the next alarm is for it
	count(t, b, long, 1, "stays")
	until(2) // a bucket and a head
	if got := count(t, b, long, 0, "stays"); got != 1 {
		t.Errorf("after the sweep %v are counted, want 1", got)
	}
}

// store is what a bridge needs beside a VibeSDK that is deployed: its own limiter's class.
var store = testenv.WorkerSpec{
	Entry:   "infra/cloudflare/bridge/test/store.ts",
	Objects: map[string]string{"DORateLimitStore": "DORateLimitStore"}, Vars: map[string]string{"LIMIT_BINDINGS": "RATE_LIMITS,DORateLimitStore"},
}

// TestAnotherClass: a binding of VibeSDK's own class is refused in words that say what is wrong, and still serves who charges it directly.
func TestAnotherClass(t *testing.T) {
	t.Parallel()
	bridge := testenv.BridgeWith(t, store)
	b := open(t, bridge, cloudflarelimit.Options{Binding: "DORateLimitStore"})
	r := rule(t, ratelimit.Config{Limit: 1, Period: 3600})
	for range 2 {
		_, err := b.Take(t.Context(), time.Time{}, []ratelimit.Item{{Key: "k", Rule: r, N: 1}}, false)
		if !errors.Is(err, ratelimit.ErrUnavailable) || cfclient.Code(err) != "unsupported" || !strings.Contains(err.Error(), "RateLimitObject") {
			t.Errorf("Take: %v, want ErrUnavailable that names the class it needs", err)
		}
	}
	client, err := cfclient.New(cfclient.Options{URL: bridge.URL, Key: bridge.Key})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for i := range 2 {
		var answer struct{ Success bool }
		if err := client.JSON(t.Context(), cfclient.Request{
			Method: http.MethodPost, Path: "/v1/limits/DORateLimitStore/increment", Query: url.Values{"key": {"k"}},
			Body: [][]byte{[]byte(`{"config":{"limit":1,"period":3600}}`)},
		}, &answer); err != nil || answer.Success != (i == 0) {
			t.Errorf("increment %d: %+v, %v", i, answer, err)
		}
	}
}

func TestABridgeThatIsDown(t *testing.T) {
	t.Parallel()
	client, err := cfclient.New(cfclient.Options{URL: "http://127.0.0.1:1", Key: "secret-of-the-bridge"})
	if err != nil {
		t.Fatal(err)
	}
	b := cloudflarelimit.New(client, cloudflarelimit.Options{})
	r := rule(t, ratelimit.Config{Limit: 10, Period: 3600})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for _, dry := range []bool{true, false} {
		if _, err := b.Take(ctx, time.Time{}, []ratelimit.Item{{Key: "k", Rule: r, N: 1}}, dry); !errors.Is(err, ratelimit.ErrUnavailable) {
			t.Errorf("Take: %v, want ErrUnavailable", err)
		}
	}
	if err := b.Reset(ctx, "k"); !errors.Is(err, ratelimit.ErrUnavailable) {
		t.Errorf("Reset: %v, want ErrUnavailable", err)
	}
}
