package gateway

import (
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// maxLoggedText bounds what is logged of texts that a caller chose, in bytes.
const maxLoggedText = 256

// access writes the line of the access log. What a caller keeps secret stands in the query, in the header and in bodies: of these
// nothing is logged but the name of the program. Health checks, which come every few seconds, are logged at level debug.
func (g *Gateway) access(r *http.Request, c *call, path string, status int, written int64, took time.Duration) {
	level := slog.LevelInfo
	if probe(r) {
		level = slog.LevelDebug
	}
	if !g.log.Enabled(r.Context(), level) {
		return
	}
	host := addressOf(r)
	g.log.LogAttrs(r.Context(), level, "request",
		slog.String("method", cut(r.Method)),
		slog.String("path", cut(path)),
		slog.String("route", c.pattern()),
		slog.Int("status", status),
		slog.Int64("bytes", written),
		slog.Duration("duration", took),
		slog.String("caller", c.caller.Name),
		slog.String("remote", host[len("ip:"):]),
		slog.String("user_agent", cut(r.UserAgent())),
		slog.String("trace_id", trace.SpanContextFromContext(r.Context()).TraceID().String()),
	)
}

func cut(text string) string { return text[:min(len(text), maxLoggedText)] }

// answerWriter remembers what was answered, and gives up on a client that does not take it.
type answerWriter struct {
	http.ResponseWriter

	control *http.ResponseController
	timeout time.Duration
	// own is set when the handler sets deadlines itself.
	own bool
	// deadline is the one that is set.
	deadline time.Time
	status   int // 0 until it is known
	written  int64
}

// answerChunk is how much of an answer a client must take within the timeout, in bytes.
const answerChunk = 64 << 10

// WriteHeader implements http.ResponseWriter.
func (w *answerWriter) WriteHeader(status int) {
	if w.status < http.StatusOK && w.status != http.StatusSwitchingProtocols {
		w.status = status
	}
	w.extend()
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter. It goes in chunks, since the timeout is one for each.
func (w *answerWriter) Write(p []byte) (n int, err error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	for first := true; first || len(p) > 0; first = false {
		w.extend()
		chunk := p[:min(len(p), answerChunk)]
		m, err := w.ResponseWriter.Write(chunk)
		n += m
		w.written += int64(m)
		if err != nil {
			return n, err
		}
		p = p[len(chunk):]
	}
	return n, nil
}

// extend moves the deadline on, in steps, since it costs a little.
func (w *answerWriter) extend() {
	if w.own {
		return
	}
	if next := time.Now().Add(w.timeout); next.Sub(w.deadline) >= w.timeout/8 {
		w.deadline = next
		_ = w.control.SetWriteDeadline(next) // a writer without deadlines is a test's
	}
}

// SetWriteDeadline is for http.ResponseController.
func (w *answerWriter) SetWriteDeadline(deadline time.Time) error {
	w.own = true
	return w.control.SetWriteDeadline(deadline)
}

// code is the status as it went out.
func (w *answerWriter) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// statusLeft is logged, by a custom of proxies, when the client left before it had an answer.
const statusLeft = 499

func (w *answerWriter) logged(r *http.Request) int {
	if w.status == 0 && r.Context().Err() != nil {
		return statusLeft
	}
	return w.code()
}

// Unwrap gives http.ResponseController what is below.
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
