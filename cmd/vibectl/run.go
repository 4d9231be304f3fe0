package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/client"
)

func (c *cli) runCommand() *cobra.Command {
	var (
		want      client.RunRequest
		env       []string
		ttl, idle time.Duration
		detach    bool
	)
	cmd := &cobra.Command{
		Use:   "run DIR",
		Short: "Run a folder in a sandbox and show the address of its preview",
		Long: `Run a folder in a sandbox and show the address of its preview.

How it is run is taken from the folder: sandbox.json says it; else the dev script of package.json; else index.html is
served as it is. Flags win. Not sent are node_modules, .git, links, and dist unless it is what is served.`,
		Example: "  vibectl sandbox run examples/hello\n  vibectl sandbox run ./site --build 'npm run build' --static dist --ttl 2h\n  vibectl sandbox run ./api --dev 'go run .' --env GREETING=hello",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if want.Env, err = parseEnv(env); err != nil {
				return err
			}
			if want.TTLSeconds, err = seconds("--ttl", ttl); err != nil {
				return err
			}
			if want.IdleSeconds, err = seconds("--idle", idle); err != nil {
				return err
			}
			project, err := client.ReadProject(args[0], want)
			if err != nil {
				return err
			}
			return c.run(cmd, project, detach)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&want.ProjectName, "name", "", "name shown to people (default: the folder's)")
	flags.StringVar(&want.InstallCommand, "install", "", "command that installs dependencies")
	flags.StringVar(&want.BuildCommand, "build", "", "command that builds")
	flags.StringVar(&want.DevCommand, "dev", "", "command that starts a server listening on $PORT")
	flags.StringVar(&want.StaticDir, "static", "", "folder to serve after the build")
	flags.StringArrayVar(&env, "env", nil, "NAME=value for the project's commands; may be repeated")
	flags.DurationVar(&ttl, "ttl", 0, "time to live (default: the server's)")
	flags.DurationVar(&idle, "idle", 0, "end after this long without visitors (default: the server's)")
	flags.StringVar(&want.RequestID, "request-id", "", "id of the request: the same id twice is one sandbox")
	flags.BoolVarP(&detach, "detach", "d", false, "return when the request is accepted")
	cmd.MarkFlagsMutuallyExclusive("dev", "static")
	return cmd
}

func (c *cli) run(cmd *cobra.Command, project client.Project, detach bool) error {
	conn, err := c.client()
	if err != nil {
		return err
	}
	if detach {
		accepted, err := conn.Sandboxes().RunProject(cmd.Context(), project)
		if err != nil {
			return err
		}
		if c.format == "json" {
			return c.printJSON(accepted)
		}
		fmt.Fprintln(c.out, accepted.ID)
		return nil
	}
	progress := c.out
	if c.format == "json" {
		progress = cmd.ErrOrStderr()
	}
	last, err := app.RunAndReport(cmd.Context(), conn, project, progress)
	if err != nil {
		return err
	}
	if c.format == "json" {
		return c.printJSON(last)
	}
	return c.nextSteps(progress, last)
}

func (c *cli) nextSteps(out io.Writer, s client.Sandbox) error {
	_, err := fmt.Fprintf(out, "It ends %s, or after %s without visitors.\n  vibectl sandbox logs -f %[3]s\n  vibectl sandbox stop %[3]s\n",
		s.ExpiresAt.Local().Format("15:04:05"), time.Duration(s.IdleSeconds)*time.Second, s.ID)
	return err
}

func parseEnv(pairs []string) (map[string]string, error) {
	env := map[string]string{}
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, errors.New("--env must be NAME=value") // what was given may be a secret: not repeated
		}
		env[name] = value
	}
	return env, nil
}

func seconds(flag string, d time.Duration) (int, error) {
	if d%time.Second != 0 || d < 0 {
		return 0, fmt.Errorf("%s must be whole seconds, like 90s or 2h", flag)
	}
	return int(d / time.Second), nil
}
