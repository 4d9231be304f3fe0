package main

import (
	"errors"

	"github.com/spf13/cobra"

	"vibesdk-gcp/gateway/client"
)

func (c *cli) rolloutCommand() *cobra.Command {
	var place client.Place
	var finish, abort bool
	weight := 0
	cmd := &cobra.Command{
		Use: "rollout NAME", Short: "Send a share of an app's visitors to a second place", Args: cobra.ExactArgs(1),
		Long: `Send a share of an app's visitors to a second place.

A visitor stays where they are while the weight does not change; while it grows nobody goes back. --finish makes the second place the only
one, --abort the first.`,
		Example: "  vibectl deployment rollout shop --endpoint https://shop-2-1a2b.run.app --weight 5\n" +
			"  vibectl deployment rollout shop --weight 50\n  vibectl deployment rollout shop --finish",
		RunE: func(cmd *cobra.Command, args []string) error {
			given := cmd.Flags().Changed
			switch begins := given("endpoint") || given("weight"); {
			case finish && abort, (finish || abort) && begins:
				return errors.New("give --finish, --abort, or --weight with or without --endpoint")
			case !finish && !abort && !given("weight"):
				return errors.New("--weight is required: how many of a hundred visitors the second place gets")
			}
			deployments, err := c.deployments()
			if err != nil {
				return err
			}
			stored, err := deployments.Change(cmd.Context(), args[0], func(app *client.Deployment) error {
				if app.Version == 0 {
					return errors.New("there is no app " + app.Name)
				}
				if app.Rollout == nil && !given("endpoint") {
					return errors.New("no rollout is under way: begin one with --endpoint and --weight")
				}
				switch {
				case finish:
					app.Place, app.Rollout = app.Rollout.Place, nil
				case abort:
					app.Rollout = nil
				case given("endpoint"):
					if place.Target == "" {
						place.Target = app.Target
					}
					app.Rollout = &client.Rollout{Place: place, Weight: weight}
				default:
					app.Rollout.Weight = weight
				}
				return nil
			})
			if err != nil {
				return err
			}
			return c.printDeployment(stored)
		},
	}
	placeFlags(cmd, &place)
	flags := cmd.Flags()
	flags.Lookup("target").Usage += "; as the first place when not given"
	flags.IntVar(&weight, "weight", 0, "how many of a hundred visitors the second place gets, 0 to 100")
	flags.BoolVar(&finish, "finish", false, "all visitors go to the second place, and it is the only one")
	flags.BoolVar(&abort, "abort", false, "all visitors go to the first place again")
	return cmd
}
