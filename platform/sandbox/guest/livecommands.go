//go:build unix

package guest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

// batchLimit bounds the commands of one call in bytes: they travel as arguments of the shell.
const batchLimit = 1 << 20

// runCommands runs a batch in one shell session. A command that ends the session (exit, exec) has the
// session's exit code, and those after it get a new one.
func (l *live) runCommands(w http.ResponseWriter, r *http.Request) (any, error) {
	var batch sandbox.CommandBatch
	const bodyLimit = 6*batchLimit + 64<<10 // JSON may escape each byte
	if err := readJSON(w, r, bodyLimit, &batch); err != nil {
		return nil, err
	}
	if err := checkCommands(batch); err != nil {
		return nil, err
	}
	timeout := time.Duration(batch.TimeoutSeconds * float64(time.Second))
	if batch.TimeoutSeconds == 0 {
		timeout = sandbox.ControlTimeoutChosen
	}
	timeout = min(timeout, sandbox.ControlTimeoutLimit)
	select {
	case l.sessions <- struct{}{}:
		defer func() { <-l.sessions }()
	case <-r.Context().Done():
		return nil, refuse(http.StatusServiceUnavailable, "too many commands run already")
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	results := make([]sandbox.CommandResult, 0, len(batch.Commands))
	for left := batch.Commands; len(left) > 0; left = batch.Commands[len(results):] {
		done, err := l.server.session(ctx, left)
		results = append(results, done...)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return sandbox.CommandResults{Results: notRun(results, batch.Commands, timeout)}, nil
		case err != nil:
			return nil, refuse(http.StatusServiceUnavailable, "commands cannot run: %v", err)
		}
	}
	for _, result := range results {
		l.server.log.system("ran %q: exit %d", result.Command, result.ExitCode)
	}
	return sandbox.CommandResults{Results: results}, nil
}

// notRun completes the results of a batch whose time was over. The last one so far is the command that was
// stopped, if one was.
func notRun(results []sandbox.CommandResult, commands []string, timeout time.Duration) []sandbox.CommandResult {
	if n := len(results); n > 0 && results[n-1].ExitCode == sandbox.ExitTimedOut {
		last := &results[n-1]
		last.Error = joinLines(last.Error, fmt.Sprintf("stopped: the time of %s for the commands is over", timeout))
	}
	for _, command := range commands[len(results):] {
		results = append(results, sandbox.CommandResult{
			Command: command, ExitCode: sandbox.ExitNotRun,
			Error: fmt.Sprintf("not run: the time of %s for the commands is over", timeout),
		})
	}
	return results
}

func joinLines(a, b string) string {
	if a == "" || a[len(a)-1] == '\n' {
		return a + b
	}
	return a + "\n" + b
}

func checkCommands(batch sandbox.CommandBatch) error {
	if n := len(batch.Commands); n == 0 || n > sandbox.ControlCommands {
		return refuse(http.StatusBadRequest, "commands: %d given, between 1 and %d allowed", n, sandbox.ControlCommands)
	}
	total := 0
	for i, c := range batch.Commands {
		total += len(c)
		if len(c) > sandbox.ControlCommandLimit {
			return refuse(http.StatusRequestEntityTooLarge, "command %d is larger than %d bytes", i, sandbox.ControlCommandLimit)
		}
		for _, b := range []byte(c) {
			if b == 0 {
				return refuse(http.StatusBadRequest, "command %d holds a NUL byte", i)
			}
		}
	}
	if total > batchLimit {
		return refuse(http.StatusRequestEntityTooLarge, "the commands together are larger than %d bytes", batchLimit)
	}
	if batch.TimeoutSeconds < 0 {
		return refuse(http.StatusBadRequest, "timeoutSeconds %g is negative", batch.TimeoutSeconds)
	}
	return nil
}
