package sqlbus_test

import (
	"testing"

	"vibesdk-gcp/events/eventstest"
)

func BenchmarkPublishHandle(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { eventstest.Bench(b, onSQLite) })
	b.Run("postgres", func(b *testing.B) { eventstest.Bench(b, onPostgres) })
}
