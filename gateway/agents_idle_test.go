package gateway_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vibesdk-gcp/gateway"
)

const (
	idleClients  = "IDLE_CLIENTS" // in the environment of a process that holds them: the address, and how many
	idleSessions = 100
	// idleMost bounds the memory of one idle connection in bytes.
	idleMost = 64 << 10
)

const upgradeHead = "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// TestIdleSockets: ten thousand connections that do nothing take little memory, and others are served beside them.
func TestIdleSockets(t *testing.T) {
	if held := os.Getenv(idleClients); held != "" {
		holdIdle(t, held)
		return
	}
	if testing.Short() {
		t.Skip("takes seconds")
	}
	sockets := 10_000
	// The clients are another process: both ends together may be more files than one may open.
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if room := int(limit.Cur) - 1000; room < sockets {
		t.Logf("only %d files may be open", limit.Cur)
		sockets = max(room, 100)
	}
	l := startLive(t, func(o *gateway.Options) { o.Agents.MaxSockets = 2 * sockets })
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)

	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestIdleSockets$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", idleClients, hostOf(l.URL), sockets))
	stay, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait() // its own tests tell
	defer stay.Close()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || strings.TrimSpace(line) != "connected" {
		t.Fatalf("clients: %q, %v", line, err)
	}
	if got := l.gateway.AgentSockets(); got != sockets {
		t.Fatalf("%d connections, want %d", got, sockets)
	}
	for range 2 { // what the first frees for later, the second gives back
		runtime.GC()
	}
	runtime.ReadMemStats(&after)
	each := int64(after.HeapInuse+after.StackInuse-before.HeapInuse-before.StackInuse) / int64(sockets)
	t.Logf("%d idle connections, %d bytes each, %d goroutines", sockets, each, runtime.NumGoroutine())
	if each > idleMost {
		t.Errorf("an idle connection takes %d bytes, the limit is %d", each, idleMost)
	}
	a, b := l.agent(t, "/agents/c/idle-0?_pk=a"), l.agent(t, "/agents/c/idle-0?_pk=b")
	a.send(t, state(`"awake"`))
	b.want(t, state(`"awake"`))
}

// holdIdle connects and stays until its standard input ends.
func holdIdle(t *testing.T, held string) {
	address, count, _ := strings.Cut(held, " ")
	n, err := strconv.Atoi(count)
	if err != nil {
		t.Fatal(err)
	}
	conns := make([]net.Conn, n)
	var group sync.WaitGroup
	next := make(chan int)
	for range 32 {
		group.Go(func() {
			for i := range next {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					t.Error(err)
					return
				}
				conns[i] = conn
				fmt.Fprintf(conn, upgradeHead, fmt.Sprintf("/agents/c/idle-%d", i%idleSessions))
				// The last of what a client is told.
				for seen := []byte{}; !strings.Contains(string(seen), "mcp_servers"); {
					part := make([]byte, 1024)
					k, err := conn.Read(part)
					if err != nil {
						t.Error(err)
						return
					}
					seen = append(seen, part[:k]...)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
	fmt.Println("connected")
	io.Copy(io.Discard, os.Stdin)
	for _, conn := range conns {
		conn.Close()
	}
}

// TestMalformedUpgrades: what is no upgrade gets an answer, and holds no connection.
func TestMalformedUpgrades(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	head := strings.Split(strings.TrimSuffix(fmt.Sprintf(upgradeHead, "/agents/c/x"), "\r\n\r\n"), "\r\n")
	change := func(name, value string) string {
		var lines []string
		for _, line := range head {
			if !strings.HasPrefix(line, name+":") {
				lines = append(lines, line)
			} else if value != "" {
				lines = append(lines, name+": "+value)
			}
		}
		return strings.Join(lines, "\r\n") + "\r\n\r\n"
	}
	for name, request := range map[string]string{
		"no key":           change("Sec-WebSocket-Key", ""),
		"a short key":      change("Sec-WebSocket-Key", "dGVzdA=="),
		"a key of no form": change("Sec-WebSocket-Key", "???"),
		"no version":       change("Sec-WebSocket-Version", ""),
		"another version":  change("Sec-WebSocket-Version", "7"),
		"no connection":    change("Connection", ""),
		"another method":   strings.Replace(change("", ""), "GET", "POST", 1),
		"HTTP/1.0":         strings.Replace(change("", ""), "HTTP/1.1", "HTTP/1.0", 1),
		"two keys":         strings.Replace(change("", ""), "\r\n\r\n", "\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", 1),
		"no HTTP":          "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", hostOf(l.URL))
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(agentDeadline)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		switch {
		case err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF):
			t.Errorf("%s: %v", name, err)
		case err == nil && (resp.StatusCode < 400 || resp.StatusCode > 499) && resp.StatusCode != http.StatusNotImplemented:
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
		conn.Close()
	}
	// Frames that break the protocol end the connection that they are on.
	for name, frame := range map[string]string{
		"not masked": "\x81\x01x", "reserved bits": "\xf1\x81\x00\x00\x00\x00x", "an unknown opcode": "\x83\x81\x00\x00\x00\x00x",
		"a long ping": "\x89\xfe\x01\x00\x00\x00\x00\x00" + strings.Repeat("x", 256), "a rest without a beginning": "\x80\x81\x00\x00\x00\x00x",
	} {
		conn, err := net.Dial("tcp", hostOf(l.URL))
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(agentDeadline)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, upgradeHead+"%s", "/agents/c/x", frame)
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection stays open", name)
		}
		conn.Close()
	}
	for l.gateway.AgentSockets() > 0 {
		if t.Context().Err() != nil {
			t.Fatal("connections are counted that are none")
		}
		time.Sleep(time.Millisecond)
	}
	l.agent(t, "/agents/c/x")
}
