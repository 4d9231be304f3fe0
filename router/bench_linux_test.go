package router_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/internal/proctable"
)

// The benchmark's upstream and proxies are processes of their own, or they would share the load generator's
// scheduler and collector. They are this test binary again, in the role that this variable names.
const roleVariable = "ROUTER_BENCH_ROLE"

func TestMain(m *testing.M) {
	serve, ok := map[string]func(net.Listener, string) error{
		"upstream": serveUpstream, "bare": serveBare, "router": serveRouter, "full": serveFull, "few": serveFew, "slow": serveSlow,
	}[os.Getenv(roleVariable)]
	if !ok {
		os.Exit(m.Run())
	}
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err == nil {
		fmt.Println(ln.Addr())
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin) // ends when the parent does, however that ends
			os.Exit(0)
		}()
		err = serve(ln, os.Args[len(os.Args)-1])
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// BenchmarkProxy compares requests per second, the 99th percentile of latency and the processor time of a request for a small page through this
// router, through a bare httputil.ReverseProxy with the router's connection settings, through Caddy and through nginx, on one upstream. They
// take turns of a second each, in another order each time, so that whatever else the machine does falls on all of them; -benchtime=10x makes
// ten turns, of which the medians are reported. "full" is this router with 100,000 apps in its table. "many" asks it for a thousand of
// them in turn, and "few" does the same with a table that has no more than those. "slow" is the router without its fast lane. What ends with "1"
// is set up as on an instance of Cloud Run with one processor; the others take all processors that load and upstream take as well.
//
// Load generator and upstream are one thread each over epoll: what they take is missing from the proxies.
func BenchmarkProxy(b *testing.B) {
	upstream := startRole(b, "upstream", "").address
	full, full1 := startRole(b, "full", upstream), startRole(b, "full", upstream, oneProcessor)
	one, many := []string{benchHost}, manyHosts()
	targets := []*benchTarget{
		{name: "router", program: startRole(b, "router", upstream), hosts: one},
		{name: "full", program: full, hosts: one},
		{name: "many", program: full, hosts: many},
		{name: "few", program: startRole(b, "few", upstream), hosts: many},
		{name: "router1", program: startRole(b, "router", upstream, oneProcessor), hosts: one},
		{name: "full1", program: full1, hosts: one},
		{name: "many1", program: full1, hosts: many},
		{name: "few1", program: startRole(b, "few", upstream, oneProcessor), hosts: many},
		{name: "slow", program: startRole(b, "slow", upstream), hosts: one},
		{name: "bare", program: startRole(b, "bare", upstream), hosts: one},
		{name: "caddy", program: startCaddy(b, upstream), hosts: one},
		{name: "nginx", program: startNginx(b, upstream), hosts: one},
	}
	targets = slices.DeleteFunc(targets, func(t *benchTarget) bool { return t.program.address == "" })
	for turn := 0; b.Loop(); turn++ {
		for i := range targets {
			targets[(i+turn)%len(targets)].turn(b, time.Second)
		}
	}
	by := map[string]*benchTarget{}
	for _, t := range targets {
		by[t.name] = t
		b.ReportMetric(median(t.rates), t.name+"-req/s")
		b.ReportMetric(median(t.p99), t.name+"-p99-µs")
		b.ReportMetric(median(t.cpu), t.name+"-cpu-µs/req")
	}
	for _, pair := range []string{
		"many/few", "many1/few1", "router/full", "router1/full1", "router/slow", "router/bare", "router/caddy", "router/nginx", "router1/caddy", "router1/nginx",
	} {
		name, than, _ := strings.Cut(pair, "/")
		if t, other := by[name], by[than]; other != nil {
			b.ReportMetric(median(t.rates)/median(other.rates), pair)
			b.ReportMetric(median(t.p99)/median(other.p99), pair+"-p99")
		}
	}
}

// oneProcessor has a Go program believe that the machine has one processor.
const oneProcessor = "GOMAXPROCS=1"

// benchTarget is a proxy and what was measured of it.
type benchTarget struct {
	name            string
	program         program
	hosts           []string
	rates, p99, cpu []float64 // of each turn; the times in microseconds
}

// program is a proxy's first process, and where it listens; the zero value is one that this machine does not have.
type program struct {
	address string
	pid     int
}

// turn drives the proxy for a while with what a browser sends.
func (t *benchTarget) turn(b *testing.B, duration time.Duration) {
	b.Helper()
	requests := make([][]byte, len(t.hosts))
	for i, host := range t.hosts {
		requests[i] = []byte("GET /assets/index.js?v=1 HTTP/1.1\r\nHost: " + host + "\r\n" +
			"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: */*\r\n" +
			"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nReferer: http://" + host + "/\r\n" +
			"Cookie: session=0123456789abcdef\r\nSec-Fetch-Dest: script\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n\r\n")
	}
	before, start := t.program.cpu(b), time.Now()
	took, err := generate(t.program.address, requests, duration)
	if err != nil {
		b.Fatalf("%s: %v", t.name, err)
	}
	n := float64(len(took))
	t.rates = append(t.rates, n/time.Since(start).Seconds())
	t.cpu = append(t.cpu, float64((t.program.cpu(b)-before).Microseconds())/n)
	slices.Sort(took)
	t.p99 = append(t.p99, float64(took[len(took)*99/100].Microseconds()))
}

// cpu is the processor time that the program's processes took, to a hundredth of a second each.
func (p program) cpu(b *testing.B) time.Duration {
	b.Helper()
	list, err := proctable.List()
	if err != nil {
		b.Fatal(err)
	}
	total := 0
	for _, process := range list {
		if process.PID != p.pid && process.Parent != p.pid {
			continue
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", process.PID))
		if err != nil {
			b.Fatal(err)
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		for _, field := range fields[11:13] { // utime and stime, proc(5)
			ticks, err := strconv.Atoi(field)
			if err != nil {
				b.Fatal(err)
			}
			total += ticks
		}
	}
	return time.Duration(total) * (time.Second / 100)
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

// manyApps is how many apps a full table has, fewApps how many of them requests are made for.
const manyApps, fewApps = 100_000, 1000

func manyHosts() []string {
	hosts := make([]string, fewApps)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("app-%d.localhost", i)
	}
	return hosts
}

const benchHost = sandboxID + "-" + token + ".preview.localhost"

// startRole starts this binary again and returns it. env is variables like NAME=value.
func startRole(b *testing.B, role, upstream string, env ...string) program {
	b.Helper()
	cmd := exec.Command(os.Args[0], upstream)
	cmd.Env = append(append(os.Environ(), roleVariable+"="+role), env...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatalf("%s does not start: %v", role, err)
	}
	return program{strings.TrimSpace(address), cmd.Process.Pid}
}
