package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"vibesdk-gcp/gateway/client"
)

// ErrSandboxFailed is a sandbox that did not become ready. What went wrong was printed.
var ErrSandboxFailed = errors.New("the sandbox failed")

// RunAndReport asks for a sandbox that runs a project and prints its progress to out until it is ready or has ended:
// queued, building with the log as it is written, ready with the address. Both vibed --run and vibectl use it.
func RunAndReport(ctx context.Context, c *client.Client, project client.Project, out io.Writer) (client.Sandbox, error) {
	accepted, err := c.Sandboxes().RunProject(ctx, project)
	if err != nil {
		return client.Sandbox{}, err
	}
	return Report(ctx, c, accepted.ID, project.Request.ProjectName, out)
}

// Report prints the progress of a sandbox like [RunAndReport]. With an error the sandbox has at least its id.
func Report(ctx context.Context, c *client.Client, id, name string, out io.Writer) (client.Sandbox, error) {
	p := &progress{out: out, name: name, start: time.Now()}
	last, err := c.Sandboxes().Follow(ctx, id, client.Progress{
		Queued:  func() { p.line("queued as %s", id) },
		Changed: p.changed,
		Log:     p,
	})
	if err != nil {
		return client.Sandbox{ID: id}, err
	}
	if last.State != client.Ready {
		return last, fmt.Errorf("%w: %s", ErrSandboxFailed, id)
	}
	return last, nil
}

// progress prints one sandbox's way. The log comes from another goroutine than the changes.
type progress struct {
	out   io.Writer
	name  string
	start time.Time

	mu      sync.Mutex
	state   client.State
	partial []byte // of the log
	shown   string // the last line of the log that was printed, as it came
}

func (p *progress) line(format string, args ...any) {
	fmt.Fprintf(p.out, "%s  %s\n", p.name, fmt.Sprintf(format, args...))
}

func (p *progress) changed(s client.Sandbox) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.State == p.state {
		return
	}
	p.state = s.State
	switch s.State {
	case client.Building:
		p.line("building")
	case client.Starting:
		p.line("starting")
	case client.Ready:
		p.line("ready after %s", time.Since(p.start).Round(10*time.Millisecond))
		fmt.Fprintf(p.out, "\n  ➜  %s\n\n", s.PreviewURL)
	case client.Failed:
		p.line("failed: %s", s.Reason)
		p.tail(s.LogTail)
	case client.Deleted, client.Stopping:
		p.line("%s: %s", s.State, s.Reason)
	case client.Requested: // said as queued
	}
}

// tailLines is how much of a failed sandbox's log is shown, where it was not shown as it was written.
const tailLines = 40

func (p *progress) tail(log string) {
	if p.shown != "" {
		if i := strings.LastIndex(log, p.shown); i >= 0 {
			log = log[i+len(p.shown):]
		}
	}
	lines := strings.Split(strings.Trim(log, "\n"), "\n")
	if extra := len(lines) - tailLines; extra > 0 {
		lines = lines[extra:]
	}
	for _, line := range lines {
		if line != "" {
			p.log(line)
		}
	}
}

// Write prints the whole lines of a log.
func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.partial = append(p.partial, b...)
	for {
		line, rest, ok := bytes.Cut(p.partial, []byte("\n"))
		if !ok {
			return len(b), nil
		}
		p.shown = string(line)
		p.log(p.shown)
		p.partial = rest
	}
}

func (p *progress) log(line string) { fmt.Fprintf(p.out, "  │ %s\n", PlainLine(line)) }

// PlainLine takes time and stream off a log line `[time] [stream] text`, and control characters out of it: a
// terminal must not obey what strangers print. Colours stay.
func PlainLine(line string) string {
	stamp, rest, ok := strings.Cut(strings.TrimPrefix(line, "["), "] [")
	if _, err := time.Parse(time.RFC3339Nano, stamp); !ok || err != nil {
		return clean(line)
	}
	if _, text, ok := strings.Cut(rest, "] "); ok {
		return clean(text)
	}
	return "" // an empty line of output
}

func clean(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		if text[0] == 0x1b {
			n := colour(text)
			b.WriteString(text[:n])
			text = text[max(n, 1):]
			continue
		}
		c, size := utf8.DecodeRuneInString(text)
		if c == '\t' || !unicode.IsControl(c) {
			b.WriteString(text[:size])
		}
		text = text[size:]
	}
	return b.String()
}

// colour returns the length of the colour sequence (ESC [ digits and ; m) that text begins with, or 0.
func colour(text string) int {
	if len(text) < 3 || text[1] != '[' {
		return 0
	}
	for i := 2; i < len(text); i++ {
		switch c := text[i]; {
		case c == 'm':
			return i + 1
		case c != ';' && (c < '0' || c > '9'):
			return 0
		}
	}
	return 0
}
