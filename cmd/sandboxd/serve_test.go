//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"vibesdk-gcp/platform/sandbox"
)

func TestServeStatic(t *testing.T) {
	t.Parallel()
	g := newRig(t, sandbox.Spec{
		Source: sandbox.Source{Files: []sandbox.File{
			{Path: "dist/index.html", Data: []byte("<h1>home</h1>")},
			{Path: "dist/app.js", Data: []byte("let x")},
		}},
		StaticDir: "dist",
	})
	g.build()
	p, endpoint := g.serve()
	if code, body, _ := get(t, "http://"+endpoint+"/app.js"); code != 200 || body != "let x" {
		t.Errorf("app.js: %d %q", code, body)
	}
	if code, body, _ := get(t, "http://"+endpoint+"/a/page", "Accept", "text/html"); code != 200 || body != "<h1>home</h1>" {
		t.Errorf("a page of the app's own router: %d %q", code, body)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(); code != exitDone {
		t.Errorf("exit status %d after SIGTERM", code)
	}
	if _, err := net.Dial("tcp", endpoint); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the endpoint is still there: %v", err)
	}
}

// A preview can be served elsewhere than it was built, from the store.
func TestServeFromSnapshot(t *testing.T) {
	t.Parallel()
	g := newRig(t, sandbox.Spec{Build: "mkdir -p dist/sub && echo made > dist/sub/page.html && ln -s sub/page.html dist/link.html && echo 'built it'", StaticDir: "dist"})
	object := func(name string) string { return "file://" + filepath.Join(g.dir, "store", name) }
	g.task.Store = sandbox.GuestStore{Snapshot: object("snapshot"), Log: object("log")}
	g.build()
	g.task.Store = sandbox.GuestStore{Snapshot: object("snapshot"), BuildLog: object("log")}
	g.task.Dir = filepath.Join(g.dir, "elsewhere")
	_, endpoint := g.serve()
	for _, name := range []string{"/sub/page.html", "/link.html"} {
		if code, body, _ := get(t, "http://"+endpoint+name); code != 200 || body != "made\n" {
			t.Errorf("%s: %d %q", name, code, body)
		}
	}
	log, err := g.control(endpoint).Logs(t.Context(), sandbox.PhaseBuild, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if body, err := io.ReadAll(log); err != nil || !strings.Contains(string(body), "[stdout] built it\n") || !strings.Contains(string(body), "built in") {
		t.Errorf("the stored build log is %q, %v", body, err)
	}
}

func TestServeDev(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"port", "announce", "ipv6"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			if kind == "ipv6" {
				l, err := net.Listen("tcp", "[::1]:0")
				if err != nil {
					t.Skip("no IPv6 loopback here:", err)
				}
				l.Close()
			}
			g := newRig(t, sandbox.Spec{Dev: `exec "$PROGRAM"`, Env: devEnv(t, kind)})
			g.build()
			_, endpoint := g.serve()
			code, body, _ := get(t, "http://"+endpoint+"/path;x?a=1;b=%zz", "X-Forwarded-Host", "shop.example.com")
			if code != 200 || !strings.HasPrefix(body, kind+" /path;x?a=1;b=%zz ") || !strings.HasSuffix(body, " xfh=shop.example.com") {
				t.Errorf("%d %q", code, body)
			}
			if strings.Contains(body, "host="+endpoint) {
				t.Errorf("%q: the server should see its own name as host", body)
			}
			conversation(t, "ws://"+endpoint+"/ws")
			firstEvent(t, "http://"+endpoint+"/events")
		})
	}
}

// conversation talks over a WebSocket both ways.
func conversation(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, address, &websocket.DialOptions{Subprotocols: []string{"vite-hmr"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if c.Subprotocol() != "vite-hmr" {
		t.Errorf("subprotocol %q", c.Subprotocol())
	}
	for i := range 3 {
		if err := c.Write(ctx, websocket.MessageText, fmt.Appendf(nil, "%d", i)); err != nil {
			t.Fatal(err)
		}
		if _, body, err := c.Read(ctx); err != nil || string(body) != fmt.Sprintf("echo %d", i) {
			t.Fatalf("%q, %v", body, err)
		}
	}
}

// firstEvent reads the first line of a response that does not end.
func firstEvent(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || line != "data: one\n" {
		t.Errorf("%q, %v", line, err)
	}
}

// A port that the app announces but another program has is neither asked nor shown.
func TestServeDevForeignPort(t *testing.T) {
	t.Parallel()
	onlyLinux(t)
	var mu sync.Mutex
	asked := 0
	foreign := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked++
	}))
	defer foreign.Close()
	address, err := url.Parse(foreign.URL)
	if err != nil {
		t.Fatal(err)
	}
	env := devEnv(t, "foreign")
	env["FOREIGN"] = address.Port()
	g := newRig(t, sandbox.Spec{Dev: `exec "$PROGRAM"`, Env: env})
	g.build()
	_, endpoint := g.serve()
	if _, body, _ := get(t, "http://"+endpoint+"/"); !strings.HasPrefix(body, "foreign / ") {
		t.Errorf("%q is not the app", body)
	}
	mu.Lock()
	defer mu.Unlock()
	if asked > 0 {
		t.Errorf("the other program was asked %d times", asked)
	}
}

// A development server that crashes is started again; requests wait for it.
func TestServeDevRestart(t *testing.T) {
	t.Parallel()
	g := newRig(t, sandbox.Spec{Dev: `exec "$PROGRAM"`, Env: devEnv(t, "port")})
	g.build()
	p, endpoint := g.serve()
	_, before, _ := get(t, "http://"+endpoint+"/who")
	crash(t, endpoint)
	eventually(t, "the crash is seen", func() bool { return p.out.has("starting it again in 1s") })
	code, after, _ := get(t, "http://"+endpoint+"/who")
	if code != 200 || after == before {
		t.Errorf("after the crash: %d %q, before %q", code, after, before)
	}
	if !p.out.has("development server exited with status 7; starting it again in 1s") {
		t.Error("the log does not tell the crash")
	}
	if got := p.report(); got.Progress != sandbox.Done || got.Endpoint != endpoint {
		t.Errorf("status %+v changed by a crash that was mended", got)
	}
}

// crash makes the development server end. The body keeps the proxy from sending the request once more.
func crash(t *testing.T, endpoint string) {
	t.Helper()
	resp, err := http.Post("http://"+endpoint+"/crash", "text/plain", strings.NewReader("now"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusBadGateway {
		t.Errorf("the request that crashed the server: %s", resp.Status)
	}
}

func TestServeFailures(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, dev, kind, reason string
	}{
		{"ends at once", "echo cannot parse config >&2; exit 3", "port", "development server exited with status 3"},
		{"no such program", "no-such-vite", "port", "development server failed: no-such-vite: command not found — exit 127"},
		{"background", `"$PROGRAM" &`, "port", "development server exited with status 0; it must stay in the foreground"},
		{"silent", `exec "$PROGRAM"`, "silent", "development server did not answer within 500ms on port "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, sandbox.Spec{Dev: test.dev, Env: devEnv(t, test.kind)})
			g.build()
			if test.kind == "silent" {
				g.task.StartTimeout = 500 * time.Millisecond
			}
			p := g.start(sandbox.PhaseServe)
			if code := p.wait(); code != exitBroken {
				t.Errorf("exit status %d, want %d", code, exitBroken)
			}
			got := p.report()
			if got.Progress != sandbox.Broken || !strings.Contains(got.Reason, test.reason) || got.Endpoint != "" {
				t.Errorf("status %+v, want broken because %q", got, test.reason)
			}
			if !strings.Contains(got.LogTail, "starting the development server") {
				t.Errorf("log tail %q", got.LogTail)
			}
		})
	}
}

func TestServeEndsEarly(t *testing.T) {
	t.Parallel()
	onlyLinux(t)
	for name, test := range map[string]struct {
		end  func(*program) error
		code int
	}{
		"lifeline": {func(p *program) error { return p.lifeline.Close() }, exitOrphaned},
		"sigterm":  {func(p *program) error { return p.cmd.Process.Signal(syscall.SIGTERM) }, exitDone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, sandbox.Spec{Dev: "trap '' TERM; " + daemons + `; "$PROGRAM"`, Env: devEnv(t, "port")})
			g.build()
			p, endpoint := g.serve()
			if n := len(g.marked()); n < 5 {
				t.Fatalf("%d processes run, want the server and its daemons", n)
			}
			if len(p.report().Groups) == 0 {
				t.Error("no process group is recorded")
			}
			conversation(t, "ws://"+endpoint+"/ws")
			if err := test.end(p); err != nil {
				t.Fatal(err)
			}
			if code := p.wait(); code != test.code {
				t.Errorf("exit status %d, want %d", code, test.code)
			}
			if left := g.marked(); len(left) > 0 {
				t.Errorf("processes %v are left", left)
			}
		})
	}
}

// Of two previews of one task in one folder, the second has nothing to do.
func TestServeOnce(t *testing.T) {
	t.Parallel()
	g := newRig(t, sandbox.Spec{})
	g.build()
	_, endpoint := g.serve()
	second := g.start(sandbox.PhaseServe)
	if code := second.wait(); code != exitDone || !second.out.has("nothing to do") {
		t.Errorf("exit status %d:\n%s", code, second.out)
	}
	if code, _, _ := get(t, "http://"+endpoint+"/"); code != 200 {
		t.Errorf("the first one answers %d", code)
	}
}

// Without a built app and without a store there is nothing to serve, and the reason says so.
func TestServeWithoutBuild(t *testing.T) {
	t.Parallel()
	g := newRig(t, sandbox.Spec{})
	p := g.start(sandbox.PhaseServe)
	if code := p.wait(); code != exitBroken || !strings.Contains(p.report().Reason, "there is no built app") {
		t.Errorf("exit status %d, %+v", code, p.report())
	}
	if _, err := os.Stat(filepath.Join(g.task.Dir, "app")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty app was made up: %v", err)
	}
}
