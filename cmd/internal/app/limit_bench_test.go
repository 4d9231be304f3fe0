package app_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/client"
	"vibesdk-gcp/internal/cfclient"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/ratelimit/ratelimittest"
)

// BenchmarkLimits charges from 64 clients over HTTP: our API on Redis, and VibeSDK's way of counting in a Durable Object that
// runs in workerd on the same machine.
func BenchmarkLimits(b *testing.B) {
	plenty := &client.LimitConfig{Limit: ratelimit.MaxCount, Period: 60}
	for name, keys := range map[string]int{"Hot": 1, "Keys10k": 10_000} {
		b.Run("Redis/"+name, func(b *testing.B) {
			c := config(b)
			c.Limit.Backend = "redis"
			c.Limit.RedisURL, _ = testenv.Redis(b)
			w := start(b, c, app.RoleGateway)
			conn, err := client.New("http://"+w.Addr(), client.Options{HTTP: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}})
			if err != nil {
				b.Fatal(err)
			}
			limits := conn.Limits()
			ratelimittest.BenchClients(b, func(i int) error {
				result, err := limits.Increment(b.Context(), client.LimitCharge{Limit: "bench", Identifier: fmt.Sprintf("user:%d", i%keys), N: 1, Config: plenty})
				if err == nil && (result.Degraded || !result.Success) {
					err = fmt.Errorf("%+v", result)
				}
				return err
			})
		})
		b.Run("DurableObject/"+name, func(b *testing.B) {
			server := testenv.Workerd(b)
			bridge, err := cfclient.New(cfclient.Options{URL: server.URL, Key: server.Key})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(bridge.Close)
			body := [][]byte{[]byte(`{"config":{"limit":1000000000,"period":60}}`)}
			ratelimittest.BenchClients(b, func(i int) error {
				_, err := bridge.Do(b.Context(), cfclient.Request{
					Method: http.MethodPost, Path: "/v1/limits/RATE_LIMITS/increment", Body: body,
					Query: url.Values{"key": {fmt.Sprintf("user:%d", i%keys)}},
				})
				return err
			})
		})
	}
}
