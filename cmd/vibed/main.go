// Command vibed runs the platform: every role, or those named.
//
//	vibed                        all roles on one SQLite file
//	vibed janitor router         these two
//	vibed --run examples/hello   all roles, and a sandbox that runs the folder
//
// Everything else is set by environment variables; see cmd/internal/app/config.go.
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

	"github.com/spf13/cobra"
	_ "golang.org/x/crypto/x509roots/fallback" // for images that have no certificates

	"vibesdk-gcp/cmd/internal/app"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go exitOnSignals(cancel, stderr)

	var o options
	cmd := &cobra.Command{
		Use:   "vibed [role...]",
		Short: "Run the platform: every role, or those named",
		Long: `Run the platform: every role, or those named.

Roles: gateway, router, statewriter, callbackrunner, sandboxrunner, janitor, deadletters, ticker. Without any, all run in this process.
Settings come from the environment; cmd/internal/app/config.go lists them.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.roles, err = app.ParseRoles(args); err != nil {
				return err
			}
			return serve(cmd.Context(), o, stdout, stderr)
		},
	}
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	flags := cmd.Flags()
	flags.StringVar(&o.listen, "listen", "", "address of gateway and router (LISTEN; default "+app.DefaultListen+")")
	flags.StringVar(&o.data, "data", "", "folder for everything that is kept (DATA_DIR; default data)")
	flags.StringVar(&o.runDir, "run", "", "run this folder in a sandbox, show its progress, and end it with this program")
	flags.StringVar(&o.cloudRun, "cloud-run", "", "fake: sandboxes on a Cloud Run of this process's own (SANDBOX_BACKEND=cloudrun CLOUD_RUN=fake)")
	flags.BoolVar(&o.open, "open", false, "with --run: open the preview in the browser")
	switch err := cmd.ExecuteContext(ctx); {
	case err == nil:
		return 0
	case errors.Is(err, app.ErrSandboxFailed): // its reason and log were printed
		return 1
	default:
		fmt.Fprintln(stderr, "vibed:", err)
		return 1
	}
}

// sameSignal is how close two signals are one: timeout(1) and some process managers send theirs to the program and
// to its group.
const sameSignal = 300 * time.Millisecond

// exitOnSignals stops in order at the first signal and at once at the second.
func exitOnSignals(stop context.CancelFunc, stderr io.Writer) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	<-signals
	fmt.Fprintln(stderr, "\nvibed: stopping: doors, messages under way, sandboxes (again to exit at once)")
	stop()
	for first := time.Now(); ; {
		<-signals
		if time.Since(first) > sameSignal {
			os.Exit(130)
		}
	}
}
