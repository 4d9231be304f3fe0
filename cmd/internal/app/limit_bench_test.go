package app_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/ratelimit/ratelimittest"
)

// BenchmarkLimits charges from 64 clients over HTTP, the same for both: our API on Redis, and a Durable Object that counts in VibeSDK's
// own way, all buckets in memory and stored as one value after each charge, in workerd on the same machine.
func BenchmarkLimits(b *testing.B) {
	for name, keys := range map[string]int{"Hot": 1, "Keys10k": 10_000} {
		b.Run("Redis/"+name, func(b *testing.B) {
			c := config(b)
			c.Limit.Backend = "redis"
			c.Limit.RedisURL, _ = testenv.Redis(b)
			addr := start(b, c, app.RoleGateway).Addr()
			benchCharges(b, addr, "", func(i int) string { return fmt.Sprintf("/v1/limits/bench/user:%d:increment", i%keys) })
		})
		b.Run("DurableObject/"+name, func(b *testing.B) {
			server := testenv.BridgeWith(b, testenv.WorkerSpec{
				Entry:   "infra/cloudflare/bridge/test/store.ts",
				Objects: map[string]string{"DORateLimitStore": "DORateLimitStore"}, Vars: map[string]string{"LIMIT_BINDINGS": "DORateLimitStore"},
			})
			addr := strings.TrimPrefix(server.URL, "http://")
			benchCharges(b, addr, server.Key, func(i int) string { return fmt.Sprintf("/v1/limits/DORateLimitStore/increment?key=user:%d", i%keys) })
		})
	}
}

// benchCharges posts a charge from each client and wants it admitted. The clients share the machine with the server, so they do as
// little as can be: a connection each, and no parsing but that of the answer's head.
func benchCharges(b *testing.B, addr, key string, target func(i int) string) {
	b.Helper()
	const body = `{"config":{"limit":1000000000,"period":60}}`
	type client struct {
		net.Conn

		in *bufio.Reader
	}
	idle := make(chan *client, ratelimittest.Clients)
	for range cap(idle) {
		conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close() })
		idle <- &client{conn, bufio.NewReader(conn)}
	}
	ratelimittest.BenchClients(b, func(i int) error {
		c := <-idle
		defer func() { idle <- c }()
		if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			target(i), addr, key, len(body), body); err != nil {
			return err
		}
		resp, err := http.ReadResponse(c.in, nil)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err == nil && (!bytes.Contains(answer, []byte(`"success":true`)) || bytes.Contains(answer, []byte(`"degraded"`))) {
			err = fmt.Errorf("%s: %s", resp.Status, answer)
		}
		return err
	})
}
