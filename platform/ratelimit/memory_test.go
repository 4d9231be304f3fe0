package ratelimit_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/ratelimit/ratelimittest"
)

func openMemory(testing.TB) ratelimit.Backend {
	return ratelimit.NewMemory(ratelimit.MemoryOptions{Keys: 1 << 20, Keep: 48 * time.Hour})
}

func TestVectors(t *testing.T) {
	t.Parallel()
	ratelimittest.Vectors(t, openMemory, vectorFiles(), os.Getenv("REQUIRE_BACKENDS") == "1")
}

func vectorFiles() []string {
	if list := os.Getenv("RATELIMIT_VECTORS"); list != "" {
		return strings.Split(list, ",")
	}
	return []string{ratelimittest.Recorded}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	ratelimittest.Run(t, openMemory, ratelimittest.Features{
		Touched: func(b ratelimit.Backend) int64 { return b.(*ratelimit.Memory).Touched() },
	})
}

func TestMovedVectors(t *testing.T) {
	t.Parallel()
	ratelimittest.MovedVectors(t, openMemory, openMemory, vectorFiles(), os.Getenv("REQUIRE_BACKENDS") == "1")
}
