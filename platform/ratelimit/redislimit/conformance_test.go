package redislimit_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/ratelimit/ratelimittest"
	"vibesdk-gcp/platform/ratelimit/redislimit"
)

// patient is for tests that do not look at deadlines, on machines that are busy.
const patient = 20 * time.Second

func TestRedis(t *testing.T) {
	t.Parallel()
	testenv.Redis(t) // skips here, with the reason, rather than in every case
	ratelimittest.Run(t, open, ratelimittest.Features{
		Touched: func(b ratelimit.Backend) int64 { return b.(*prefixed).Touched() },
		Bytes: func(b ratelimit.Backend, key string) int64 {
			p := b.(*prefixed)
			n, err := connect(t, p.address).MemoryUsage(context.Background(), p.prefix+"{"+key+"}"+key, 0).Result()
			if err != nil {
				t.Error(err)
			}
			return n
		},
	})
}

// prefixed is a backend that tells where its keys are.
type prefixed struct {
	*redislimit.Backend
	address, prefix string
}

func TestVectors(t *testing.T) {
	t.Parallel()
	files := []string{ratelimittest.Recorded}
	if list := os.Getenv("RATELIMIT_VECTORS"); list != "" {
		files = strings.Split(list, ",")
	}
	testenv.Redis(t)
	ratelimittest.Vectors(t, open, files, os.Getenv("REQUIRE_BACKENDS") == "1")
	t.Run("moved", func(t *testing.T) {
		ratelimittest.MovedVectors(t, open, open, files, os.Getenv("REQUIRE_BACKENDS") == "1")
	})
}

func open(t testing.TB) ratelimit.Backend {
	t.Helper()
	address, prefix := testenv.Redis(t)
	return &prefixed{openAt(t, address, redislimit.Options{Prefix: prefix, Keep: 48 * time.Hour, Timeout: patient}), address, prefix}
}

func openAt(t testing.TB, address string, o redislimit.Options) *redislimit.Backend {
	t.Helper()
	b, err := redislimit.Open(address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}
