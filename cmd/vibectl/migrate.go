package main

import (
	"fmt"
	"log/slog"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"vibesdk-gcp/cmd/internal/app"
)

// errMigrateUnclean is the status of a migration that found differences, for scripts.
const errMigrateUnclean exitError = 3

func (c *cli) migrateCommand() *cobra.Command {
	var o app.MigrateOptions
	var from, to string
	cmd := &cobra.Command{
		Use: "migrate --from FILE --to FILE", Short: "Copy sessions, limits and deployments between two providers", Args: cobra.NoArgs,
		Long: `Copy sessions, what limits have counted, and deployments from the homes that one configuration names to those of another. Each file
has the variables of a vibed, a NAME=value on each line. What is there already stays, and what went on there is left alone; so it can
be run again, and back, with the files swapped. Without --sessions, --limits and --deployments it copies all three.

The exit status is 3 when something is not at the other side as it is here, and 1 when it did not reach its end: with --state the
next run then goes on where this one ended.`,
		Example: "  vibectl migrate --from cloudflare.env --to gcp.env --state move.json\n" +
			"  vibectl migrate --from cloudflare.env --to gcp.env --dry-run --verify",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.From, err = app.ReadConfigFile(from); err != nil {
				return fmt.Errorf("--from: %w", err)
			}
			if o.To, err = app.ReadConfigFile(to); err != nil {
				return fmt.Errorf("--to: %w", err)
			}
			o.Logger = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			report, err := app.Migrate(cmd.Context(), o)
			if printed := c.printMigration(report); err == nil {
				err = printed
			}
			if err == nil && !report.Clean() {
				err = errMigrateUnclean
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&from, "from", "", "file with the configuration of the old homes")
	flags.StringVar(&to, "to", "", "file with the configuration of the new homes")
	flags.BoolVar(&o.Sessions, "sessions", false, "copy sessions")
	flags.BoolVar(&o.Limits, "limits", false, "copy what limits have counted")
	flags.BoolVar(&o.Deployments, "deployments", false, "copy deployments and their history")
	flags.BoolVar(&o.DryRun, "dry-run", false, "write nothing")
	flags.BoolVar(&o.Verify, "verify", false, "compare both sides afterwards")
	flags.StringVar(&o.StateFile, "state", "", "file that remembers how far it came")
	flags.StringVar(&o.KeysFile, "keys", "", "file with keys of limits, or identifiers such as user:42, one a line")
	flags.IntVar(&o.Workers, "workers", 16, "how many items are copied at once, 1 to 256")
	for _, name := range []string{"from", "to"} {
		_ = cmd.MarkFlagRequired(name) // fails for a flag that there is not
	}
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if o.Workers < 1 || o.Workers > 256 {
			return fmt.Errorf("--workers %d is not from 1 to 256", o.Workers)
		}
		return nil
	}
	return cmd
}

func (c *cli) printMigration(r app.MigrateReport) error {
	if c.format == "json" {
		return c.printJSON(r)
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PART\tCOPIED\tSAME\tAHEAD\tREFUSED\tCOMPARED\tDIFFERING\tONLY THERE")
	parts := []struct {
		name string
		part *app.MigratedPart
	}{{"sessions", r.Sessions}, {"limits", r.Limits}, {"deployments", r.Deployments}}
	for _, p := range parts {
		if m := p.part; m != nil {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", p.name, m.Copied, m.Same, m.Ahead, m.Refused, m.Compared, m.Differing, m.OnlyThere)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, p := range parts {
		if p.part == nil {
			continue
		}
		if p.part.Note != "" {
			fmt.Fprintf(c.out, "%s: %s\n", p.name, p.part.Note)
		}
		for _, finding := range p.part.Findings {
			fmt.Fprintln(c.out, finding)
		}
	}
	return nil
}
