package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// BenchmarkSessions reads and writes a state of 1 KB over HTTP. A write goes over the bus to the state writer, one after the
// other, until its outcome is known; beside each, "health" is what a request costs that does nothing.
func BenchmarkSessions(b *testing.B) {
	l := startLive(b)
	state := `{"text":"` + strings.Repeat("x", 1000) + `"}`
	once := func(method, path, body string, want int) {
		req, err := http.NewRequestWithContext(b.Context(), method, l.URL+path, strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		resp, err := l.Client().Do(req)
		if err != nil {
			b.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != want {
			b.Fatalf("%s %s: %s, %v", method, path, resp.Status, err)
		}
	}
	once("PUT", "/v1/sessions/b/state", state, http.StatusOK)
	for _, c := range []struct {
		name, method, path, body string
		want                     int
	}{
		{"health", "GET", "/healthz", "", http.StatusOK},
		{"read", "GET", "/v1/sessions/b/state", "", http.StatusOK},
		{"write", "PUT", "/v1/sessions/b/state", state, http.StatusOK},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				once(c.method, c.path, c.body, c.want)
			}
		})
	}
	b.Run("write-16", func(b *testing.B) {
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				once("PUT", "/v1/sessions/b/state", state, http.StatusOK)
			}
		})
	})
}
