package cloudflarelimit_test

import (
	"testing"
	"time"

	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/ratelimit/cloudflarelimit"
	"vibesdk-gcp/platform/ratelimit/ratelimittest"
)

// BenchmarkDurableObject measures one client on an object without counts and on one with a full day of buckets.
func BenchmarkDurableObject(b *testing.B) {
	bridge := testenv.BridgeWith(b, testClock)
	ratelimittest.BenchWindow(b, func(t testing.TB) ratelimit.Backend {
		return open(t, bridge, cloudflarelimit.Options{Object: t.Name(), Keep: 48 * time.Hour})
	})
}
