package main

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"vibesdk-gcp/gateway/client"
)

func (c *cli) deploymentCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "deployment", Aliases: []string{"deployments", "app"}, Short: "Deployments: where the hosts of apps lead",
		Long: `Deployments: where the hosts of apps lead.

A change takes effect on every router within a second, and no request under way fails for it, as long as the place before still answers
for that second.`,
	}
	cmd.AddCommand(
		c.setDeploymentCommand(), c.getDeploymentCommand(), c.listDeploymentsCommand(), c.deleteDeploymentCommand(),
		c.deploymentHistoryCommand(), c.rolloutCommand(),
	)
	return cmd
}

func (c *cli) deployments() (*client.Deployments, error) {
	conn, err := c.client()
	if err != nil {
		return nil, err
	}
	return conn.Deployments(), nil
}

func (c *cli) setDeploymentCommand() *cobra.Command {
	var place client.Place
	var visibility, owner string
	ifVersion := int64(-1)
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Set where an app runs and who may see it; what no flag names stays", Args: cobra.ExactArgs(1),
		Long: `Set where an app runs and who may see it. What no flag names stays as it is.

A new endpoint takes all visitors at once and ends a rollout. With --if-version it is refused, with exit status 4, unless the app is at that
version.`,
		Example: "  vibectl deployment set shop --target cloudrun --endpoint https://shop-1a2b.run.app\n" +
			"  vibectl deployment set shop --visibility private --owner user-42\n  vibectl deployment set legacy --target cloudflare",
		RunE: func(cmd *cobra.Command, args []string) error {
			if ifVersion < -1 {
				return errors.New("--if-version must be 0 or more")
			}
			deployments, err := c.deployments()
			if err != nil {
				return err
			}
			given := cmd.Flags().Changed
			stored, err := deployments.Change(cmd.Context(), args[0], func(app *client.Deployment) error {
				if ifVersion >= 0 && app.Version != ifVersion {
					return fmt.Errorf("%w: it is at version %d, not %d", client.ErrVersion, app.Version, ifVersion)
				}
				before := app.Place
				if given("target") {
					app.Place = client.Place{Target: place.Target, Endpoint: app.Endpoint}
					if !given("endpoint") && place.Target == "cloudflare" && before.Target != place.Target {
						app.Endpoint = app.Name // as VibeSDK names its Workers
					}
				}
				if given("endpoint") {
					app.Endpoint, app.Audience = place.Endpoint, ""
				}
				if given("audience") {
					app.Audience = place.Audience
				}
				if app.Place != before {
					app.Rollout = nil
				}
				if given("visibility") {
					app.Visibility = visibility
				}
				if given("owner") {
					app.Owner = owner
				}
				return nil
			})
			if err != nil {
				return err
			}
			return c.printDeployment(stored)
		},
	}
	flags := cmd.Flags()
	placeFlags(cmd, &place)
	flags.StringVar(&visibility, "visibility", "", "public, or private: for the owner alone")
	flags.StringVar(&owner, "owner", "", "user id whose owner tokens open a private app; without one everybody sees it")
	flags.Int64Var(&ifVersion, "if-version", -1, "change only if the app is at this version; 0: only if it is not there")
	return cmd
}

func placeFlags(cmd *cobra.Command, place *client.Place) {
	flags := cmd.Flags()
	flags.StringVar(&place.Target, "target", "", "process, cloudrun or cloudflare")
	flags.StringVar(&place.Endpoint, "endpoint", "", "host:port or http(s) URL; the Worker's name for cloudflare")
	flags.StringVar(&place.Audience, "audience", "", "send an ID token for this audience (cloudrun)")
}

func (c *cli) getDeploymentCommand() *cobra.Command {
	return &cobra.Command{
		Use: "get NAME", Short: "Show an app", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			deployments, err := c.deployments()
			if err != nil {
				return err
			}
			app, err := deployments.Get(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.printDeployment(app)
		},
	}
}

func (c *cli) listDeploymentsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List all apps", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			deployments, err := c.deployments()
			if err != nil {
				return err
			}
			all := []client.Deployment{}
			for next, more := "", true; more; more = next != "" {
				var page []client.Deployment
				if page, next, err = deployments.List(cmd.Context(), next, 1000); err != nil {
					return err
				}
				all = append(all, page...)
			}
			return c.printDeployments(all)
		},
	}
}

func (c *cli) deleteDeploymentCommand() *cobra.Command {
	ifVersion := int64(-1)
	cmd := &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Remove an app's route; what runs there goes on", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			deployments, err := c.deployments()
			if err != nil {
				return err
			}
			var expected *int64
			if ifVersion >= 0 {
				expected = &ifVersion
			}
			if err := deployments.Delete(cmd.Context(), args[0], expected); err != nil {
				return err
			}
			if c.format == "json" {
				return c.printJSON(struct{}{})
			}
			_, err = fmt.Fprintf(c.out, "%s is deleted\n", args[0])
			return err
		},
	}
	cmd.Flags().Int64Var(&ifVersion, "if-version", -1, "delete only if the app is at this version")
	return cmd
}

func (c *cli) deploymentHistoryCommand() *cobra.Command {
	limit := 0
	cmd := &cobra.Command{
		Use: "history NAME", Short: "Show who changed an app, and how", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			deployments, err := c.deployments()
			if err != nil {
				return err
			}
			changes, err := deployments.History(cmd.Context(), args[0], limit)
			if err != nil {
				return err
			}
			if c.format == "json" {
				return c.printJSON(changes)
			}
			w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "VERSION\tAT\tBY\tCHANGE")
			for _, change := range changes {
				what := "deleted"
				if change.App != nil {
					what = summary(*change.App)
				}
				fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", change.Version, at(change.At), oneLine(change.By, 40), what)
			}
			return w.Flush()
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 0, "at most so many; 0: all that are kept")
	return cmd
}

func (c *cli) printDeployments(list []client.Deployment) error {
	if c.format == "json" {
		return c.printJSON(list)
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(c.out, "no deployments")
		return err
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tVERSION\tUPDATED\tWHERE AND FOR WHOM")
	for _, app := range list {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", app.Name, app.Version, at(app.UpdatedAt), summary(app))
	}
	return w.Flush()
}

// summary says in a line where an app runs and who sees it.
func summary(app client.Deployment) string {
	text := app.Target + " " + app.Endpoint
	if app.Rollout != nil {
		text += fmt.Sprintf(", %d %% %s %s", app.Rollout.Weight, app.Rollout.Target, app.Rollout.Endpoint)
	}
	if app.Visibility != "public" {
		text += ", " + app.Visibility
		if app.Owner != "" {
			text += " of " + oneLine(app.Owner, 40)
		}
	}
	return text
}

func (c *cli) printDeployment(app client.Deployment) error {
	if c.format == "json" {
		return c.printJSON(app)
	}
	rows := [][2]string{
		{"name", app.Name}, {"target", app.Target}, {"endpoint", app.Endpoint}, {"audience", app.Audience},
		{"visibility", app.Visibility}, {"owner", oneLine(app.Owner, 80)}, {"sandbox", app.SandboxID},
		{"version", fmt.Sprint(app.Version)}, {"updated", at(app.UpdatedAt)},
	}
	if r := app.Rollout; r != nil {
		rows = append(rows, [2]string{"rollout", fmt.Sprintf("%d %% to %s %s", r.Weight, r.Target, r.Endpoint)})
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if row[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
		}
	}
	return w.Flush()
}
