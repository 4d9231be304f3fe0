// Command replay publishes dead letters again: `vibectl dlq replay` for cron and CI. It prints a line of JSON for each letter and one
// that sums up.
//
//	replay --topic state-mutations --reason "store is away" --since 2h --rate 50
//	replay --all --dry-run
//
// It is safe to run again at any time, also after it was killed: what was replayed is not open any more, and what was published
// twice is one message for its consumers.
//
// The exit status is 0 when everything that was asked for is replayed, 3 when some letters were refused or changed meanwhile, 2 for
// wrong flags, and 1 when it ended early: run it again.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/cmd/internal/dlq"
	"vibesdk-gcp/gateway/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Exit statuses.
const (
	exitDone   = 0
	exitEarly  = 1
	exitUsage  = 2
	exitNotAll = 3
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fail := func(code int, err error) int {
		fmt.Fprintln(stderr, "replay:", err)
		return code
	}
	var filter dlq.Filter
	var pace dlq.Pace
	flags := pflag.NewFlagSet("replay", pflag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "", "address of the gateway (VIBE_ADDR; default "+app.DefaultAddr+")")
	keyFile := flags.String("api-key-file", "", "file with the API key (VIBE_API_KEY_FILE)")
	ids := flags.StringSlice("id", nil, "these letters; several with commas")
	all := flags.Bool("all", false, "replay every open letter when nothing else chooses")
	filter.Register(flags, client.LetterOpen)
	pace.Register(flags)
	switch err := flags.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		return exitDone
	case err != nil:
		return fail(exitUsage, err)
	case flags.NArg() > 0:
		return fail(exitUsage, fmt.Errorf("%q is no flag", flags.Arg(0)))
	case filter.Empty() && len(*ids) == 0 && !*all:
		return fail(exitUsage, errors.New("nothing chooses letters: give --all to replay every open one"))
	}
	q, err := filter.Query(time.Now())
	if err != nil {
		return fail(exitUsage, err)
	}
	q.IDs = *ids
	conn, err := app.Connect(*addr, *keyFile, client.Options{})
	if err != nil {
		return fail(exitUsage, err)
	}
	switch err := dlq.Replay(ctx, conn, q, pace, stdout, true); {
	case err == nil:
		return exitDone
	case errors.Is(err, dlq.ErrNotAll):
		return fail(exitNotAll, err)
	case errors.Is(err, client.ErrInvalid):
		return fail(exitUsage, err)
	default:
		return fail(exitEarly, err)
	}
}
