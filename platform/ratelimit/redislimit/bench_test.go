package redislimit_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/ratelimit/ratelimittest"
)

// BenchmarkRedis measures the backend beside a script that does nothing and a popular limiter, which each make
// one round trip for a call.
func BenchmarkRedis(b *testing.B) {
	address, prefix := testenv.Redis(b)
	ratelimittest.Bench(b, open)
	client := connect(b, address)
	nothing := redis.NewScript("return 1")
	limiter := redis_rate.NewLimiter(client)
	for _, keys := range []int{1, 10_000} {
		name := "Hot64"
		if keys > 1 {
			name = "Keys64"
		}
		key := func(i int) string { return fmt.Sprintf("%suser:%06d", prefix, i%keys) }
		b.Run("NoOp"+name, func(b *testing.B) {
			ratelimittest.BenchClients(b, func(i int) error {
				return nothing.Run(context.Background(), client, []string{key(i)}, 1, 2, 3).Err()
			})
		})
		b.Run("RedisRate"+name, func(b *testing.B) {
			limit := redis_rate.PerMinute(1_000_000_000)
			ratelimittest.BenchClients(b, func(i int) error {
				_, err := limiter.Allow(context.Background(), key(i), limit)
				return err
			})
		})
	}
}
