package gateway_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"vibesdk-gcp/internal/testenv"
)

// lean is a client that does as little as possible: what it costs is the same for all servers, and hides what they cost.
type lean struct {
	net.Conn

	in *bufio.Reader
}

// leanAt connects and reads what a client is told first.
func leanAt(b *testing.B, address string) *lean {
	b.Helper()
	host, path, _ := strings.Cut(strings.TrimPrefix(address, "http://"), "/")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, upgradeHead, "/"+path)
	c := &lean{conn, bufio.NewReaderSize(conn, 64<<10)}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		b.Fatalf("%v, %v", resp, err)
	}
	for {
		frame, err := c.next()
		if err != nil {
			b.Fatal(err)
		}
		if bytes.Contains(frame, []byte("mcp_servers")) {
			return c
		}
	}
}

// next returns a frame, until the one after it is read.
func (c *lean) next() ([]byte, error) {
	head, err := c.in.Peek(4)
	if err != nil {
		return nil, err
	}
	size, n := 2, int(head[1])
	if n == 126 {
		size, n = 4, int(head[2])<<8|int(head[3])
	}
	frame, err := c.in.Peek(size + n)
	if err != nil {
		return nil, err
	}
	_, err = c.in.Discard(size + n)
	return frame[size:], err
}

// masked is a text frame of a client, with a mask of zeros.
func masked(text string) []byte {
	head := []byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}
	if len(text) > 125 {
		head = []byte{0x81, 0x80 | 126, byte(len(text) >> 8), byte(len(text)), 0, 0, 0, 0}
	}
	return append(head, text...)
}

// speedAgent is an agent of the SDK in a Durable Object.
func speedAgent(b *testing.B) string {
	b.Helper()
	w := testenv.Worker(b, testenv.WorkerSpec{Entry: "infra/cloudflare/bridge/test/speed.ts", Objects: map[string]string{"SpeedAgent": "SpeedAgent"}})
	return w.URL + "/agents/speed-agent/"
}

// BenchmarkAgentFanOut is state frames of one client until all of 100 others have them: one at a time, and 48 ahead.
func BenchmarkAgentFanOut(b *testing.B) {
	for _, ahead := range []int{1, 48} {
		b.Run(fmt.Sprintf("Ahead=%d", ahead), func(b *testing.B) {
			b.Run("Gateway", func(b *testing.B) { benchFanOut(b, startLive(b).URL+"/agents/speed-agent/", ahead) })
			b.Run("DurableObject", func(b *testing.B) { benchFanOut(b, speedAgent(b), ahead) })
		})
	}
}

func benchFanOut(b *testing.B, agents string, ahead int) {
	const others = 100
	sender := leanAt(b, agents+"fan?_pk=sender")
	got := make(chan struct{}, others*ahead)
	for i := range others {
		c := leanAt(b, fmt.Sprintf("%sfan?_pk=%d", agents, i))
		go func() {
			for {
				frame, err := c.next()
				if err != nil {
					return
				}
				if bytes.Contains(frame, []byte(`"counted"`)) {
					got <- struct{}{}
				}
			}
		}()
	}
	under := 0
	for n := 0; b.Loop(); n++ {
		if under == ahead {
			for range others {
				<-got
			}
			under--
		}
		if _, err := sender.Write(masked(state(fmt.Sprintf(`{"n":%d,"counted":true}`, n)))); err != nil {
			b.Fatal(err)
		}
		under++
	}
	for range under * others {
		<-got
	}
	b.ReportMetric(float64(others*b.N)/b.Elapsed().Seconds(), "frames/s")
}

// BenchmarkAgentRoundTrips is calls that change nothing, one at a time and 64 ahead, of one client and of 16 at once: a built-in
// method, one of an agent host, and one of the SDK's agent.
func BenchmarkAgentRoundTrips(b *testing.B) {
	for _, shape := range []struct{ clients, ahead int }{{1, 1}, {1, 64}, {16, 8}} {
		b.Run(fmt.Sprintf("Clients=%d/Ahead=%d", shape.clients, shape.ahead), func(b *testing.B) {
			b.Run("Gateway", func(b *testing.B) {
				benchCalls(b, shape.clients, shape.ahead, "isInitialized", startLive(b).URL+"/agents/speed-agent/")
			})
			b.Run("GatewayWithHost", func(b *testing.B) {
				l := startHost(b, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					w.Write([]byte(`"pong"`))
				})
				benchCalls(b, shape.clients, shape.ahead, "ping", l.URL+"/agents/speed-agent/")
			})
			b.Run("DurableObject", func(b *testing.B) { benchCalls(b, shape.clients, shape.ahead, "ping", speedAgent(b)) })
		})
	}
}

func benchCalls(b *testing.B, clients, ahead int, method, agents string) {
	conns := make([]*lean, clients)
	for i := range conns {
		conns[i] = leanAt(b, fmt.Sprintf("%scalls?_pk=%d", agents, i))
	}
	frame := masked(call("1", method, "[]"))
	b.ResetTimer()
	var all sync.WaitGroup
	for i, c := range conns {
		n := b.N / clients
		if i < b.N%clients {
			n++
		}
		window := make(chan struct{}, ahead)
		all.Go(func() {
			for range n {
				window <- struct{}{}
				if _, err := c.Write(frame); err != nil {
					b.Error(err)
					return
				}
			}
		})
		all.Go(func() {
			for done := 0; done < n; {
				answer, err := c.next()
				if err != nil {
					b.Error(err)
					return
				}
				if bytes.Contains(answer, []byte(`"rpc"`)) {
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
	run := func(b *testing.B, agents, method string) {
		c := leanAt(b, agents+"set?_pk=a")
		for n := 0; b.Loop(); n++ {
			if _, err := c.Write(masked(call("1", method, fmt.Sprintf("[{\"n\":%d}]", n)))); err != nil {
				b.Fatal(err)
			}
			for answer := []byte{}; !bytes.Contains(answer, []byte(`"rpc"`)); {
				var err error
				if answer, err = c.next(); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.Run("Gateway", func(b *testing.B) { run(b, startLive(b).URL+"/agents/speed-agent/", "setState") })
	b.Run("DurableObject", func(b *testing.B) { run(b, speedAgent(b), "set") })
}
