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
	"sync/atomic"
	"testing"
	"time"

	"vibesdk-gcp/internal/sqldb"
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
		"upstream": serveUpstream, "bare": serveBare, "router": serveRouter,
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

// BenchmarkProxy compares requests per second for a small page through this router, through a bare
// httputil.ReverseProxy with the router's connection settings, and through nginx, on one upstream. They take turns of
// a second each, so that whatever else the machine does falls on all of them; -benchtime=10x makes ten turns, of
// which the medians are reported.
func BenchmarkProxy(b *testing.B) {
	upstream := startRole(b, "upstream", "")
	targets := []struct {
		name, address string
		rates         []float64
	}{
		{name: "router", address: startRole(b, "router", upstream)},
		{name: "bare", address: startRole(b, "bare", upstream)},
		{name: "nginx", address: startNginx(b, upstream)},
	}
	for b.Loop() {
		for i := range targets {
			if targets[i].address != "" {
				targets[i].rates = append(targets[i].rates, drive(b, targets[i].address, time.Second))
			}
		}
	}
	median := func(rates []float64) float64 {
		slices.Sort(rates)
		return rates[len(rates)/2]
	}
	own := median(targets[0].rates)
	b.ReportMetric(own, "router-req/s")
	for _, other := range targets[1:] {
		if other.address == "" {
			b.Logf("%s is not installed: no comparison with it", other.name)
			continue
		}
		b.ReportMetric(median(other.rates), other.name+"-req/s")
		b.ReportMetric(own/median(other.rates), "router/"+other.name)
	}
}

const benchHost = sandboxID + "-" + token + ".preview.localhost"

// drive sends what a browser sends, over 32 connections one after the other, and returns the requests per second.
func drive(b *testing.B, address string, duration time.Duration) float64 {
	b.Helper()
	request := []byte("GET /assets/index.js?v=1 HTTP/1.1\r\nHost: " + benchHost + "\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: */*\r\n" +
		"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nReferer: http://" + benchHost + "/\r\n" +
		"Cookie: session=0123456789abcdef\r\nSec-Fetch-Dest: script\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n\r\n")
	var done atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range 32 {
		wg.Go(func() {
			conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", address)
			if err != nil {
				b.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			in := bufio.NewReader(conn)
			for time.Since(start) < duration {
				if _, err := conn.Write(request); err != nil {
					b.Error(err)
					return
				}
				if err := skipResponse(in); err != nil {
					b.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(start).Seconds()
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

func serveRouter(ln net.Listener, upstream string) error {
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
	return (&http.Server{Handler: rt, ReadHeaderTimeout: time.Minute}).Serve(rt.Lane(ln))
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

// startNginx returns "" when there is none.
func startNginx(b *testing.B, upstream string) string {
	b.Helper()
	binary, err := exec.LookPath("nginx")
	if err != nil {
		return ""
	}
	ln, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := ln.Addr().String()
	if err := ln.Close(); err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
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
	cmd := exec.Command(binary, "-p", dir, "-c", config)
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
	b.Fatal("nginx does not start")
	return ""
}
