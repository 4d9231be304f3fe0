package router_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/deployment/sqldeployment"
	"vibesdk-gcp/router"
	"vibesdk-gcp/schemas"
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
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
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

// BenchmarkProxy compares requests per second and the 99th percentile of latency for a small page through this router, through a
// bare httputil.ReverseProxy with the router's connection settings, through Caddy and through nginx, on one upstream. They take turns of
// a second each, so that whatever else the machine does falls on all of them; -benchtime=10x makes ten turns, of
// which the medians are reported. "full" is this router with 100,000 apps in its table. "many" asks it for a thousand of them in turn, and "few" does the
// same with a table that has no more than those. "slow" is the router without its fast lane.
func BenchmarkProxy(b *testing.B) {
	upstream := startRole(b, "upstream", "")
	full := startRole(b, "full", upstream)
	hosts := manyHosts()
	targets := []*benchTarget{
		{name: "router", address: startRole(b, "router", upstream), hosts: []string{benchHost}},
		{name: "full", address: full, hosts: []string{benchHost}},
		{name: "many", address: full, hosts: hosts},
		{name: "few", address: startRole(b, "few", upstream), hosts: hosts},
		{name: "slow", address: startRole(b, "slow", upstream), hosts: []string{benchHost}},
		{name: "bare", address: startRole(b, "bare", upstream), hosts: []string{benchHost}},
		{name: "caddy", address: startCaddy(b, upstream), hosts: []string{benchHost}},
		{name: "nginx", address: startNginx(b, upstream), hosts: []string{benchHost}},
	}
	for b.Loop() {
		for _, t := range targets {
			if t.address != "" {
				t.drive(b, time.Second)
			}
		}
	}
	own := targets[0]
	b.ReportMetric(median(targets[2].rates)/median(targets[3].rates), "many/few")
	for _, t := range targets {
		if t.address == "" {
			continue
		}
		b.ReportMetric(median(t.rates), t.name+"-req/s")
		b.ReportMetric(median(t.p99), t.name+"-p99-µs")
		if t != own {
			b.ReportMetric(median(own.rates)/median(t.rates), "router/"+t.name)
		}
	}
}

// benchTarget is a proxy and what was measured of it.
type benchTarget struct {
	name, address string
	hosts         []string
	rates, p99    []float64
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

// drive sends what a browser sends, over 32 connections one after the other.
func (t *benchTarget) drive(b *testing.B, duration time.Duration) {
	b.Helper()
	requests := make([][]byte, len(t.hosts))
	for i, host := range t.hosts {
		requests[i] = []byte("GET /assets/index.js?v=1 HTTP/1.1\r\nHost: " + host + "\r\n" +
			"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: */*\r\n" +
			"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nReferer: http://" + host + "/\r\n" +
			"Cookie: session=0123456789abcdef\r\nSec-Fetch-Dest: script\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n\r\n")
	}
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	start := time.Now()
	for i := range 32 {
		wg.Go(func() {
			conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", t.address)
			if err != nil {
				b.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			in := bufio.NewReader(conn)
			own := make([]time.Duration, 0, 8192)
			for n := i; time.Since(start) < duration; n++ {
				begun := time.Now()
				if _, err := conn.Write(requests[n%len(requests)]); err != nil {
					b.Error(err)
					return
				}
				if err := skipResponse(in); err != nil {
					b.Error(err)
					return
				}
				own = append(own, time.Since(begun))
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, own...)
		})
	}
	wg.Wait()
	t.rates = append(t.rates, float64(len(took))/time.Since(start).Seconds())
	slices.Sort(took)
	if len(took) > 0 {
		t.p99 = append(t.p99, float64(took[len(took)*99/100].Microseconds()))
	}
}

func skipResponse(in *bufio.Reader) error {
	status, err := in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("status %q", status)
	}
	length := 0
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 2 {
			_, err = in.Discard(length)
			return err
		}
		if name, value, _ := bytes.Cut(line, []byte(": ")); bytes.EqualFold(name, []byte("content-length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
}

// serveUpstream answers every request with the same kilobyte at the least cost, to leave the processors to the
// proxies.
func serveUpstream(ln net.Listener, _ string) error {
	response := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/javascript\r\nCache-Control: no-cache\r\nEtag: W/\"1\"\r\n" +
		"Date: Mon, 05 Jan 2026 10:00:00 GMT\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024))
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer func() { _ = conn.Close() }()
			in := bufio.NewReader(conn)
			for {
				line, err := in.ReadSlice('\n')
				if err != nil {
					return
				}
				if len(line) > 2 {
					continue
				}
				if _, err := conn.Write(response); err != nil {
					return
				}
			}
		}()
	}
}

func serveBare(ln net.Listener, upstream string) error {
	target := &url.URL{Scheme: "http", Host: upstream}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
	}
	return (&http.Server{Handler: proxy, ReadHeaderTimeout: time.Minute}).Serve(ln)
}

func serveRouter(ln net.Listener, upstream string) error { return serveRouterOn(ln, upstream, 0, true) }

func serveFull(ln net.Listener, upstream string) error {
	return serveRouterOn(ln, upstream, manyApps, true)
}

func serveFew(ln net.Listener, upstream string) error {
	return serveRouterOn(ln, upstream, fewApps, true)
}

func serveSlow(ln net.Listener, upstream string) error { return serveRouterOn(ln, upstream, 0, false) }

func serveRouterOn(ln net.Listener, upstream string, apps int, lane bool) error {
	dir, err := os.MkdirTemp("", "router-bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := sqldb.Open(context.Background(), "sqlite:"+filepath.Join(dir, "bench.db"), sqldb.Options{})
	if err != nil {
		return err
	}
	if err := db.Migrate(context.Background(), schemas.SQL()); err != nil {
		return err
	}
	_, err = db.W.ExecContext(context.Background(), `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)
		INSERT INTO app_deployments (app_name, target, endpoint, version, updated_at) SELECT 'app-' || i, 'process', ?2, 1, 1 FROM n WHERE ?1 > 0`, apps, upstream)
	if err != nil {
		return err
	}
	table := deployment.NewTable(sqldeployment.New(db), deployment.Options{})
	p := deployment.Preview{SandboxID: sandboxID, Token: token, Fence: 1, Endpoint: upstream}
	if err := table.PutPreview(context.Background(), p); err != nil {
		return err
	}
	rt, err := router.New(router.Options{
		Domain: "localhost", PreviewDomain: "preview.localhost", Lookup: table, Activity: &lastSeen{at: map[string]time.Time{}},
		DevOrigins: true, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	if lane {
		ln = rt.Lane(ln)
	}
	return (&http.Server{Handler: rt, ReadHeaderTimeout: time.Minute}).Serve(ln)
}

// lastSeen keeps what a program would: the latest time by sandbox.
type lastSeen struct {
	mu sync.Mutex
	at map[string]time.Time
}

func (l *lastSeen) Touch(id string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at[id] = at
}

// startRole starts this binary again and returns the address that it listens on.
func startRole(b *testing.B, role, upstream string) string {
	b.Helper()
	cmd := exec.Command(os.Args[0], upstream)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
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
	return strings.TrimSpace(address)
}

// startCaddy returns "" when there is none.
func startCaddy(b *testing.B, upstream string) string {
	b.Helper()
	binary, ok := testenv.Caddy(b)
	if !ok {
		return ""
	}
	address, dir := freeAddress(b), b.TempDir()
	config := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(config, fmt.Appendf(nil, `{
	admin off
	auto_https off
	persist_config off
	log {
		output discard
	}
}
http://:%[1]s {
	bind 127.0.0.1
	reverse_proxy %[2]s {
		transport http {
			keepalive_idle_conns_per_host 256
			compression off
		}
	}
}
`, address[strings.LastIndexByte(address, ':')+1:], upstream), 0o600); err != nil {
		b.Fatal(err)
	}
	return startProxy(b, address, binary, "run", "--adapter", "caddyfile", "--config", config)
}

func freeAddress(b *testing.B) string {
	b.Helper()
	ln, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := ln.Addr().String()
	if err := ln.Close(); err != nil {
		b.Fatal(err)
	}
	return address
}

// startProxy starts a program that will listen at address.
func startProxy(b *testing.B, address, binary string, args ...string) string {
	b.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "HOME="+b.TempDir(), "XDG_DATA_HOME="+b.TempDir(), "XDG_CONFIG_HOME="+b.TempDir())
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	for range 1000 {
		conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
			return address
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.Fatalf("%s does not start", binary)
	return ""
}

// startNginx returns "" when there is none.
func startNginx(b *testing.B, upstream string) string {
	b.Helper()
	binary, err := exec.LookPath("nginx")
	if err != nil {
		return ""
	}
	address, dir := freeAddress(b), b.TempDir()
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, `
daemon off; pid %[1]s/pid; error_log stderr crit; worker_processes auto;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  keepalive_requests 100000000;
  upstream app { server %[2]s; keepalive 256; keepalive_requests 100000000; }
  server {
    listen %[3]s;
    location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}`, dir, upstream, address), 0o600); err != nil {
		b.Fatal(err)
	}
	return startProxy(b, address, binary, "-p", dir, "-c", config)
}
