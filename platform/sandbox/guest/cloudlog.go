package guest

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"

	"vibesdk-gcp/platform/sandbox"
)

// severities are Cloud Logging's, by the stream of a line. What a command prints to stderr is more often progress than
// trouble.
var severities = map[string]string{streamOut: "INFO", streamErr: "WARNING", streamSystem: "NOTICE"}

// cloudLog writes the lines of a phase as JSON that Cloud Logging reads: severity, message, time and labels that say whose
// line it is.
type cloudLog struct {
	out    io.Writer
	labels map[string]string
}

// NewCloudLog returns a writer for the log lines of [Build] and [Serve] that passes each on to out as one JSON object, as
// https://cloud.google.com/logging/docs/structured-logging describes. It expects whole lines, as both write them.
func NewCloudLog(out io.Writer, ref sandbox.Ref, phase sandbox.Phase) io.Writer {
	return &cloudLog{out, map[string]string{"sandbox_id": ref.ID, "sandbox_fence": strconv.FormatInt(ref.Fence, 10), "sandbox_phase": string(phase)}}
}

type cloudEntry struct {
	Severity string            `json:"severity"`
	Message  string            `json:"message"`
	Time     string            `json:"time,omitempty"`
	Stream   string            `json:"stream,omitempty"`
	Labels   map[string]string `json:"logging.googleapis.com/labels"`
}

// Write implements io.Writer.
func (c *cloudLog) Write(p []byte) (int, error) {
	var entries bytes.Buffer
	encoder := json.NewEncoder(&entries)
	encoder.SetEscapeHTML(false)
	for line := range strings.Lines(string(p)) {
		if err := encoder.Encode(c.entry(strings.TrimSuffix(line, "\n"))); err != nil {
			return 0, err
		}
	}
	if _, err := c.out.Write(entries.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// entry takes a line `[time] [stream] text` apart. Any other is a message as it is.
func (c *cloudLog) entry(line string) cloudEntry {
	at, rest, timed := strings.Cut(strings.TrimPrefix(line, "["), "] [")
	stream, text, ok := strings.Cut(rest, "] ")
	if !timed || !ok || severities[stream] == "" || !strings.HasPrefix(line, "[") {
		return cloudEntry{Severity: "DEFAULT", Message: line, Labels: c.labels}
	}
	return cloudEntry{Severity: severities[stream], Message: text, Time: at, Stream: stream, Labels: c.labels}
}
