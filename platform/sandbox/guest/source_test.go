package guest

import (
	"archive/tar"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"vibesdk-gcp/platform/sandbox"
)

// TestTroubleWithASource tells what is wrong with an archive from a trouble on the way to it, and keeps what makes an address a
// secret to itself.
func TestTroubleWithASource(t *testing.T) {
	t.Parallel()
	archive := tarOf(t, tar.Header{Name: "index.html"})
	for name, c := range map[string]struct {
		// answer is the store's to the n-th request, from 1.
		answer func(w http.ResponseWriter, n int32)
		// want is in the error; empty means that there is none.
		want string
		app  bool
	}{
		"passing": {answer: func(w http.ResponseWriter, n int32) {
			if n < 3 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			_, _ = w.Write(archive)
		}},
		"breaks off": {answer: func(w http.ResponseWriter, _ int32) {
			w.Header().Set("Content-Length", strconv.Itoa(len(archive)))
			_, _ = w.Write(archive[:100])
		}, want: "broke off"},
		"absent":    {answer: func(w http.ResponseWriter, _ int32) { w.WriteHeader(http.StatusNotFound) }, want: "not found", app: true},
		"forbidden": {answer: func(w http.ResponseWriter, _ int32) { w.WriteHeader(http.StatusForbidden) }, want: "403", app: true},
		"no archive": {answer: func(w http.ResponseWriter, _ int32) {
			_, _ = w.Write([]byte(strings.Repeat("no archive ", 100)))
		}, want: "tar", app: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.answer(w, asked.Add(1)) }))
			defer store.Close()
			dir := t.TempDir()
			err := fetchSource(t.Context(), sandbox.Source{ArchiveURI: store.URL + "/app.tar?X-Signature=s3cr3t"}, dir, t.TempDir())
			_, app := errors.AsType[*BrokenError](err)
			if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) || app != c.app {
				t.Errorf("error = %v, in the app: %v; want %q, %v", err, app, c.want, c.app)
			}
			if err != nil && (strings.Contains(err.Error(), "s3cr3t") || !strings.Contains(err.Error(), "/app.tar")) {
				t.Errorf("the error has the signature, or does not name the archive: %v", err)
			}
			if body, read := os.ReadFile(filepath.Join(dir, "index.html")); err == nil && (read != nil || string(body) != "index.html") {
				t.Errorf("index.html is %q, %v", body, read)
			}
		})
	}
}
