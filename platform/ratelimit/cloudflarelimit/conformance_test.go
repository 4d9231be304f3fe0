package cloudflarelimit_test

import (
	"crypto/rand"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/internal/cfclient"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/ratelimit/cloudflarelimit"
	"vibesdk-gcp/platform/ratelimit/ratelimittest"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// testClock lets the bridge take the tests' times.
var testClock = testenv.WorkerSpec{Vars: map[string]string{"TEST_CLOCK": "1"}}

func TestDurableObjects(t *testing.T) {
	t.Parallel()
	bridge := testenv.BridgeWith(t, testClock)
	ratelimittest.Run(t, func(t testing.TB) ratelimit.Backend {
		return open(t, bridge, cloudflarelimit.Options{Object: rand.Text(), Keep: 48 * time.Hour})
	}, ratelimittest.Features{})
}

func TestVectors(t *testing.T) {
	t.Parallel()
	files := []string{ratelimittest.Recorded}
	if list := os.Getenv("RATELIMIT_VECTORS"); list != "" {
		files = strings.Split(list, ",")
	}
	var mu sync.Mutex
	openFresh := func(t testing.TB) ratelimit.Backend {
		mu.Lock() // starting one after the other is gentler to the machine
		defer mu.Unlock()
		return open(t, testenv.BridgeWith(t, testClock), cloudflarelimit.Options{Keep: 48 * time.Hour})
	}
	ratelimittest.Vectors(t, openFresh, files, os.Getenv("REQUIRE_BACKENDS") == "1")
	t.Run("moved", func(t *testing.T) {
		memory := func(testing.TB) ratelimit.Backend {
			return ratelimit.NewMemory(ratelimit.MemoryOptions{Keys: 1 << 20, Keep: 48 * time.Hour})
		}
		ratelimittest.MovedVectors(t, openFresh, memory, files, os.Getenv("REQUIRE_BACKENDS") == "1")
	})
}

func open(t testing.TB, bridge *testenv.Bridge, o cloudflarelimit.Options) *cloudflarelimit.Backend {
	t.Helper()
	client, err := cfclient.New(cfclient.Options{URL: bridge.URL, Key: bridge.Key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return cloudflarelimit.New(client, o)
}
