package app_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/client"
)

// TestViteHotReloadsThroughTheFrontDoor plays the browser of somebody who edits a real Vite app: the page and its
// modules come through the router, the hot-reload connection as well, and a file written through the gateway
// arrives there as an update.
func TestViteHotReloadsThroughTheFrontDoor(t *testing.T) {
	t.Parallel()
	c := config(t)
	npmEnvironment(t, c.SandboxEnv)
	w := start(t, c)
	dir := t.TempDir()
	for name, body := range map[string]string{
		"package.json": `{"name":"hot","private":true,"type":"module","scripts":{"dev":"vite"},"devDependencies":{"vite":"^7"}}`,
		"index.html":   `<script type="module" src="/main.js"></script>`,
		"main.js":      "import {word} from './word.js'\nimport.meta.hot.accept()\ndocument.title = word\n",
		"word.js":      "export const word = 'before'\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	project, err := client.ReadProject(dir, client.RunRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var out syncBuffer
	s, err := app.RunAndReport(within(t), w.client, project, &out)
	for _, offline := range []string{"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "E403", "E404", "ETARGET"} {
		if err != nil && strings.Contains(out.String(), offline) {
			t.Skipf("the npm registry does not give us vite: %s", offline)
		}
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if code, _, body := w.get(t, s.PreviewURL, "/"); code != http.StatusOK || !strings.Contains(body, "/@vite/client") {
		t.Fatalf("page: %d %s", code, body)
	}
	for _, module := range []string{"/main.js", "/word.js"} {
		if code, _, _ := w.get(t, s.PreviewURL, module); code != http.StatusOK {
			t.Fatalf("%s: %d", module, code)
		}
	}
	_, _, script := w.get(t, s.PreviewURL, "/@vite/client")
	token := regexp.MustCompile(`wsToken = "([^"]+)"`).FindStringSubmatch(script)
	if token == nil {
		t.Fatal("no token in Vite's client")
	}
	socket := w.dial(t, s.PreviewURL, "/?token="+token[1])
	if got := nextUpdate(t, socket); got.Type != "connected" {
		t.Fatalf("first message: %+v", got)
	}
	if err := w.client.Sandboxes().WriteFile(within(t), s.ID, "word.js", []byte("export const word = 'after'\n")); err != nil {
		t.Fatal(err)
	}
	if got := nextUpdate(t, socket); got.Type != "update" || len(got.Updates) != 1 || got.Updates[0].Path != "/main.js" {
		t.Errorf("after a write came %+v", got)
	}
	if _, _, body := w.get(t, s.PreviewURL, "/word.js?t=1"); !strings.Contains(body, "after") {
		t.Errorf("the module is %q", body)
	}
}

// npmEnvironment lets npm reach its registry as this machine does, with this machine's cache.
func npmEnvironment(t *testing.T, env map[string]string) {
	t.Helper()
	if testing.Short() {
		t.Skip("installs from the npm registry")
	}
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("there is no npm here")
	}
	cache, err := exec.Command("npm", "config", "get", "cache").Output()
	if err != nil {
		t.Skip("npm does not work:", err)
	}
	env["npm_config_cache"] = strings.TrimSpace(string(cache))
	for _, name := range []string{"NPM_CONFIG_REGISTRY", "npm_config_registry", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"} {
		if value := os.Getenv(name); value != "" {
			env[name] = value
		}
	}
}

// dial opens a hot-reload connection as a page of the preview would.
func (w *world) dial(t *testing.T, preview, path string) *websocket.Conn {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, w.Addr()) // x.preview.localhost is this machine
	}}
	origin := strings.TrimSuffix(preview, "/")
	socket, resp, err := websocket.Dial(within(t), origin+path, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, HTTPHeader: http.Header{"Origin": {origin}}, Subprotocols: []string{"vite-hmr"},
	})
	if err != nil {
		t.Fatalf("%v (answer %v)", err, resp)
	}
	t.Cleanup(func() { _ = socket.CloseNow() })
	return socket
}

type viteUpdate struct {
	Type    string `json:"type"`
	Updates []struct {
		Path string `json:"path"`
	} `json:"updates"`
}

// nextUpdate reads the next message that is not a ping.
func nextUpdate(t *testing.T, socket *websocket.Conn) viteUpdate {
	t.Helper()
	for {
		_, body, err := socket.Read(within(t))
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
