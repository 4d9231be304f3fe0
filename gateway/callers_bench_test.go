package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"vibesdk-gcp/gateway/auth"
)

// What the door costs a call: the guard, the table, the log and the limits, beside a bare mux with the same handler's answer. A file of
// 1,000 callers is the most there can be.
func BenchmarkDoor(b *testing.B) {
	many := map[string]auth.Scope{}
	for i := range auth.MaxEntries {
		many[fmt.Sprintf("caller%d", i)] = auth.SessionsRead
	}
	bare := http.NewServeMux()
	bare.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"status":"ok"}` + "\n")) // a recorder takes it
	})
	for name, c := range map[string]struct {
		handler http.Handler
		path    string
	}{
		"mux":           {bare, "/healthz"},
		"gateway":       {start(b).gateway, "/healthz"},
		"one caller":    {start(b, callersOf(b, map[string]auth.Scope{"caller7": auth.SessionsRead})).gateway, "/v1/limits"},
		"1,000 callers": {start(b, callersOf(b, many)).gateway, "/v1/limits"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "http://localhost"+c.path, http.NoBody)
				r.Header.Set("Authorization", "Bearer caller7 key")
				c.handler.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
}
