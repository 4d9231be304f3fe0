package router_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/internal/testenv"
)

// startCaddy returns no program when there is none.
func startCaddy(b *testing.B, upstream string) program {
	b.Helper()
	binary, ok := testenv.Caddy(b)
	if !ok {
		return program{}
	}
	address, dir := testenv.Address(b), b.TempDir()
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

// startProxy starts a program that will listen at address.
func startProxy(b *testing.B, address, binary string, args ...string) program {
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
			return program{address, cmd.Process.Pid}
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.Fatalf("%s does not start", binary)
	return program{}
}

// startNginx returns no program when there is none.
func startNginx(b *testing.B, upstream string) program {
	b.Helper()
	binary, err := exec.LookPath("nginx")
	if err != nil {
		return program{}
	}
	address, dir := testenv.Address(b), b.TempDir()
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
    location / {
      proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-For $remote_addr;
    }
  }
}`, dir, upstream, address), 0o600); err != nil {
		b.Fatal(err)
	}
	return startProxy(b, address, binary, "-p", dir, "-c", config)
}
