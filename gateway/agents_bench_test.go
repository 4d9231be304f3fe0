package gateway_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/coder/websocket"

	"vibesdk-gcp/gateway"
)

// BenchmarkAgentFanOut is one state frame until all of 100 other clients have it.
func BenchmarkAgentFanOut(b *testing.B) {
	l := startLive(b)
	const others = 100
	sender := l.dial(b, "/agents/c/fan?_pk=sender")
	got := make(chan struct{}, others)
	for i := range others {
		s := l.dial(b, fmt.Sprintf("/agents/c/fan?_pk=%d", i))
		s.next(b)
		s.next(b)
		go func() {
			for {
				if _, _, err := s.Read(b.Context()); err != nil {
					return
				}
				got <- struct{}{}
			}
		}()
	}
	for n := 0; b.Loop(); n++ {
		sender.send(b, state(fmt.Sprintf(`{"n":%d}`, n)))
		for range others {
			<-got
		}
	}
	b.ReportMetric(float64(others*b.N)/b.Elapsed().Seconds(), "frames/s")
}

// BenchmarkAgentCall is a call that the watched record answers, and one that writes.
func BenchmarkAgentCall(b *testing.B) {
	l := startLive(b)
	s := l.dial(b, "/agents/c/call?_pk=a")
	s.want(b, identity("c", "call", false), emptyMCP)
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			s.send(b, call("1", "isInitialized", "[]"))
			s.next(b)
		}
	})
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			s.send(b, call("1", "setState", `[1]`))
			s.next(b)
			s.next(b)
		}
	})
}

// BenchmarkAgentIdle reports the memory of both ends of a connection that does nothing, all in one process.
func BenchmarkAgentIdle(b *testing.B) {
	l := startLive(b, func(o *gateway.Options) { o.Agents.MaxSessionSockets = 1 << 20 })
	const sockets = 1000
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		all := make([]socket, sockets)
		for i := range all {
			all[i] = l.dial(b, "/agents/c/idle")
			all[i].next(b)
			all[i].next(b)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		for _, s := range all {
			s.Close(websocket.StatusNormalClosure, "")
		}
	}
	used := after.HeapInuse + after.StackInuse - before.HeapInuse - before.StackInuse
	b.ReportMetric(float64(used)/sockets, "B/socket-pair")
}
