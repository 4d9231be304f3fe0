package guest

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

// Levels of pino, https://github.com/pinojs/pino/blob/main/docs/api.md#loggerlevel-string-gettersetter.
const (
	levelError = 50
	levelFatal = 60
)

const (
	messageLimit = 500     // bytes of an error's message
	rawLimit     = 8 << 10 // bytes of an error's raw output
)

// errorLog finds errors in what the app prints and keeps the last ones. It is safe for concurrent use.
//
// These lines are errors:
//   - a JSON object with a number `level` of 50 or more, as pino writes it; the message is its `msg`, or the
//     message of its `err`
//   - a line that fatalLine or errorLine matches, once terminal colours are removed: an uncaught exception, a
//     panic, a compiler that gave up. The stack trace that follows on the same stream belongs to it.
//   - the line at the end of a Python traceback, with the traceback
//
// Two errors of one level are the same when their messages differ only in digits.
type errorLog struct {
	mu     sync.Mutex
	known  map[[sha256.Size]byte]*sandbox.LoggedError
	traces map[string]*stackTrace // by stream
}

// stackTrace is the trace being read on a stream.
type stackTrace struct {
	// of is the error that the trace belongs to. It is nil in a Python traceback, which names the error last.
	of  *sandbox.LoggedError
	raw string
}

func newErrorLog() *errorLog {
	return &errorLog{known: map[[sha256.Size]byte]*sandbox.LoggedError{}, traces: map[string]*stackTrace{}}
}

var (
	fatalLine = regexp.MustCompile(`^(?:fatal error: |FATAL ERROR: |panic: |Segmentation fault|thread '.*' panicked at )` +
		`|JavaScript heap out of memory|\bEADDRINUSE\b`)
	errorLine = regexp.MustCompile(`^(?:\S+ )?(?:Uncaught |\[?UnhandledPromiseRejection|Unhandled (?:promise )?[Rr]ejection|\[vite\].*[Ee]rror|ERROR in |Failed to compile|Module not found)` +
		`|^(?:[a-z]+: )?(?:[A-Z]\w*)?(?:Error|Exception)(?: \[\w+\])?: ` +
		`|\bCannot find (?:module|package) ['"]`)
	traceLine = regexp.MustCompile(`^(?:\s+\S|goroutine \d+ \[|[\w./*()]+\(.*\)$|created by |\}|$)`)
	digits    = regexp.MustCompile(`0x[0-9a-fA-F]+|\d+`)
)

const pythonTraceback = "Traceback (most recent call last):"

// line looks at one line of output. It is what phaseLog.observe wants.
func (e *errorLog) line(at time.Time, stream, line string) {
	text := strings.TrimRight(stripEscapes(line), " \t")
	e.mu.Lock()
	defer e.mu.Unlock()
	if strings.HasPrefix(text, "{") {
		if message, level, ok := pinoLine(text); ok {
			delete(e.traces, stream)
			if level >= levelError {
				e.add(at, message, level, text)
			}
			return
		}
	}
	if trace := e.traces[stream]; trace != nil {
		if trace.add(text) {
			return
		}
		delete(e.traces, stream)
		if trace.of == nil {
			e.add(at, text, levelError, trace.raw+"\n"+text)
			return
		}
	}
	var level int
	switch {
	case text == pythonTraceback:
		e.traces[stream] = &stackTrace{raw: text}
		return
	case fatalLine.MatchString(text):
		level = levelFatal
	case errorLine.MatchString(text):
		level = levelError
	default:
		return
	}
	e.traces[stream] = &stackTrace{of: e.add(at, text, level, text)}
}

// add takes a line that belongs to the trace, or reports that it is at its end.
func (t *stackTrace) add(text string) bool {
	raw := &t.raw
	if t.of != nil {
		raw = &t.of.RawOutput
	}
	if t.of == nil && text == "" || !traceLine.MatchString(text) {
		return false
	}
	if len(*raw)+len(text) < rawLimit {
		*raw += "\n" + text
	}
	return true
}

// pinoLine reads a line of JSON that has a level.
func pinoLine(text string) (message string, level int, ok bool) {
	var entry struct {
		Level   *float64 `json:"level"`
		Msg     string   `json:"msg"`
		Message string   `json:"message"`
		Err     struct {
			Message string `json:"message"`
		} `json:"err"`
	}
	if json.Unmarshal([]byte(text), &entry) != nil || entry.Level == nil {
		return "", 0, false
	}
	for _, message = range []string{entry.Msg, entry.Err.Message, entry.Message, text} {
		if message != "" {
			break
		}
	}
	return message, int(*entry.Level), true
}

func (e *errorLog) add(at time.Time, message string, level int, raw string) *sandbox.LoggedError {
	message = cut(message, messageLimit)
	key := sha256.Sum256(fmt.Appendf(nil, "%d %s", level, digits.ReplaceAllString(message, "#")))
	at = at.UTC()
	found := e.known[key]
	if found == nil {
		found = &sandbox.LoggedError{Message: message, Level: level, FirstAt: at}
		e.known[key] = found
	}
	found.Count++
	found.LastAt = at
	found.RawOutput = cut(raw, rawLimit)
	if len(e.known) > sandbox.ControlErrorLimit {
		e.dropOldest()
	}
	return found
}

func (e *errorLog) dropOldest() {
	var oldest [sha256.Size]byte
	var at time.Time
	for key, known := range e.known {
		if at.IsZero() || known.LastAt.Before(at) {
			oldest, at = key, known.LastAt
		}
	}
	delete(e.known, oldest)
}

// list returns the errors, newest first.
func (e *errorLog) list() []sandbox.LoggedError {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]sandbox.LoggedError, 0, len(e.known))
	for _, known := range e.known {
		entry := *known
		entry.RawOutput = strings.TrimRight(entry.RawOutput, "\n")
		list = append(list, entry)
	}
	slices.SortFunc(list, func(a, b sandbox.LoggedError) int {
		if c := b.LastAt.Compare(a.LastAt); c != 0 {
			return c
		}
		return strings.Compare(a.Message, b.Message)
	})
	return list
}

func (e *errorLog) clear() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.known)
	clear(e.traces)
}

// cut shortens a text to at most n bytes without splitting a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}
