package gateway

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

const (
	// maxLogs is how much of a log's end one call answers, in bytes.
	maxLogs = 1 << 20
	// maxConsumed is of how many instances it is remembered what was read.
	maxConsumed = 10_000
	// maxDebugLog bounds what a caller may have logged here in one call, in bytes.
	maxDebugLog = 64 << 10
	// isoMillis is how JavaScript writes an instant.
	isoMillis = "2006-01-02T15:04:05.000Z"
)

// InstanceLogs is what an instance printed.
type InstanceLogs struct {
	Outcome

	Logs struct {
		// Stdout holds what the app printed to both outputs, in lines `[instant] [stdout|stderr|monitor] text`, as
		// VibeSDK's monitor writes them; monitor is what the sandbox says itself.
		Stdout string `json:"stdout"`
		Stderr string `json:"stderr"`
	} `json:"logs"`
}

// consumed remembers how much of each log was read with reset. It is this process's memory: another gateway answers
// such lines once more.
type consumed struct {
	mu      sync.Mutex
	offsets map[sandbox.Ref]int64
}

func (c *consumed) get(ref sandbox.Ref) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offsets[ref]
}

// advance never goes back: of two readers at once the later end counts.
func (c *consumed) advance(ref sandbox.Ref, to int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.offsets == nil {
		c.offsets = map[sandbox.Ref]int64{}
	}
	if _, known := c.offsets[ref]; !known && len(c.offsets) >= maxConsumed {
		for old := range c.offsets { // any: most of them have ended long ago
			delete(c.offsets, old)
			break
		}
	}
	c.offsets[ref] = max(c.offsets[ref], to)
}

// instanceLogs answers the development server's log since the last reset; duration keeps only the last seconds of it.
func (g *Gateway) instanceLogs(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	reset, err := flag(query.Get("reset"))
	if err != nil {
		return badRequest("reset must be true or false")
	}
	var since time.Time
	if seconds := query.Get("duration"); seconds != "" {
		n, err := strconv.ParseFloat(seconds, 64)
		if err != nil || !(n >= 0 && n <= 1e9) {
			return badRequest("duration must be a number of seconds from 0 to 1000000000")
		}
		since = time.Now().Add(-time.Duration(n * float64(time.Second)))
	}
	record, _, err := g.liveInstance(r)
	if err != nil {
		return err
	}
	ref := record.Ref()
	offset := g.consumed.get(ref)
	log, err := g.Runtime.Logs(r.Context(), ref, sandbox.PhaseServe, offset)
	if errors.Is(err, sandbox.ErrNotFound) {
		log, err = io.NopCloser(strings.NewReader("")), nil
	}
	if err != nil {
		return err
	}
	defer log.Close()
	text, read, err := wholeLines(log)
	if err != nil {
		return err
	}
	answer := InstanceLogs{Outcome: Outcome{Success: true}}
	answer.Logs.Stdout = monitorLines(text, since)
	if reset {
		g.consumed.advance(ref, offset+read)
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// wholeLines reads to the end and returns the last maxLogs bytes of whole lines, and how many bytes all whole lines
// were.
func wholeLines(log io.Reader) (text []byte, read int64, err error) {
	var all int64
	chunk := make([]byte, 64<<10)
	for {
		n, err := log.Read(chunk)
		if end := bytes.LastIndexByte(chunk[:n], '\n') + 1; end > 0 {
			read = all + int64(end)
		}
		all += int64(n)
		if text = append(text, chunk[:n]...); len(text) > 2*maxLogs {
			text = append(text[:0], text[len(text)-maxLogs:]...)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, 0, err
		}
	}
	end := bytes.LastIndexByte(text, '\n') + 1
	cut := int64(len(text)) < all // the first line is not whole
	text = text[:end]
	if len(text) > maxLogs {
		text, cut = text[len(text)-maxLogs:], true
	}
	if cut {
		text = text[bytes.IndexByte(text, '\n')+1:]
	}
	return text, read, nil
}

// monitorLines writes a sandbox's log lines as VibeSDK's monitor does, without those before since.
func monitorLines(log []byte, since time.Time) string {
	var b strings.Builder
	for line := range strings.Lines(strings.ToValidUTF8(string(log), "\uFFFD")) {
		line = strings.TrimRight(line, "\r\n")
		at, stream, text := logLine(line)
		switch {
		case at.IsZero() && since.IsZero():
			b.WriteString(line + "\n")
		case at.IsZero() || at.Before(since):
		default:
			b.WriteString("[" + at.UTC().Format(isoMillis) + "] [" + stream + "] " + text + "\n")
		}
	}
	return b.String()
}

// logLine takes `[instant] [stream] text` apart. The instant is zero when it is no such line.
func logLine(line string) (at time.Time, stream, text string) {
	instant, rest, ok := strings.Cut(strings.TrimPrefix(line, "["), "] [")
	if !ok || line[0] != '[' {
		return time.Time{}, "", line
	}
	at, err := time.Parse(time.RFC3339Nano, instant)
	stream, text, ok = strings.Cut(rest, "]")
	if err != nil || !ok {
		return time.Time{}, "", line
	}
	if stream != "stdout" && stream != "stderr" {
		stream = "monitor"
	}
	return at, stream, strings.TrimPrefix(text, " ")
}

// InstanceErrors are the errors that an app printed, newest first.
type InstanceErrors struct {
	Outcome

	Errors    []InstanceError `json:"errors"`
	HasErrors bool            `json:"hasErrors"`
}

// InstanceError is one of them, at its last time. Level is pino's: 50 is an error, 60 is fatal.
type InstanceError struct {
	Timestamp string `json:"timestamp"`
	Level     int    `json:"level"`
	Message   string `json:"message"`
	RawOutput string `json:"rawOutput"`
}

// instanceErrors never clears: VibeSDK's client sends nothing that would ask for it.
func (g *Gateway) instanceErrors(w http.ResponseWriter, r *http.Request) error {
	_, control, err := g.liveInstance(r)
	if err != nil {
		return err
	}
	list, err := control.Errors(r.Context())
	if err != nil {
		return lostGuest(err)
	}
	answer := InstanceErrors{Outcome: Outcome{Success: true}, Errors: []InstanceError{}, HasErrors: len(list) > 0}
	for _, e := range list {
		answer.Errors = append(answer.Errors, InstanceError{e.LastAt.UTC().Format(isoMillis), e.Level, e.Message, e.RawOutput})
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

func (g *Gateway) clearInstanceErrors(w http.ResponseWriter, r *http.Request) error {
	_, control, err := g.liveInstance(r)
	if err != nil {
		return err
	}
	if err := control.ClearErrors(r.Context()); err != nil {
		return lostGuest(err)
	}
	writeJSON(w, http.StatusOK, Outcome{Success: true, Message: "errors cleared"})
	return nil
}

// debugLogRequest is a line for the debug log.
type debugLogRequest struct {
	LogName string `json:"logName,omitempty"`
	Log     string `json:"log,omitempty"`
}

// debugLog keeps what a caller wants logged, at level debug.
func (g *Gateway) debugLog(w http.ResponseWriter, r *http.Request) error {
	var asked debugLogRequest
	r.Body = http.MaxBytesReader(w, r.Body, maxDebugLog)
	if err := readInstanceBody(w, r, &asked); err != nil {
		return err
	}
	g.log.DebugContext(r.Context(), "caller's log", "name", asked.LogName, "log", asked.Log)
	writeJSON(w, http.StatusOK, Outcome{Success: true})
	return nil
}
