//go:build unix

package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"vibesdk-gcp/platform/sandbox"
)

const viteTimeout = 3 * time.Minute

// A real Vite app from the npm registry installs, starts on the port it announces, and a file written through
// the live endpoint reaches the browser's hot reload connection as an update.
func TestViteHotReload(t *testing.T) {
	t.Parallel()
	cache := npmCache(t)
	g := newRig(t, sandbox.Spec{
		Source: sandbox.Source{Files: []sandbox.File{
			{Path: "package.json", Data: []byte(`{"name":"hot","private":true,"type":"module","devDependencies":{"vite":"^7"}}`)},
			{Path: "index.html", Data: []byte(`<script type="module" src="/main.js"></script>`)},
			{Path: "main.js", Data: []byte("import {word} from './word.js'\nimport.meta.hot.accept()\ndocument.title = word\n")},
			{Path: "word.js", Data: []byte("export const word = 'before'\n")},
		}},
		Install: "npm install --no-audit --no-fund --prefer-offline",
		Dev:     "./node_modules/.bin/vite",
	})
	g.task.BaseEnv["npm_config_cache"] = cache
	for _, name := range []string{"NPM_CONFIG_REGISTRY", "npm_config_registry", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"} {
		if value := os.Getenv(name); value != "" {
			g.task.BaseEnv[name] = value
		}
	}
	install := g.start(sandbox.PhaseBuild)
	select {
	case <-install.ended:
	case <-time.After(viteTimeout):
		t.Skipf("npm install did not end within %s", viteTimeout)
	}
	if got := install.report(); got.Progress != sandbox.Done {
		for _, offline := range []string{"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "E403", "E404", "ETARGET"} {
			if strings.Contains(got.LogTail, offline) {
				t.Skipf("the npm registry does not give us vite: %s", offline)
			}
		}
		t.Fatalf("install: %+v", got)
	}
	_, endpoint := g.serve()
	ctx, cancel := context.WithTimeout(t.Context(), viteTimeout)
	defer cancel()
	// A browser loads the modules, and the client that Vite puts into the page.
	for _, path := range []string{"/", "/main.js", "/word.js"} {
		if code, body, _ := get(t, "http://"+endpoint+path, "Accept", "*/*"); code != 200 {
			t.Fatalf("%s: %d %s", path, code, body)
		}
	}
	_, client, _ := get(t, "http://"+endpoint+"/@vite/client")
	token := regexp.MustCompile(`wsToken = "([^"]+)"`).FindStringSubmatch(client)
	if token == nil {
		t.Fatalf("no token in Vite's client")
	}
	socket, _, err := websocket.Dial(ctx, "ws://"+endpoint+"/?token="+token[1], &websocket.DialOptions{Subprotocols: []string{"vite-hmr"}})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.CloseNow()
	if m := viteMessage(ctx, t, socket); m.Type != "connected" {
		t.Fatalf("first message %+v", m)
	}
	if err := g.control(endpoint).WriteFile(ctx, sandbox.File{Path: "word.js", Data: []byte("export const word = 'after'\n")}); err != nil {
		t.Fatal(err)
	}
	m := viteMessage(ctx, t, socket)
	if m.Type != "update" || len(m.Updates) != 1 || m.Updates[0].Path != "/main.js" {
		t.Errorf("after a write came %+v", m)
	}
	if _, body, _ := get(t, "http://"+endpoint+"/word.js?t=1"); !strings.Contains(body, "after") {
		t.Errorf("the module is %q", body)
	}
}

type viteUpdate struct {
	Type    string `json:"type"`
	Updates []struct {
		Path string `json:"path"`
	} `json:"updates"`
}

// viteMessage reads the next message that is not a ping.
func viteMessage(ctx context.Context, t *testing.T, socket *websocket.Conn) viteUpdate {
	t.Helper()
	for {
		_, body, err := socket.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var m viteUpdate
		if err := json.Unmarshal(body, &m); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		if m.Type != "ping" {
			return m
		}
	}
}

// npmCache returns the user's npm cache, or skips when there is no npm that works.
func npmCache(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("installs from the npm registry")
	}
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("there is no npm here")
	}
	out, err := exec.Command("npm", "config", "get", "cache").Output()
	if err != nil {
		t.Skip("npm does not work:", err)
	}
	return strings.TrimSpace(string(out))
}

// A plain Node server, which means ::1 or 127.0.0.1 by localhost, depending on the machine.
func TestServeNode(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("there is no node here")
	}
	g := newRig(t, sandbox.Spec{
		Source: sandbox.Source{Files: []sandbox.File{{Path: "server.js", Data: []byte(
			"require('http').createServer((q, s) => s.end('node ' + q.url)).listen(process.env.PORT, 'localhost')")}}},
		Dev: "node server.js",
	})
	g.build()
	_, endpoint := g.serve()
	if code, body, _ := get(t, "http://"+endpoint+"/x"); code != 200 || body != "node /x" {
		t.Errorf("%d %q", code, body)
	}
}
