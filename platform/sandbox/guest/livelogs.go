//go:build unix

package guest

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"vibesdk-gcp/platform/sandbox"
)

// buildLogName is where a supervisor that shares the folder puts the build's output.
const buildLogName = "build.log"

// logs streams what a phase printed, as plain text.
func (l *live) logs(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	offset := int64(0)
	if s := q.Get("offset"); s != "" {
		var err error
		if offset, err = strconv.ParseInt(s, 10, 64); err != nil || offset < 0 {
			return refuse(http.StatusBadRequest, "offset %q is not a number of bytes", s)
		}
	}
	var log io.Reader
	switch phase := sandbox.Phase(q.Get("phase")); phase {
	case sandbox.PhaseServe, "":
		log = l.server.log.kept.reader(r.Context(), offset, q.Get("follow") == "1")
	case sandbox.PhaseBuild:
		build, err := l.buildLog(r.Context(), offset)
		if errors.Is(err, fs.ErrNotExist) {
			return refuse(http.StatusNotFound, "there is no build log here")
		}
		if err != nil {
			return err
		}
		defer build.Close()
		log = build
	default:
		return refuse(http.StatusBadRequest, "phase %q is neither build nor serve", phase)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(w)
	_ = control.Flush() // so that the reader knows that it is connected
	buf := make([]byte, 32<<10)
	for {
		n, err := log.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return nil // the reader is gone
			}
			_ = control.Flush()
		}
		if err != nil {
			return nil // the end, or it cannot be told any more
		}
	}
}

// buildLog opens the finished log of the build from the folder or the store.
func (l *live) buildLog(ctx context.Context, offset int64) (io.ReadCloser, error) {
	f, err := os.Open(filepath.Join(l.server.task.Dir, buildLogName))
	if err == nil {
		_, err = f.Seek(offset, io.SeekStart)
		return f, err
	}
	if l.server.task.Store.BuildLog == "" {
		return nil, err
	}
	return openObjectAt(ctx, l.server.task.Store.BuildLog, offset)
}
