package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	_ "golang.org/x/crypto/x509roots/fallback" // for images that have no certificates

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/client"
)

// retryFor is how long an idempotent call is tried: a person waits.
const retryFor = time.Second

// cli is what all commands share.
type cli struct {
	in      io.Reader
	out     io.Writer
	errOut  io.Writer // questions, so that the output stays clean
	addr    string
	keyFile string
	format  string
}

func newRoot(in io.Reader, out io.Writer) *cobra.Command {
	c := &cli{in: in, out: out}
	root := &cobra.Command{
		Use:           "vibectl",
		Short:         "Sandboxes, agent sessions, rate limits, deployments, schedules and dead letters from a terminal",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			c.errOut = cmd.ErrOrStderr()
			if c.format != "table" && c.format != "json" {
				return fmt.Errorf("--output %q is neither table nor json", c.format)
			}
			return nil
		},
	}
	root.SetIn(in)
	root.SetOut(out)
	flags := root.PersistentFlags()
	flags.StringVar(&c.addr, "addr", "", "address of the gateway (VIBE_ADDR; default "+app.DefaultAddr+")")
	flags.StringVar(&c.keyFile, "api-key-file", "", "file with the API key (VIBE_API_KEY_FILE)")
	flags.StringVarP(&c.format, "output", "o", "table", "table or json")
	sandbox := &cobra.Command{Use: "sandbox", Aliases: []string{"sandboxes", "sb"}, Short: "Sandboxes: previews of apps"}
	sandbox.AddCommand(
		c.runCommand(), c.listCommand(), c.getCommand(), c.logsCommand(), c.stopCommand(),
		c.openCommand(), c.filesCommand(), c.readCommand(), c.writeCommand(), c.removeCommand(), c.execCommand(), c.errorsCommand(),
	)
	root.AddCommand(sandbox, c.sessionCommand(), c.limitCommand(), c.deploymentCommand(), c.schedulesCommand(), c.keyCommand(), c.openAPICommand(), c.dlqCommand(), c.doctorCommand(), c.migrateCommand())
	return root
}

// client connects to the server that flags and environment name; flags win.
func (c *cli) client() (*client.Client, error) {
	return app.Connect(c.addr, c.keyFile, client.Options{RetryFor: retryFor})
}

func (c *cli) sandboxes() (*client.Sandboxes, error) {
	conn, err := c.client()
	if err != nil {
		return nil, err
	}
	return conn.Sandboxes(), nil
}

func (c *cli) sandbox(ctx context.Context, id string) (client.Sandbox, error) {
	sandboxes, err := c.sandboxes()
	if err != nil {
		return client.Sandbox{}, err
	}
	return sandboxes.Get(ctx, id)
}
