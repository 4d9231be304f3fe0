//go:build unix

// Command sandboxd is the program inside a sandbox: `sandboxd build` turns source into an app, `sandboxd
// serve` shows it as a preview. Both read what to do from a task.
//
// The exit status of build is 0 when the app is built, or when another process builds it or has, or when the generation was deleted; of
// serve, 0 when it was stopped. It is 1 when the app is broken, as the status file and the log tell; 2 for a call
// that makes no sense; 3 when the supervisor is gone; 143 when a build was stopped by SIGTERM.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/sandbox/guest"
)

const (
	exitDone       = 0
	exitBroken     = 1
	exitUsage      = 2
	exitOrphaned   = 3
	exitTerminated = 128 + int(syscall.SIGTERM)
)

// lastResort is how long ending in order may take once the supervisor is gone.
const lastResort = 10 * time.Second

const usage = `usage: sandboxd build|serve [--task FILE|URL] [--lifeline-fd N]

  --task         the task: a file, or a file://, https:// or gs:// address of one; else the variable SANDBOX_TASK is
  --lifeline-fd  a pipe; when its other end closes, everything started here is killed
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	phases := map[string]func(context.Context, sandbox.GuestTask, io.Writer) error{"build": guest.Build, "serve": guest.Serve}
	flags := flag.NewFlagSet("sandboxd", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(stderr, usage) }
	address := flags.String("task", "", "")
	lifeline := flags.Int("lifeline-fd", -1, "")
	if len(args) == 0 || phases[args[0]] == nil {
		flags.Usage()
		return exitUsage
	}
	if err := flags.Parse(args[1:]); err != nil || flags.NArg() > 0 {
		if err == nil {
			flags.Usage()
		}
		return exitUsage
	}
	c, err := readConfig(*address)
	if err != nil {
		fmt.Fprintln(stderr, "sandboxd:", err)
		flags.Usage()
		return exitUsage
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	watchLifeline(*lifeline, cancel)
	// A reader of our output that goes away must not end us with everything still running. Ignoring the signal
	// would do, but children inherit that, and `yes | head` would not end.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	if err := prepare(c); err != nil {
		fmt.Fprintln(stderr, "sandboxd:", err)
		return exitUsage
	}
	task, err := guest.LoadTask(ctx, c.address, c.host)
	if err != nil {
		fmt.Fprintln(stderr, "sandboxd:", err)
		return exitUsage
	}
	if c.container {
		stdout = guest.NewCloudLog(stdout, task.Ref, sandbox.Phase(args[0]))
	}
	return exitCode(ctx, phases[args[0]](ctx, task, stdout), stderr)
}

func prepare(c config) error {
	if c.container {
		if err := guest.Hide(); err != nil {
			return err
		}
	}
	return guest.Adopt()
}

func exitCode(ctx context.Context, err error, stderr io.Writer) int {
	_, app := errors.AsType[*guest.BrokenError](err)
	switch {
	case errors.Is(context.Cause(ctx), guest.ErrSupervisorGone):
		return exitOrphaned
	case err == nil:
		return exitDone
	case errors.Is(err, guest.ErrClaimed), errors.Is(err, guest.ErrDeleted):
		fmt.Fprintf(stderr, "[%s] [system] nothing to do: %v\n", time.Now().UTC().Format(time.RFC3339Nano), err)
		return exitDone
	case ctx.Err() != nil:
		return exitTerminated
	case !app: // the log has told the others
		fmt.Fprintln(stderr, "sandboxd:", err)
	}
	return exitBroken
}

// watchLifeline ends the context when the other end of the pipe closes. Should ending in order hang, the
// process ends all the same.
func watchLifeline(fd int, cancel context.CancelCauseFunc) {
	if fd < 0 {
		return
	}
	syscall.CloseOnExec(fd)
	pipe := os.NewFile(uintptr(fd), "lifeline")
	if pipe == nil {
		cancel(guest.ErrSupervisorGone)
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, pipe) // an error is as good as the end
		cancel(guest.ErrSupervisorGone)
		time.Sleep(lastResort)
		os.Exit(exitOrphaned)
	}()
}
