package pubsubbus

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"vibesdk-gcp/events"
)

// BenchmarkPush compares a push with what one writes by hand for a single consumer: decode the envelope, handle it, answer. That one keeps no
// order, bounds nothing and waits for nothing.
func BenchmarkPush(b *testing.B) {
	d := &Driver{o: pushed(Options{}).withDefaults()}
	sub := subscription(false)
	sub.Concurrency, sub.MaxOutstanding = 16, 1000
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	var handled atomic.Int64
	go func() {
		ended <- d.Receive(ctx, sub, func(run []events.Message) []events.Verdict {
			handled.Add(int64(len(run)))
			return []events.Verdict{{Done: true}}
		})
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}()
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e envelope
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		handled.Add(1)
		w.WriteHeader(http.StatusNoContent)
	})
	for _, c := range []struct {
		name    string
		handler http.Handler
	}{{"bus", d.PushHandler()}, {"by hand", bare}} {
		b.Run(c.name, func(b *testing.B) {
			server := httptest.NewServer(c.handler)
			defer server.Close()
			client := server.Client()
			if t, ok := client.Transport.(*http.Transport); ok {
				t.MaxIdleConnsPerHost = 64
			}
			var next atomic.Int64
			before := handled.Load()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					body := strings.NewReader(wrappedBody(strconv.FormatInt(next.Add(1), 10), "", 1))
					for { // 503 until it consumes
						resp, err := client.Post(server.URL+"/push/sub", "application/json", body)
						if err != nil {
							b.Error(err)
							return
						}
						_ = resp.Body.Close() // the status says it all
						if resp.StatusCode == http.StatusNoContent {
							break
						}
						body.Reset(wrappedBody(strconv.FormatInt(next.Add(1), 10), "", 1))
					}
				}
			})
			b.StopTimer()
			if got := handled.Load() - before; got != int64(b.N) {
				b.Errorf("%d messages were handled, want %d", got, b.N)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
		})
	}
}
