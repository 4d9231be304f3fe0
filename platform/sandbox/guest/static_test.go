package guest

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// site writes files below a new project and serves its folder dist.
func site(tb testing.TB, files map[string]string) (*staticApp, string) {
	tb.Helper()
	project := tb.TempDir()
	for name, body := range files {
		path := filepath.Join(project, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	root, err := os.OpenRoot(project)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { root.Close() })
	return newStaticApp(root, "dist"), project
}

func ask(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestStatic(t *testing.T) {
	t.Parallel()
	app, project := site(t, map[string]string{
		"dist/index.html": "home", "dist/app.mjs": "js", "dist/logo.SVG": "<svg/>", "dist/data": "%PDF-1.7", "dist/docs/index.html": "docs",
		"dist/a b/é.txt": "odd", "dist/.env": "secret", "dist/.well-known/x": "known", "dist/empty/x": "x", "package.json": "{}", "other/y": "y",
	})
	for from, to := range map[string]string{"in.txt": "app.mjs", "out.json": "../package.json", "abs": "/etc/passwd", "dir": "../other", "loop": "loop"} {
		if err := os.Symlink(to, filepath.Join(project, "dist", from)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(project, "dist", "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	const page = "text/html,application/xhtml+xml"
	for _, test := range []struct {
		method, target, accept string
		code                   int
		body, kind             string
	}{
		{"GET", "/", "", 200, "home", "text/html; charset=utf-8"},
		{"GET", "/app.mjs", "", 200, "js", "text/javascript; charset=utf-8"},
		{"HEAD", "/app.mjs", "", 200, "", "text/javascript; charset=utf-8"},
		{"GET", "/logo.SVG", "", 200, "<svg/>", "image/svg+xml"},
		{"GET", "/data", "", 200, "%PDF-1.7", "application/pdf"},
		{"GET", "/docs/", "", 200, "docs", "text/html; charset=utf-8"},
		{"GET", "/docs/index.html", "", 200, "docs", "text/html; charset=utf-8"},
		{"GET", "/a%20b/%C3%A9.txt?q", "", 200, "odd", "text/plain; charset=utf-8"},
		{"GET", "/.well-known/x", "", 200, "known", ""},
		{"GET", "/in.txt", "", 200, "js", "text/plain; charset=utf-8"},
		// The app's own router.
		{"GET", "/cart/17", page, 200, "home", "text/html; charset=utf-8"},
		{"GET", "/empty/", page, 200, "home", "text/html; charset=utf-8"},
		{"GET", "/cart/17", "*/*", 404, "Not found\n", ""},
		{"GET", "/missing.js", "", 404, "Not found\n", ""},
		{"GET", "/empty/", "", 404, "Not found\n", ""},
		// Hidden, outside, or no file at all.
		{"GET", "/.env", "", 404, "Not found\n", ""},
		{"GET", "/.env", page, 200, "home", ""},
		{"GET", "/../package.json", "", 404, "Not found\n", ""},
		{"GET", "/%2e%2e/package.json", "", 404, "Not found\n", ""},
		{"GET", "/out.json", "", 404, "Not found\n", ""},
		{"GET", "/abs", "", 404, "Not found\n", ""},
		{"GET", "/dir/y", "", 404, "Not found\n", ""},
		{"GET", "/loop", "", 404, "Not found\n", ""},
		{"GET", "/pipe", "", 404, "Not found\n", ""},
		{"GET", "/a%00b", "", 404, "Not found\n", ""},
		{"GET", "/index.html/x", "", 404, "Not found\n", ""},
		{"POST", "/", "", 405, "Method not allowed\n", ""},
	} {
		w := ask(app, test.method, test.target, "Accept", test.accept)
		if w.Code != test.code || w.Body.String() != test.body {
			t.Errorf("%s %s (%s): %d %q, want %d %q", test.method, test.target, test.accept, w.Code, w.Body, test.code, test.body)
		}
		if kind := w.Header().Get("Content-Type"); test.kind != "" && kind != test.kind {
			t.Errorf("%s: type %q, want %q", test.target, kind, test.kind)
		}
	}
	if w := ask(app, "GET", "/docs?x=1"); w.Code != http.StatusFound || w.Header().Get("Location") != "./docs/?x=1" {
		t.Errorf("a folder without its slash: %d to %q", w.Code, w.Header().Get("Location"))
	}
	if w := ask(app, "GET", "//evil.example/docs"); strings.Contains(w.Header().Get("Location"), "evil") {
		t.Errorf("redirects to %q", w.Header().Get("Location"))
	}
}

func TestStaticConditions(t *testing.T) {
	t.Parallel()
	app, project := site(t, map[string]string{"dist/a.txt": "0123456789"})
	tag := ask(app, "GET", "/a.txt").Header().Get("Etag")
	if w := ask(app, "GET", "/a.txt", "If-None-Match", tag); w.Code != http.StatusNotModified {
		t.Errorf("unchanged: %d", w.Code)
	}
	if w := ask(app, "GET", "/a.txt", "Range", "bytes=2-4", "If-Range", tag); w.Code != http.StatusPartialContent || w.Body.String() != "234" {
		t.Errorf("a range: %d %q", w.Code, w.Body)
	}
	// A file of the same size and another time has another tag, and a range of the old one is the whole new.
	if err := os.WriteFile(filepath.Join(project, "dist/a.txt"), []byte("abcdefghij"), 0o600); err != nil {
		t.Fatal(err)
	}
	if w := ask(app, "GET", "/a.txt", "If-None-Match", tag); w.Code != http.StatusOK || w.Body.String() != "abcdefghij" {
		t.Errorf("changed: %d %q", w.Code, w.Body)
	}
	if w := ask(app, "GET", "/a.txt", "Range", "bytes=2-4", "If-Range", tag); w.Code != http.StatusOK {
		t.Errorf("a range of what was: %d", w.Code)
	}
}

// A build that replaces the folder is seen at once.
func TestStaticFolderReplaced(t *testing.T) {
	t.Parallel()
	app, project := site(t, map[string]string{"dist/v": "one", "next/v": "two"})
	if w := ask(app, "GET", "/v"); w.Body.String() != "one" {
		t.Fatalf("%d %q", w.Code, w.Body)
	}
	dist := filepath.Join(project, "dist")
	if err := os.Rename(dist, dist+".old"); err != nil {
		t.Fatal(err)
	}
	if w := ask(app, "GET", "/v"); w.Code != 404 || app.healthy() {
		t.Errorf("while it is gone: %d, healthy %v", w.Code, app.healthy())
	}
	if err := os.Rename(filepath.Join(project, "next"), dist); err != nil {
		t.Fatal(err)
	}
	if w := ask(app, "GET", "/v"); w.Body.String() != "two" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

func BenchmarkStatic(b *testing.B) {
	app, project := site(b, map[string]string{"dist/index.html": strings.Repeat("<p>hello</p>", 1000)})
	for name, h := range map[string]http.Handler{
		"sandboxd":        app,
		"http.FileServer": http.FileServer(http.Dir(filepath.Join(project, "dist"))),
	} {
		b.Run(name, func(b *testing.B) { benchmarkHandler(b, h) })
	}
}

// benchmarkHandler asks a handler over real connections, kept alive.
func benchmarkHandler(b *testing.B, h http.Handler) {
	b.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		buf := make([]byte, 32<<10)
		for pb.Next() {
			resp, err := client.Get(server.URL + "/")
			if err != nil {
				b.Error(err)
				return
			}
			n := 0
			for err == nil {
				var m int
				m, err = resp.Body.Read(buf)
				n += m
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK || n == 0 {
				b.Errorf("%s, %d bytes", resp.Status, n)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}
