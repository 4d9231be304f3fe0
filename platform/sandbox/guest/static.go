package guest

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

const indexFile = "index.html"

// staticApp serves a folder of the project: files with their types, ETags and ranges, index.html for
// folders, and /index.html for pages that only the app's own router knows. Names that begin with a dot are
// hidden, except /.well-known. Symbolic links are followed within the folder and never out of it. Answers
// are not cached without asking again, because files of a preview change.
type staticApp struct {
	project *os.Root
	dir     string

	mu sync.RWMutex
	// root is the folder as last seen. A build may replace the folder by a new one of the same name.
	root *os.Root
	info fs.FileInfo
}

func newStaticApp(project *os.Root, dir string) *staticApp {
	return &staticApp{project: project, dir: path.Clean(dir)}
}

func (a *staticApp) run(ctx context.Context, ready func()) error {
	if _, err := a.folder(); err != nil {
		return broken("static folder %q cannot be opened: %v", a.dir, err)
	}
	ready()
	<-ctx.Done()
	return nil
}

func (a *staticApp) healthy() bool { _, err := a.folder(); return err == nil }

func (a *staticApp) restarts() int { return 0 }

// folder returns the static folder as it is now.
func (a *staticApp) folder() (*os.Root, error) {
	info, err := a.project.Stat(a.dir)
	if err != nil {
		return nil, err
	}
	a.mu.RLock()
	root, known := a.root, a.info
	a.mu.RUnlock()
	if root != nil && os.SameFile(info, known) {
		return root, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if root, err = a.project.OpenRoot(a.dir); err != nil {
		return nil, err
	}
	// The old one is closed by the garbage collector, when no request reads through it any more.
	a.root, a.info = root, info
	return root, nil
}

func (a *staticApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Method not allowed", http.StatusMethodNotAllowed)
		return
	}
	root, err := a.folder()
	if err != nil {
		http.Error(w, "Not found", http.StatusNotFound)
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if name == "" {
		name = "."
	}
	err = fs.ErrNotExist
	if !hidden(name) {
		err = serveName(w, r, root, name)
	}
	if err != nil && navigates(r) {
		err = serveName(w, r, root, indexFile)
	}
	if err != nil {
		http.Error(w, "Not found", http.StatusNotFound)
	}
}

// serveName answers with a file, or with the index of a folder. On an error nothing was written.
func serveName(w http.ResponseWriter, r *http.Request, root *os.Root, name string) error {
	f, err := openNow(root, name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		if name != "." && !strings.HasSuffix(r.URL.Path, "/") {
			if _, err := root.Stat(path.Join(name, indexFile)); err != nil {
				return err
			}
			redirectToFolder(w, r)
			return nil
		}
		return serveName(w, r, root, path.Join(name, indexFile))
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	h := w.Header()
	if kind := contentType(name); kind != "" {
		h.Set("Content-Type", kind)
	}
	h.Set("Etag", etag(info))
	h.Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, name, info.ModTime(), f)
	return nil
}

// openNow opens for reading and never waits, not even for the writer of a named pipe.
func openNow(root *os.Root, name string) (*os.File, error) {
	return root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// redirectToFolder adds the slash without which relative links of the index would miss. The target is
// relative, so that it holds behind any host and prefix.
func redirectToFolder(w http.ResponseWriter, r *http.Request) {
	target := "./" + escapeSegment(path.Base(r.URL.Path)) + "/"
	if r.URL.RawQuery != "" {
		target += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusFound)
}

// hidden reports a name with a part that begins with a dot: .git, .env and the like.
func hidden(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part != "." && part != ".well-known" && strings.HasPrefix(part, ".") {
			return true
		}
	}
	return false
}

// navigates reports a request of a browser for a page, rather than for a part of one.
func navigates(r *http.Request) bool {
	for _, accept := range r.Header.Values("Accept") {
		if strings.Contains(accept, "text/html") {
			return true
		}
	}
	return false
}

// etag changes with each write: on the file systems in use times have nanoseconds.
func etag(info fs.FileInfo) string {
	b := make([]byte, 0, 32)
	b = append(b, '"')
	b = strconv.AppendInt(b, info.ModTime().UnixNano(), 36)
	b = append(b, '-')
	b = strconv.AppendInt(b, info.Size(), 36)
	return string(append(b, '"'))
}
