package redislimit_test

import (
	"context"
	"fmt"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/ratelimit/ratelimittest"
)

// BenchmarkRedis measures the backend beside a script that does nothing and a popular limiter. These make a round trip of their own
// for each call, over the client library's usual pool of 10 connections to a processor; the backend has its usual 8 and groups calls
// that wait. On a machine that does other work as well, the processor time of a call, in the server and in this process, says
// more than the calls per second.
func BenchmarkRedis(b *testing.B) {
	address, prefix := testenv.Redis(b)
	ratelimittest.BenchWindow(b, open)
	client := connect(b, address)
	nothing := redis.NewScript("return 1")
	limiter := redis_rate.NewLimiter(client)
	for _, keys := range []int{1, 10_000} {
		name := "Hot64"
		if keys > 1 {
			name = "Keys64"
		}
		key := func(i int) string { return fmt.Sprintf("%suser:%06d", prefix, i%keys) }
		for _, contender := range []struct {
			name string
			run  func(i int) error
		}{
			{"Limit", ratelimittest.Taker(b, open(b), keys)},
			{"NoOp", func(i int) error { return nothing.Run(context.Background(), client, []string{key(i)}, 1, 2, 3).Err() }},
			{"RedisRate", func(i int) error {
				_, err := limiter.Allow(context.Background(), key(i), redis_rate.PerMinute(1_000_000_000))
				return err
			}},
		} {
			b.Run(contender.name+name, func(b *testing.B) {
				server, own := serverTime(b, client), ownTime(b)
				ratelimittest.BenchClients(b, contender.run)
				perCall := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / float64(b.N) }
				b.ReportMetric(perCall(serverTime(b, client)-server), "server-µs")
				b.ReportMetric(perCall(ownTime(b)-own), "client-µs")
			})
		}
	}
}

// serverTime is the processor time that Redis has used.
func serverTime(b *testing.B, client *redis.Client) time.Duration {
	b.Helper()
	info, err := client.InfoMap(context.Background(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	var seconds float64
	for _, kind := range []string{"used_cpu_user", "used_cpu_sys"} {
		s, err := strconv.ParseFloat(info["CPU"][kind], 64)
		if err != nil {
			b.Fatal(err)
		}
		seconds += s
	}
	return time.Duration(seconds * float64(time.Second))
}

// ownTime is the processor time that this process has used.
func ownTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
