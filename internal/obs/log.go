package obs

import (
	"fmt"
	"io"
	"log/slog"
	"os"
)

// Format is how log lines are written.
type Format string

// The formats. Auto is text on a terminal and JSON elsewhere.
const (
	Auto Format = "auto"
	Text Format = "text"
	JSON Format = "json"
)

// ParseFormat reads a format by name.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case Auto, Text, JSON:
		return f, nil
	default:
		return "", fmt.Errorf("%q is none of auto, text, json", s)
	}
}

// ParseLevel reads a level by name: debug, info, warn or error, in any case.
func ParseLevel(s string) (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s)); err != nil {
		return 0, fmt.Errorf("%q is none of debug, info, warn, error", s)
	}
	return level, nil
}

// LogOptions say what a logger writes.
type LogOptions struct {
	// Level is the least level that is written. The zero value is info.
	Level slog.Level
	// Format defaults to Auto.
	Format Format
	// Project is the Google Cloud project of the traces that lines name.
	Project string
}

// NewLogger returns a logger that writes to w. JSON lines use the names that Cloud Logging reads: severity, message,
// time, and those of the trace and span of their context.
func NewLogger(w io.Writer, o LogOptions) *slog.Logger {
	if o.Format == Text || o.Format != JSON && IsTerminal(w) {
		return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: o.Level, ReplaceAttr: shortTime}))
	}
	h := &traceHandler{root: slog.NewJSONHandler(w, &slog.HandlerOptions{Level: o.Level, ReplaceAttr: cloudNames})}
	if o.Project != "" {
		h.prefix = "projects/" + o.Project + "/traces/"
	}
	return slog.New(h)
}

// IsTerminal reports whether w is a character device, where a person reads.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && info.Mode()&os.ModeDevice != 0 && f.Name() != os.DevNull
}

func shortTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.String(slog.TimeKey, a.Value.Time().Format("15:04:05.000"))
	}
	return a
}

func cloudNames(groups []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		return slog.String(a.Key, a.Value.Duration().String()) // JSON would show nanoseconds without saying so
	}
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.MessageKey:
		a.Key = "message"
	case slog.LevelKey:
		a.Key = "severity"
		if level, ok := a.Value.Any().(slog.Level); ok && level >= slog.LevelWarn && level < slog.LevelError {
			a.Value = slog.StringValue("WARNING") // Cloud Logging does not know WARN
		}
	}
	return a
}
