package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

// logs streams what a sandbox printed, as plain text: the build log, then the server's, or the one that ?phase=
// names, from byte ?offset= of it, at most ?limit= bytes. With ?follow=1 it goes on, over phases and new generations, until the
// sandbox has ended or, when a phase is named, that phase has. Of an ended sandbox the files are gone and the
// record's log tail is the answer. See [Gateway.logEvents] for the same as server-sent events.
func (g *Gateway) logs(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Vary", "Accept")
	l, err := g.logRequest(r)
	if err != nil {
		return err
	}
	if accepts(r, eventStreamType) {
		return g.logEvents(w, r, l)
	}
	record, err := g.Records.Load(r.Context(), l.id)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	l.out = &tailWriter{w: w, flush: http.NewResponseController(w)}
	l.out.Flush() // the caller sees that the stream is open before anything is printed
	if l.follow {
		err = l.followFrom(r.Context(), record)
	} else {
		err = l.once(r.Context(), record)
	}
	if err != nil && r.Context().Err() == nil {
		g.log.WarnContext(r.Context(), "log stream broke", "sandbox", l.id, "error", err)
		panic(http.ErrAbortHandler) // the status is sent: cutting the connection is the way left to say so
	}
	return nil
}

// logStream is one answer of logs.
type logStream struct {
	g      *Gateway
	id     string
	only   sandbox.Phase // empty: both
	follow bool
	// limit is how many bytes one answer has at most; 0 is no limit.
	limit int64

	fence  int64
	phase  sandbox.Phase
	offset int64
	out    *tailWriter
	// alive and beat are for streams that must show that they live; nil for others.
	alive <-chan time.Time
	beat  func()
}

func (g *Gateway) logRequest(r *http.Request) (*logStream, error) {
	query := r.URL.Query()
	l := &logStream{g: g, id: r.PathValue("id"), only: sandbox.Phase(query.Get("phase")), phase: sandbox.PhaseBuild}
	switch l.only {
	case "":
	case sandbox.PhaseBuild, sandbox.PhaseServe:
		l.phase = l.only
	default:
		return nil, badRequest(fmt.Sprintf("phase %q is neither build nor serve", l.only))
	}
	if offset := query.Get("offset"); offset != "" {
		n, err := strconv.ParseInt(offset, 10, 64)
		if err != nil || n < 0 {
			return nil, badRequest("offset must be a number of bytes")
		}
		if l.only == "" && n > 0 {
			return nil, badRequest("offset counts within one log: name it with phase=")
		}
		l.offset = n
	}
	var err error
	if l.follow, err = flag(query.Get("follow")); err != nil {
		return nil, badRequest("follow must be 1 or 0")
	}
	if limit := query.Get("limit"); limit != "" {
		if l.limit, err = strconv.ParseInt(limit, 10, 64); err != nil || l.limit < 1 {
			return nil, badRequest("limit must be a number of bytes, at least 1")
		}
		if l.only == "" || l.follow || accepts(r, eventStreamType) {
			return nil, badRequest("limit is for a page of one log that is not followed: name it with phase=")
		}
	}
	return l, nil
}

// once copies what is there now.
func (l *logStream) once(ctx context.Context, record sandbox.Record) error {
	if record.State.Terminal() {
		tail := record.LogTail
		if l.limit > 0 { // who reads page by page comes to an end
			tail = tail[min(l.offset, int64(len(tail))):]
		}
		_, err := io.Copy(l.out, l.page(strings.NewReader(tail)))
		return err
	}
	l.fence = record.Fence
	if err := l.pump(ctx); err != nil || l.only != "" {
		return err
	}
	l.phase, l.offset = sandbox.PhaseServe, 0
	return l.pump(ctx)
}

// followFrom copies until the end. It polls: a log file has no better way to tell that it grew, and with many
// readers of one sandbox the cost stays a stat each.
func (l *logStream) followFrom(ctx context.Context, record sandbox.Record) error {
	if l.fence == 0 {
		l.fence = record.Fence
	}
	poll := time.NewTicker(l.g.LogEvery)
	defer poll.Stop()
	for {
		if record.State.Terminal() {
			return l.rest(record)
		}
		if record.Fence != l.fence {
			l.fence, l.offset, l.phase = record.Fence, 0, sandbox.PhaseBuild
			if l.only != "" {
				l.phase = l.only
			}
		}
		// The status is read before the log: when it says that a phase has ended, the log is whole.
		status, err := l.g.Runtime.Inspect(ctx, sandbox.Ref{ID: l.id, Fence: l.fence})
		if err != nil {
			return err
		}
		if err := l.pump(ctx); err != nil {
			return err
		}
		if l.phase == sandbox.PhaseBuild && status.Build == sandbox.Done && l.only == "" {
			l.phase, l.offset = sandbox.PhaseServe, 0
			continue
		}
		if l.only == sandbox.PhaseBuild && (status.Build == sandbox.Done || status.Build == sandbox.Broken) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.g.draining:
			return nil
		case <-l.alive:
			l.beat()
			continue
		case <-poll.C:
		}
		if record, err = l.g.Records.Load(ctx, l.id); err != nil {
			return err
		}
	}
}

// pump copies what the present phase printed since.
func (l *logStream) pump(ctx context.Context) error {
	log, err := l.g.Runtime.Logs(ctx, sandbox.Ref{ID: l.id, Fence: l.fence}, l.phase, l.offset)
	if errors.Is(err, sandbox.ErrNotFound) {
		return nil // not begun, or just removed: the record says which
	}
	if err != nil {
		return err
	}
	defer log.Close()
	n, err := io.Copy(l.out, l.page(log))
	l.offset += n
	return err
}

// page is as much of a log as one answer may have.
func (l *logStream) page(log io.Reader) io.Reader {
	if l.limit > 0 {
		return io.LimitReader(log, l.limit)
	}
	return log
}

// rest sends the part of a failed sandbox's log tail that was not sent: the files may have gone between two looks.
func (l *logStream) rest(record sandbox.Record) error {
	more, known := unsent(l.out.tail, []byte(record.LogTail))
	if !known && l.only != "" {
		return nil // the tail is of the other phase
	}
	_, err := l.out.Write(more)
	return err
}

// unsent returns what of tail comes after the last line of sent, and whether that line is in tail; if it is not,
// all of tail is new. Lines carry a time to the nanosecond, so one does not occur twice.
func unsent(sent, tail []byte) (more []byte, known bool) {
	sent = bytes.TrimRight(sent, "\n")
	last := sent[bytes.LastIndexByte(sent, '\n')+1:]
	if len(last) == 0 {
		return tail, true
	}
	i := bytes.LastIndex(tail, last)
	if i < 0 {
		return tail, false
	}
	return bytes.TrimPrefix(tail[i+len(last):], []byte("\n")), true
}

// maxTail is enough of what was sent to find the last line in a record's log tail, which is at most 16 KiB.
const maxTail = 16 << 10

// tailWriter flushes each write and remembers the end of what was written.
type tailWriter struct {
	w     io.Writer
	flush *http.ResponseController
	tail  []byte
}

// Write implements io.Writer.
func (t *tailWriter) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := t.w.Write(p)
	t.tail = append(t.tail, p[max(0, n-maxTail):n]...)
	if extra := len(t.tail) - maxTail; extra > 0 {
		t.tail = t.tail[extra:]
	}
	t.Flush()
	return n, err
}

// Flush sends what was written.
func (t *tailWriter) Flush() { _ = t.flush.Flush() } // a writer that cannot flush sends at the end
