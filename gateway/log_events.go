package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"vibesdk-gcp/platform/sandbox"
)

const (
	eventStreamType = "text/event-stream"
	// logEnd is the id of the event that ends a stream of a log.
	logEnd = "end"
	// maxLogLine bounds the text of one event, in bytes: a longer line is sent in pieces.
	maxLogLine = 64 << 10
)

// LogEvent is the data of an event of a log's stream.
type LogEvent struct {
	Generation int64         `json:"generation"`
	Phase      sandbox.Phase `json:"phase"`
	// Text is one or more lines, with their ends.
	Text string `json:"text"`
}

// logEvents follows a log as server-sent events named `log`, whole lines each, until the sandbox has ended, or the phase that
// is named. The id of an event says where the next begins: a caller that comes back with it as Last-Event-ID misses nothing and gets
// nothing twice, but for the last lines of a sandbox that ended meanwhile, whose files are gone: its log tail is sent whole. The
// last event is called `end`; whoever comes back with its id gets 204, at which browsers stop.
func (g *Gateway) logEvents(w http.ResponseWriter, r *http.Request, l *logStream) error {
	if last := r.Header.Get("Last-Event-ID"); last == logEnd {
		w.WriteHeader(http.StatusNoContent)
		return nil
	} else if last != "" {
		var err error
		if l.fence, l.phase, l.offset, err = parseLogID(last); err != nil {
			return err
		}
		if l.only != "" && l.phase != l.only {
			return invalid("Last-Event-ID", "is of another phase")
		}
	}
	record, err := g.Records.Load(r.Context(), l.id)
	if err != nil {
		return err
	}
	if l.fence > record.Fence {
		return invalid("Last-Event-ID", "must be the id of an event of this stream")
	}
	w.Header().Set("Content-Type", eventStreamType)
	w.Header().Set("Cache-Control", "no-store")
	events := &logEventWriter{l: l, w: w}
	l.out = &tailWriter{w: events, flush: http.NewResponseController(w)}
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	l.alive, l.beat = alive.C, func() {
		fmt.Fprint(w, ": still here\n\n")
		l.out.Flush()
	}
	l.beat() // the caller sees that the stream is open before anything is printed
	err = l.followFrom(r.Context(), record)
	if err != nil {
		if r.Context().Err() == nil {
			g.log.WarnContext(r.Context(), "log stream broke", "sandbox", l.id, "error", err)
			panic(http.ErrAbortHandler) // the status is sent: cutting the connection is the way left to say so
		}
		return nil
	}
	if err := events.flush(); err != nil {
		return nil // the caller is gone
	}
	select {
	case <-g.draining: // there is more to come, from another server
	default:
		fmt.Fprintf(w, "event: end\nid: %s\ndata: {}\n\n", logEnd)
	}
	return nil
}

// accepts reports whether a caller names a media type in Accept, and does not refuse it. A wildcard does not name it.
func accepts(r *http.Request, kind string) bool {
	for _, line := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(line, ",") {
			name, params, err := mime.ParseMediaType(part)
			if err != nil || name != kind {
				continue
			}
			weight, err := strconv.ParseFloat(params["q"], 64)
			return params["q"] == "" || err != nil || weight > 0
		}
	}
	return false
}

// logID names a place in a log: generation, phase and byte.
func logID(fence int64, phase sandbox.Phase, offset int64) string {
	return fmt.Sprintf("%d.%s.%d", fence, phase, offset)
}

func parseLogID(id string) (fence int64, phase sandbox.Phase, offset int64, err error) {
	parts := strings.Split(id, ".")
	if len(parts) == 3 {
		fence, err = strconv.ParseInt(parts[0], 10, 64)
		phase = sandbox.Phase(parts[1])
		var wrong error
		offset, wrong = strconv.ParseInt(parts[2], 10, 64)
		known := phase == sandbox.PhaseBuild || phase == sandbox.PhaseServe
		if err == nil && wrong == nil && known && fence > 0 && offset >= 0 && logID(fence, phase, offset) == id {
			return fence, phase, offset, nil
		}
	}
	return 0, "", 0, invalid("Last-Event-ID", "must be the id of an event of this stream")
}

// logEventWriter makes events of what is copied from a log.
type logEventWriter struct {
	l *logStream
	w io.Writer

	// fence and phase are of the log that pending is of, and sent is where it begins there.
	fence   int64
	phase   sandbox.Phase
	sent    int64
	pending []byte
}

// Write implements io.Writer. The part of a line at the end waits for the rest.
func (e *logEventWriter) Write(p []byte) (int, error) {
	if e.fence != e.l.fence || e.phase != e.l.phase {
		if err := e.flush(); err != nil {
			return 0, err
		}
		e.fence, e.phase, e.sent = e.l.fence, e.l.phase, e.l.offset
	}
	e.pending = append(e.pending, p...)
	for len(e.pending) > 0 {
		end := bytes.LastIndexByte(e.pending[:min(len(e.pending), maxLogLine)], '\n') + 1
		if end == 0 && len(e.pending) < maxLogLine {
			break
		}
		if end == 0 {
			end = maxLogLine - 1
			for end > maxLogLine-utf8.UTFMax-1 && !utf8.RuneStart(e.pending[end]) { // do not cut a character
				end--
			}
		}
		if err := e.send(end); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// flush sends a line that has no end.
func (e *logEventWriter) flush() error {
	if len(e.pending) == 0 {
		return nil
	}
	return e.send(len(e.pending))
}

func (e *logEventWriter) send(n int) error {
	data, err := json.Marshal(LogEvent{Generation: e.fence, Phase: e.phase, Text: strings.ToValidUTF8(string(e.pending[:n]), "\uFFFD")})
	if err != nil {
		return err
	}
	e.sent += int64(n)
	e.pending = append(e.pending[:0], e.pending[n:]...)
	_, err = fmt.Fprintf(e.w, "event: log\nid: %s\ndata: %s\n\n", logID(e.fence, e.phase, e.sent), data)
	return err
}
