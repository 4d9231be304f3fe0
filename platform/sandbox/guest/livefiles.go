//go:build unix

package guest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"syscall"

	"vibesdk-gcp/platform/sandbox"
)

// readFile sends a file as it is.
func (l *live) readFile(w http.ResponseWriter, r *http.Request, name string) error {
	name, err := livePath(name)
	if err != nil {
		return err
	}
	f, err := openNow(l.root, name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return refuse(http.StatusBadRequest, "%s is not a file", name)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Etag", etag(info))
	http.ServeContent(w, r, "", info.ModTime(), f)
	return nil
}

func (l *live) putFile(w http.ResponseWriter, r *http.Request, name string) (any, error) {
	name, err := livePath(name)
	if err != nil {
		return nil, err
	}
	body := http.MaxBytesReader(w, r.Body, sandbox.ControlFileLimit)
	if err := l.writeFile(name, r.URL.Query().Get("executable") == "1", body); err != nil {
		if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, refuse(http.StatusRequestEntityTooLarge, "file %s is larger than %d bytes", name, large.Limit)
		}
		return nil, err
	}
	return sandbox.FileResult{Path: name, Success: true}, nil
}

// writeFile replaces the file in one step: a reader sees the old content or the new, whole.
func (l *live) writeFile(name string, executable bool, content io.Reader) (err error) {
	mode := fs.FileMode(0o644)
	switch info, err := l.root.Lstat(name); {
	case err == nil && info.IsDir():
		return refuse(http.StatusConflict, "%s is a folder", name)
	case err == nil && info.Mode().IsRegular():
		mode = info.Mode().Perm()
	}
	if executable {
		mode |= 0o111
	}
	dir := path.Dir(name)
	if err := l.root.MkdirAll(dir, 0o755); err != nil {
		return writeError(name, err)
	}
	// In the same folder, where rename works. Watchers such as chokidar take a name that ends in ~ for an
	// editor's and do not report it.
	temp := path.Join(dir, ".sandbox-"+rand.Text()[:12]+"~")
	f, err := l.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return writeError(name, err)
	}
	defer func() {
		if err != nil {
			_ = l.root.Remove(temp) // the error that matters is the one returned
		}
	}()
	_, err = io.Copy(f, content)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return writeError(name, l.root.Rename(temp, name))
}

// writeError turns a path that cannot be into a refusal.
func writeError(name string, err error) error {
	switch {
	case leavesRoot(err):
		return refuse(http.StatusForbidden, "%s leads outside the project through a symbolic link", name)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		return refuse(http.StatusConflict, "%s: a part of the path is a file", name)
	case errors.Is(err, syscall.ENAMETOOLONG):
		return refuse(http.StatusBadRequest, "%s: a part of the path is too long", name)
	}
	return err
}

func (l *live) deleteFile(r *http.Request, name string) (any, error) {
	name, err := livePath(name)
	if err != nil {
		return nil, err
	}
	if _, err := l.root.Lstat(name); err != nil {
		return nil, err
	}
	if r.URL.Query().Get("recursive") == "1" {
		err = l.root.RemoveAll(name)
	} else {
		err = l.root.Remove(name)
	}
	if errors.Is(err, syscall.ENOTEMPTY) {
		return nil, refuse(http.StatusConflict, "%s is a folder that is not empty; ask for recursive=1", name)
	}
	return struct{}{}, err
}

// fileUpload is a [sandbox.File] with the choice of text.
type fileUpload struct {
	sandbox.File
	Content *string `json:"content"`
}

// writeFiles writes a batch. One file that cannot be written does not stop the others.
func (l *live) writeFiles(w http.ResponseWriter, r *http.Request) (any, error) {
	var batch struct {
		Files []fileUpload `json:"files"`
	}
	if err := readJSON(w, r, sandbox.ControlBatchLimit, &batch); err != nil {
		return nil, err
	}
	if len(batch.Files) > sandbox.ControlBatchFiles {
		return nil, refuse(http.StatusRequestEntityTooLarge, "a batch has at most %d files, this one has %d", sandbox.ControlBatchFiles, len(batch.Files))
	}
	results := make([]sandbox.FileResult, 0, len(batch.Files))
	for _, f := range batch.Files {
		result := sandbox.FileResult{Path: f.Path, Success: true}
		if err := l.writeOne(f); err != nil {
			result.Success, result.Error = false, err.Error()
		}
		results = append(results, result)
	}
	return sandbox.FileResults{Results: results}, nil
}

func (l *live) writeOne(f fileUpload) error {
	name, err := livePath(f.Path)
	if err != nil {
		return err
	}
	data := f.Data
	if f.Content != nil {
		if len(data) > 0 {
			return refuse(http.StatusBadRequest, "give content or data, not both")
		}
		data = []byte(*f.Content)
	}
	if len(data) > sandbox.ControlFileLimit {
		return refuse(http.StatusRequestEntityTooLarge, "file %s is larger than %d bytes", name, sandbox.ControlFileLimit)
	}
	return l.writeFile(name, f.Executable, bytes.NewReader(data))
}

func livePath(name string) (string, error) {
	clean, err := cleanPath(name)
	if err != nil {
		return "", refuse(http.StatusBadRequest, "path %q: %v", name, err)
	}
	return clean, nil
}
