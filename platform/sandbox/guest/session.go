//go:build unix

package guest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"syscall"

	"vibesdk-gcp/platform/sandbox"
)

// sessionScript runs each argument in the same shell. After each it prints a mark with the exit status to
// both outputs, on copies of them that the commands neither see nor redirect. `command` keeps a syntax error
// from ending the shell.
const sessionScript = `_sandbox_mark=$1; shift
for _sandbox_command do
command eval "$_sandbox_command" </dev/null 3>&- 4>&-
_sandbox_status=$?
printf '%s %d\n' "$_sandbox_mark" "$_sandbox_status" >&3
printf '%s %d\n' "$_sandbox_mark" "$_sandbox_status" >&4
done 3>&1 4>&2`

// session runs commands in one shell until they are done, the shell ends or ctx ends. It returns a result for
// each command that began; the last one has ExitTimedOut when ctx ended. What the commands left running in
// the background ends with the session.
func (s *server) session(ctx context.Context, commands []string) ([]sandbox.CommandResult, error) {
	mark := "\x1e" + rand.Text()
	stdout, stderr := newSections(mark, len(commands)), newSections(mark, len(commands))
	argv := append([]string{"/bin/sh", "-c", sessionScript, "sh", mark}, commands...)
	g, err := s.procs.launch(argv, s.appDir(), batchEnvironment(s.task), stdout, stderr)
	if err != nil {
		return nil, err
	}
	defer g.end(0)
	next := func(from *sections) section {
		select {
		case part := <-from.parts:
			return part
		case <-g.ended:
			g.end(0)
		case <-ctx.Done():
			g.end(grace)
		}
		// Its output is read to the end now: what is there is all there is.
		return <-from.parts
	}
	var results []sandbox.CommandResult
	for _, command := range commands {
		out, errs := next(stdout), next(stderr)
		result := sandbox.CommandResult{Command: command, Output: s.log.mask.mask(out.text()), Error: s.log.mask.mask(errs.text())}
		if out.marked {
			result.ExitCode = out.status
		} else if err := g.finish(ctx); ctx.Err() == nil {
			result.ExitCode = exitCode(err)
		} else {
			result.ExitCode = sandbox.ExitTimedOut
		}
		result.Success = result.ExitCode == 0
		results = append(results, result)
		if !out.marked {
			return results, ctx.Err()
		}
	}
	return results, nil
}

// exitCode is a shell's way to say how a program ended: 128 and the number for a signal.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return 128 + int(syscall.SIGKILL) // it had to be ended
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return exit.ExitCode()
}

// section is what one command printed to one output.
type section struct {
	kept    []byte
	dropped int
	// marked tells that the command came to its end; status is then its exit status.
	marked bool
	status int
}

func (s section) text() string {
	if s.dropped == 0 {
		return string(s.kept)
	}
	return fmt.Sprintf("%s\n[cut: %d bytes more]\n", s.kept, s.dropped)
}

func (s *section) add(p []byte) {
	keep := min(len(p), sandbox.ControlOutputLimit-len(s.kept))
	s.kept = append(s.kept, p[:keep]...)
	s.dropped += len(p) - keep
}

// sections cuts the output of a session into one part per command. It is an io.WriteCloser for one
// goroutine; parts are received by another.
type sections struct {
	parts   chan section
	mark    []byte
	pending []byte
	now     section
}

func newSections(mark string, commands int) *sections {
	return &sections{parts: make(chan section, commands+1), mark: []byte(mark)}
}

func (s *sections) Write(p []byte) (int, error) {
	s.pending = append(s.pending, p...)
	for {
		before, after, found := bytes.Cut(s.pending, s.mark)
		if !found {
			// The end may be the beginning of a mark.
			certain := max(len(s.pending)-len(s.mark)+1, 0)
			s.now.add(s.pending[:certain])
			s.pending = append(s.pending[:0], s.pending[certain:]...)
			return len(p), nil
		}
		status, rest, found := bytes.Cut(after, []byte("\n"))
		if !found {
			return len(p), nil
		}
		s.now.add(before)
		s.now.marked = true
		s.now.status, _ = strconv.Atoi(string(bytes.TrimSpace(status))) // a mark that a command forged has no number
		s.emit()
		s.pending = append(s.pending[:0], rest...)
	}
}

// Close hands over what a command printed that did not come to its end.
func (s *sections) Close() error {
	s.now.add(s.pending)
	s.emit()
	close(s.parts)
	return nil
}

// emit never waits: more parts than commands can only come from a command that forges marks.
func (s *sections) emit() {
	select {
	case s.parts <- s.now:
	default:
	}
	s.now = section{}
}
