// Command vibectl works with sandboxes, agent sessions, rate limits and dead letters from a terminal.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/client"
)

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot(os.Stdin, os.Stdout)
	root.SetErr(os.Stderr)
	err := root.ExecuteContext(ctx)
	switch exit, isExit := errors.AsType[exitError](err); {
	case err == nil:
		return 0
	case isExit:
		return int(exit)
	case ctx.Err() != nil:
		return 130
	case errors.Is(err, client.ErrUnreachable):
		fmt.Fprintf(os.Stderr, "vibectl: %v\nIs vibed running? Start it with `make run`, or name its address with --addr or VIBE_ADDR.\n", err)
	case errors.Is(err, app.ErrSandboxFailed): // its reason and log were printed
	case errors.Is(err, client.ErrVersion): // for scripts that read, change and write again
		fmt.Fprintln(os.Stderr, "vibectl:", err)
		return 4
	default:
		fmt.Fprintln(os.Stderr, "vibectl:", err)
	}
	return 1
}

// exitError ends the program with a status and no message.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }
