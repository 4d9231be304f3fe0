package sessiontest_test

import (
	"testing"

	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/sessiontest"
)

// BenchmarkMemory is what the store costs by itself.
func BenchmarkMemory(b *testing.B) {
	sessiontest.Bench(b, func(testing.TB) func() session.Driver {
		m := newMemory("")
		return func() session.Driver { return m }
	})
}
