package guest

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"strings"
	"sync"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

const (
	lineLimit   = 16 << 10  // bytes of one log line without its prefix
	storedLimit = 256 << 20 // bytes of one phase's log that are written out
	tailLimit   = 16 << 10  // bytes of GuestStatus.LogTail
	buildRing   = 64 << 10
	serveRing   = 4 << 20
)

// Streams of a log line.
const (
	streamOut    = "stdout"
	streamErr    = "stderr"
	streamSystem = "system"
)

// phaseLog is what a phase prints: lines `[RFC3339Nano] [stream] text`, with the app's secrets masked. It is
// safe for concurrent use.
type phaseLog struct {
	mask masker
	// kept is the end of the log for status and live readers.
	kept *ring
	// observe, if set, is called with each masked line of the project's commands, in order and one at a time.
	observe func(at time.Time, stream, line string)

	mu sync.Mutex
	// limit is how many bytes go to out.
	limit  int64
	out    io.Writer
	stored int64
	buf    []byte
}

func newPhaseLog(out io.Writer, task sandbox.GuestTask, keep int) *phaseLog {
	return &phaseLog{mask: newMasker(task.Spec.Env), kept: newRing(keep), out: out, limit: storedLimit}
}

// system prints a line of our own.
func (l *phaseLog) system(format string, args ...any) {
	l.lines(streamSystem, []string{l.mask.mask(fmt.Sprintf(format, args...))})
}

// standard is the log for packages that want a [log.Logger].
func (l *phaseLog) standard() *log.Logger { return log.New(systemWriter{l}, "", 0) }

type systemWriter struct{ log *phaseLog }

func (w systemWriter) Write(p []byte) (int, error) {
	w.log.system("%s", strings.TrimRight(string(p), "\n"))
	return len(p), nil
}

// tail is what GuestStatus.LogTail holds.
func (l *phaseLog) tail() string { return l.kept.tail(tailLimit) }

func (l *phaseLog) lines(stream string, lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.buf = l.buf[:0]
	for _, line := range lines {
		l.buf = append(l.buf, '[')
		l.buf = now.UTC().AppendFormat(l.buf, time.RFC3339Nano)
		l.buf = append(l.buf, "] ["...)
		l.buf = append(l.buf, stream...)
		l.buf = append(l.buf, "] "...)
		l.buf = append(l.buf, line...)
		l.buf = append(l.buf, '\n')
		if l.observe != nil && stream != streamSystem {
			l.observe(now, stream, line)
		}
	}
	_, _ = l.kept.Write(l.buf) // a ring takes everything
	if l.stored > l.limit {
		return
	}
	if l.stored += int64(len(l.buf)); l.stored > l.limit {
		l.buf = fmt.Appendf(l.buf, "[%s] [%s] the log is larger than %d MiB; the rest is not stored\n", now.UTC().Format(time.RFC3339Nano), streamSystem, l.limit>>20)
	}
	_, _ = l.out.Write(l.buf) // a full disk must not stop the app; its own writes will tell
}

// stream returns a writer that splits what a command prints into log lines. raw, if set, sees each line
// before masking. Close prints an unfinished last line. A writer is for one goroutine.
func (l *phaseLog) stream(name string, raw func(line string)) *lineWriter {
	return &lineWriter{log: l, name: name, raw: raw}
}

type lineWriter struct {
	log  *phaseLog
	name string
	raw  func(line string)
	part []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	var lines []string
	w.part = append(w.part, p...)
	rest := w.part
	for {
		line, after, found := bytes.Cut(rest, []byte("\n"))
		if !found {
			break
		}
		lines = w.add(lines, line)
		rest = after
	}
	// Without a line break in sight, print what is certain. A secret that has only begun must wait for its
	// end, or its head would be printed unmasked.
	hold := max(w.log.mask.longest-1, 0)
	for len(rest) >= lineLimit+hold {
		masked := w.log.mask.mask(string(rest))
		cut := min(lineLimit, len(masked)-hold)
		if cut <= 0 {
			rest = []byte(masked)
			break
		}
		lines = w.add(lines, []byte(masked[:cut]))
		rest = []byte(masked[cut:])
	}
	w.part = append(w.part[:0], rest...)
	if len(lines) > 0 {
		w.log.lines(w.name, lines)
	}
	return len(p), nil
}

// Close prints what is left.
func (w *lineWriter) Close() error {
	if len(w.part) > 0 {
		w.log.lines(w.name, w.add(nil, w.part))
		w.part = nil
	}
	return nil
}

// add appends one line of output as one or more log lines.
func (w *lineWriter) add(lines []string, line []byte) []string {
	text := clearLine(line)
	if w.raw != nil {
		w.raw(text)
	}
	text = w.log.mask.mask(text)
	for len(text) > lineLimit {
		lines = append(lines, text[:lineLimit])
		text = text[lineLimit:]
	}
	return append(lines, text)
}

// clearLine keeps what a terminal would show of a line that overwrites itself, such as a progress bar, and
// drops NUL bytes, which databases refuse in text.
func clearLine(line []byte) string {
	line = bytes.TrimRight(line, "\r")
	if i := bytes.LastIndexByte(line, '\r'); i >= 0 {
		line = line[i+1:]
	}
	if bytes.IndexByte(line, 0) >= 0 {
		line = bytes.ReplaceAll(line, []byte{0}, nil)
	}
	return string(line)
}
