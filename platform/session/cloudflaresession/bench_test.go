package cloudflaresession_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/sessiontest"
)

// BenchmarkDurableObject measures what the platform stands in for, a Durable Object with one SQL write for each mutation, and then
// sessions through the bridge. RawHTTP has 64 callers on one object, RawSocket one connection that sends without
// waiting, 64 mutations ahead.
func BenchmarkDurableObject(b *testing.B) {
	b.Run("RawHTTP", func(b *testing.B) { benchRawHTTP(b) })
	b.Run("RawSocket", func(b *testing.B) { benchRawSocket(b) })
	sessiontest.Bench(b, func(tb testing.TB) func() session.Driver {
		bridge := testenv.Workerd(tb)
		return func() session.Driver { return open(tb, bridge) }
	})
}

const ahead = 64

func counter(b *testing.B) *testenv.WorkerServer {
	b.Helper()
	return testenv.Worker(b, testenv.WorkerSpec{Entry: "infra/cloudflare/bridge/test/counter.ts", Objects: map[string]string{"COUNTER": "CounterObject"}})
}

func benchRawHTTP(b *testing.B) {
	url := counter(b).URL + "/s"
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: ahead}}
	b.Cleanup(client.CloseIdleConnections)
	put := func(body []byte) {
		response, err := client.Post(url, "application/json", bytes.NewReader(body))
		if err != nil {
			b.Error(err)
			return
		}
		defer response.Body.Close()
		if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
			b.Errorf("%s, %v", response.Status, err)
		}
	}
	put(sessiontest.BenchState())
	var turn atomic.Int64
	var group sync.WaitGroup
	b.ResetTimer()
	for range ahead {
		group.Go(func() {
			for turn.Add(1) <= int64(b.N) {
				put([]byte(`{"n":1}`))
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mutations/s")
}

func benchRawSocket(b *testing.B) {
	ctx := context.WithoutCancel(b.Context())
	conn, _, err := websocket.Dial(ctx, strings.Replace(counter(b).URL, "http", "ws", 1)+"/s", nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.CloseNow() })
	window := make(chan struct{}, ahead)
	var reading sync.WaitGroup
	send := func(body []byte) {
		window <- struct{}{}
		if err := conn.Write(ctx, websocket.MessageText, body); err != nil {
			b.Fatal(err)
		}
	}
	total := b.N
	reading.Go(func() {
		for range total + 1 {
			if _, _, err := conn.Read(ctx); err != nil {
				b.Error(err)
				return
			}
			<-window
		}
	})
	send(sessiontest.BenchState())
	b.ResetTimer()
	for range total {
		send([]byte(`{"n":1}`))
	}
	reading.Wait()
	b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "mutations/s")
}
