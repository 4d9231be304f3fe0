//go:build unix

package guest

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
)

// notFound finds the name in what dash, bash and busybox print for a command that does not exist.
var notFound = regexp.MustCompile(`(?m)sh: (?:line )?(?:\d+: )?(?:exec: )?([^\s:]+): (?:command )?not found\s*$`)

// exitWords says how a command ended, for the owner of the app: what is "build command", err what Wait
// returned, tail the end of its output.
func exitWords(what string, err error, tail string) string {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		if err == nil {
			return what + " exited with status 0"
		}
		return fmt.Sprintf("%s could not be started: %v", what, err)
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		words := fmt.Sprintf("%s was ended by signal: %s", what, ws.Signal())
		if ws.Signal() == syscall.SIGKILL {
			words += " (out of memory?)"
		}
		return words
	}
	switch code := exit.ExitCode(); code {
	case 127:
		if found := notFound.FindAllStringSubmatch(tail, -1); found != nil {
			return fmt.Sprintf("%s failed: %s: command not found — exit 127", what, found[len(found)-1][1])
		}
		return what + " failed: command not found — exit 127"
	case 126:
		return what + " failed: permission denied or not a program — exit 126"
	case 128 + int(syscall.SIGKILL):
		return fmt.Sprintf("%s exited with status %d: one of its processes was killed (out of memory?)", what, code)
	default:
		return fmt.Sprintf("%s exited with status %d", what, code)
	}
}

// sentence puts several errors, which errors.Join separates by line breaks, on one line.
func sentence(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
