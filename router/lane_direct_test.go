//go:build linux

package router_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/router"
)

// newRawLane is a lane to one app, "raw", whose route is known without a wait.
func newRawLane(t *testing.T, serve func(n int32, conn net.Conn, in *bufio.Reader)) *laneWorld {
	t.Helper()
	address, _ := rawUpstream(t, serve)
	table := rows{"raw": {Place: deployment.Place{Target: deployment.TargetProcess, Endpoint: address}}}
	return newLaneWorld(t, echoPath, func(o *router.Options) { o.Lookup = table })
}

// TestPollersAnswer: once there is a connection to the app, plain requests take no goroutine.
func TestPollersAnswer(t *testing.T) {
	t.Parallel()
	l := newRawLane(t, func(_ int32, conn net.Conn, in *bufio.Reader) {
		for awaitHead(in) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	const request, n = "GET / HTTP/1.1\r\nHost: raw.localhost\r\n\r\n", 200
	conn, in := l.open(request)
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute)) // a busy machine takes its time
	l.want(in, http.StatusOK, "ok")
	before := l.lane.Asides()
	for range n {
		_, _ = io.WriteString(conn, request)
		l.want(in, http.StatusOK, "ok")
	}
	// One that takes longer than a tenth of a second, as may be on a busy machine, is left to a goroutine.
	if asides := l.lane.Asides() - before; asides >= n {
		t.Errorf("%d of %d requests took a goroutine", asides, n)
	}
	l.wantHandled(0)
}

// script is what the app of [TestLaneHoldsWhateverComes] does for a request: it says how long a body is, in how many parts it comes, how it is framed
// and what becomes of the connection.
type script struct {
	size, parts             int
	pause                   time.Duration // before the last part
	chunked, closes, breaks bool
	hints                   bool
}

func (s script) path() string {
	return fmt.Sprintf("/%d/%d/%d/%t/%t/%t/%t", s.size, s.parts, s.pause.Milliseconds(), s.chunked, s.closes, s.breaks, s.hints)
}

func readScript(path string) (s script, err error) {
	pause := 0
	_, err = fmt.Sscanf(strings.ReplaceAll(path, "/", " "), "%d %d %d %t %t %t %t", &s.size, &s.parts, &pause, &s.chunked, &s.closes, &s.breaks, &s.hints)
	s.pause = time.Duration(pause) * time.Millisecond
	return s, err
}

// body is one that belongs to the path alone.
func (s script) body() []byte {
	path := []byte(s.path())
	return bytes.Repeat(path, s.size/len(path)+1)[:s.size]
}

// play answers, and reports whether the connection is for another request.
func (s script) play(conn net.Conn, head bool) bool {
	var answer bytes.Buffer
	if s.hints {
		answer.WriteString("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
	}
	answer.WriteString("HTTP/1.1 200 OK\r\nX-Path: " + s.path() + "\r\n")
	if s.closes {
		answer.WriteString("Connection: close\r\n")
	}
	body := s.body()
	if s.chunked {
		answer.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		if !head {
			for len(body) > 0 {
				n := min(len(body), 5000)
				_, _ = fmt.Fprintf(&answer, "%x\r\n%s\r\n", n, body[:n])
				body = body[n:]
			}
			answer.WriteString("0\r\n\r\n")
		}
	} else {
		_, _ = fmt.Fprintf(&answer, "Content-Length: %d\r\n\r\n", len(body))
		if !head {
			answer.Write(body)
		}
	}
	each := answer.Len()/s.parts + 1
	for answer.Len() > 0 {
		if answer.Len() <= each {
			time.Sleep(s.pause)
		}
		if _, err := conn.Write(answer.Next(each)); err != nil {
			return false
		}
	}
	return !s.closes && !s.breaks
}

// TestLaneHoldsWhateverComes: many clients with apps of every manner, each of which gets its own answers, whole and in order, whoever serves them: the
// poller, a goroutine, or one after the other.
func TestLaneHoldsWhateverComes(t *testing.T) {
	t.Parallel()
	l := newRawLane(t, func(_ int32, conn net.Conn, in *bufio.Reader) {
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			s, err := readScript(r.URL.Path)
			if err != nil {
				t.Error(err)
				return
			}
			if !s.play(conn, r.Method == http.MethodHead) {
				return
			}
		}
	})
	const clients, requests = 16, 60
	var all sync.WaitGroup
	for client := range clients {
		random := rand.New(rand.NewPCG(uint64(client), 1))
		all.Go(func() { l.converse(random, requests) })
	}
	all.Wait()
	if l.lane.Asides() == 0 {
		t.Error("nothing was left to a goroutine")
	}
	l.wantHandled(0)
}

func randomScript(random *rand.Rand) script {
	one := func(n int) bool { return random.IntN(n) == 0 }
	s := script{
		size: []int{0, 1, 1000, 32 << 10, 100_000, 256 << 10, 400_000}[random.IntN(7)] + random.IntN(3), parts: 1 + random.IntN(4),
		chunked: one(5), closes: one(10), breaks: one(10), hints: one(20),
	}
	if one(4) {
		s.pause = time.Duration(random.IntN(3)) * 60 * time.Millisecond
	}
	return s
}

// converse sends requests over connections, up to three ahead of their answers, reads slowly at times, and leaves in the middle at others.
func (l *laneWorld) converse(random *rand.Rand, requests int) {
	for requests > 0 {
		conn, in := l.open("")
		for alive := true; alive && requests > 0; {
			_ = conn.SetDeadline(time.Now().Add(2 * time.Minute)) // a busy machine takes its time
			var asked []script
			var heads []bool
			for range 1 + random.IntN(3) {
				s, head := randomScript(random), random.IntN(6) == 0
				method := map[bool]string{true: http.MethodHead, false: http.MethodGet}[head]
				if _, err := io.WriteString(conn, method+" "+s.path()+" HTTP/1.1\r\nHost: raw.localhost\r\n\r\n"); err != nil {
					l.t.Error(err)
				}
				asked, heads = append(asked, s), append(heads, head)
				requests--
			}
			if random.IntN(10) == 0 {
				alive = false // leaves without its answers
				continue
			}
			if random.IntN(8) == 0 {
				time.Sleep(150 * time.Millisecond)
			}
			for i, s := range asked {
				l.wantScript(in, s, heads[i])
			}
		}
		_ = conn.Close()
	}
}

func (l *laneWorld) wantScript(in *bufio.Reader, s script, head bool) {
	method := map[bool]string{true: http.MethodHead, false: http.MethodGet}[head]
	var res *http.Response
	var err error
	for res == nil || res.StatusCode == http.StatusEarlyHints {
		if res, err = http.ReadResponse(in, &http.Request{Method: method}); err != nil {
			l.t.Errorf("%s %s: %v", method, s.path(), err)
			return
		}
	}
	body, err := io.ReadAll(res.Body)
	want := s.body()
	if head {
		want = nil
	}
	if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("X-Path") != s.path() || !bytes.Equal(body, want) {
		l.t.Errorf("%s %s: %d, of %s, %d bytes, %v", method, s.path(), res.StatusCode, res.Header.Get("X-Path"), len(body), err)
	}
}
