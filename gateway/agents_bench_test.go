package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"vibesdk-gcp/internal/testenv"
)

// benchServers are what a client of agents may be connected to: this gateway, and an agent of the SDK in a Durable Object.
func benchServers(b *testing.B, run func(b *testing.B, dial func(testing.TB, string) socket)) {
	b.Helper()
	b.Run("Gateway", func(b *testing.B) {
		l := startLive(b)
		run(b, func(t testing.TB, name string) socket { return l.dial(t, "/agents/speed-agent/"+name) })
	})
	b.Run("DurableObject", func(b *testing.B) {
		w := testenv.Worker(b, testenv.WorkerSpec{Entry: "infra/cloudflare/bridge/test/speed.ts", Objects: map[string]string{"SpeedAgent": "SpeedAgent"}})
		run(b, func(t testing.TB, name string) socket {
			return dialAt(t, "ws"+strings.TrimPrefix(w.URL, "http")+"/agents/speed-agent/"+name)
		})
	})
}

// BenchmarkAgentFanOut is state frames of one client until all of 100 others have them: one at a time, and 48 ahead.
func BenchmarkAgentFanOut(b *testing.B) {
	for _, ahead := range []int{1, 48} {
		b.Run(fmt.Sprintf("Ahead=%d", ahead), func(b *testing.B) {
			benchServers(b, func(b *testing.B, dial func(testing.TB, string) socket) { benchFanOut(b, dial, ahead) })
		})
	}
}

func benchFanOut(b *testing.B, dial func(testing.TB, string) socket, ahead int) {
	const others = 100
	sender := dial(b, "fan?_pk=sender")
	first := state(`{"n":-1}`)
	sender.send(b, first)
	var reading sync.WaitGroup
	got := make(chan struct{}, others*ahead)
	for i := range others {
		s := dial(b, fmt.Sprintf("fan?_pk=%d", i))
		for !strings.Contains(s.next(b), "mcp_servers") {
		}
		reading.Go(func() {
			for {
				_, frame, err := s.Read(b.Context())
				if err != nil {
					return
				}
				if strings.Contains(string(frame), `"counted"`) {
					got <- struct{}{}
				}
			}
		})
	}
	under := 0
	for n := 0; b.Loop(); n++ {
		if under == ahead {
			for range others {
				<-got
			}
			under--
		}
		sender.send(b, state(fmt.Sprintf(`{"n":%d,"counted":true}`, n)))
		under++
	}
	for range under * others {
		<-got
	}
	b.ReportMetric(float64(others*b.N)/b.Elapsed().Seconds(), "frames/s")
}

// BenchmarkAgentRoundTrips is calls that change nothing, one at a time and 64 ahead, of one client and of 16 at once.
func BenchmarkAgentRoundTrips(b *testing.B) {
	for _, shape := range []struct{ clients, ahead int }{{1, 1}, {1, 64}, {16, 8}} {
		b.Run(fmt.Sprintf("Clients=%d/Ahead=%d", shape.clients, shape.ahead), func(b *testing.B) {
			b.Run("Gateway", func(b *testing.B) {
				l := startLive(b)
				benchCalls(b, shape.clients, shape.ahead, "isInitialized", func(t testing.TB, name string) socket { return l.dial(t, "/agents/speed-agent/"+name) })
			})
			b.Run("GatewayWithHost", func(b *testing.B) {
				l := startHost(b, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					w.Write([]byte(`"pong"`))
				})
				benchCalls(b, shape.clients, shape.ahead, "ping", func(t testing.TB, name string) socket { return l.dial(t, "/agents/speed-agent/"+name) })
			})
			b.Run("DurableObject", func(b *testing.B) {
				w := testenv.Worker(b, testenv.WorkerSpec{Entry: "infra/cloudflare/bridge/test/speed.ts", Objects: map[string]string{"SpeedAgent": "SpeedAgent"}})
				benchCalls(b, shape.clients, shape.ahead, "ping", func(t testing.TB, name string) socket {
					return dialAt(t, "ws"+strings.TrimPrefix(w.URL, "http")+"/agents/speed-agent/"+name)
				})
			})
		})
	}
}

func benchCalls(b *testing.B, clients, ahead int, method string, dial func(testing.TB, string) socket) {
	sockets := make([]socket, clients)
	for i := range sockets {
		sockets[i] = dial(b, fmt.Sprintf("calls?_pk=%d", i))
		for !strings.Contains(sockets[i].next(b), "mcp_servers") {
		}
	}
	frame := call("1", method, "[]")
	b.ResetTimer()
	var all sync.WaitGroup
	for i, s := range sockets {
		n := b.N / clients
		if i < b.N%clients {
			n++
		}
		window := make(chan struct{}, ahead)
		all.Go(func() {
			for range n {
				window <- struct{}{}
				if err := s.Write(b.Context(), websocket.MessageText, []byte(frame)); err != nil {
					b.Error(err)
					return
				}
			}
		})
		all.Go(func() {
			for done := 0; done < n; {
				_, answer, err := s.Read(b.Context())
				if err != nil {
					b.Error(err)
					return
				}
				if strings.Contains(string(answer), `"rpc"`) {
					done++
					<-window
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// BenchmarkAgentSetState is a call that changes the state, until its result.
func BenchmarkAgentSetState(b *testing.B) {
	for name, method := range map[string]string{"Gateway": "setState", "DurableObject": "set"} {
		b.Run(name, func(b *testing.B) {
			dial := func(t testing.TB, name string) socket {
				w := testenv.Worker(b, testenv.WorkerSpec{Entry: "infra/cloudflare/bridge/test/speed.ts", Objects: map[string]string{"SpeedAgent": "SpeedAgent"}})
				return dialAt(t, "ws"+strings.TrimPrefix(w.URL, "http")+"/agents/speed-agent/"+name)
			}
			if name == "Gateway" {
				l := startLive(b)
				dial = func(t testing.TB, name string) socket { return l.dial(t, "/agents/speed-agent/"+name) }
			}
			s := dial(b, "set")
			for !strings.Contains(s.next(b), "mcp_servers") {
			}
			for n := 0; b.Loop(); n++ {
				s.send(b, call("1", method, fmt.Sprintf("[%d]", n)))
				for !strings.Contains(s.next(b), `"rpc"`) {
				}
			}
		})
	}
}
