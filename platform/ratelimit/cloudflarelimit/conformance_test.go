package cloudflarelimit_test

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
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
	bridge := testenv.BridgeWith(t, testenv.WorkerSpec{Entry: rowsEntry, Vars: testClock.Vars})
	ratelimittest.Run(t, func(t testing.TB) ratelimit.Backend {
		object := rand.Text()
		return &counted{open(t, bridge, cloudflarelimit.Options{Object: object, Keep: 48 * time.Hour}), func() int64 {
			return ask(t, bridge, "/touched", object)
		}}
	}, ratelimittest.Features{Touched: func(b ratelimit.Backend) int64 { return b.(*counted).touched() }})
}

// counted is a backend that tells its work.
type counted struct {
	*cloudflarelimit.Backend
	touched func() int64
}

// rowsEntry is the bridge with objects that tell what they store and do.
const rowsEntry = "infra/cloudflare/bridge/test/limit_rows.ts"

// ask asks an object for a number.
func ask(t testing.TB, bridge *testenv.Bridge, path, object string) (n int64) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, bridge.URL+path+"?key="+object, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&n); err != nil {
		t.Fatal(err)
	}
	return n
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
