package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/client"
)

func (c *cli) listCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List sandboxes", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sandboxes, err := c.sandboxes()
			if err != nil {
				return err
			}
			states := []client.State{client.Requested, client.Building, client.Starting, client.Ready, client.Stopping, client.Failed}
			if all {
				states = nil
			}
			list, err := sandboxes.List(cmd.Context(), states...)
			if err != nil {
				return err
			}
			return c.printList(list, time.Now())
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "show deleted ones as well")
	return cmd
}

func (c *cli) getCommand() *cobra.Command {
	return &cobra.Command{
		Use: "get ID", Short: "Show one sandbox", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.sandbox(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.printOne(s)
		},
	}
}

func (c *cli) logsCommand() *cobra.Command {
	var o client.LogOptions
	cmd := &cobra.Command{
		Use: "logs ID", Short: "Print what a sandbox printed", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sandboxes, err := c.sandboxes()
			if err != nil {
				return err
			}
			stream, err := sandboxes.Logs(cmd.Context(), args[0], o)
			if err != nil {
				return err
			}
			defer stream.Close()
			_, err = io.Copy(c.out, stream)
			return err
		},
	}
	cmd.Flags().BoolVarP(&o.Follow, "follow", "f", false, "go on until the sandbox ends")
	cmd.Flags().StringVar(&o.Phase, "phase", "", "build or serve (default: one after the other)")
	cmd.Flags().Int64Var(&o.Offset, "offset", 0, "skip so many bytes of the log that --phase names")
	cmd.Flags().Int64Var(&o.Limit, "limit", 0, "print at most so many bytes of the log that --phase names (default: all)")
	return cmd
}

func (c *cli) stopCommand() *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use: "stop ID...", Short: "End sandboxes", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sandboxes, err := c.sandboxes()
			if err != nil {
				return err
			}
			var failed []error
			for _, id := range args {
				if err := c.stop(cmd.Context(), sandboxes, id, wait); err != nil {
					failed = append(failed, fmt.Errorf("%s: %w", id, err))
				}
			}
			return errors.Join(failed...)
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", true, "return when it is gone; --wait=false when the request is accepted")
	return cmd
}

func (c *cli) stop(ctx context.Context, sandboxes *client.Sandboxes, id string, wait bool) error {
	s, err := sandboxes.Stop(ctx, id)
	if err != nil {
		return err
	}
	if wait {
		for now, err := range sandboxes.Watch(ctx, id) {
			if err != nil {
				return err
			}
			s = now
		}
	}
	if c.format == "json" {
		return c.printJSON(s)
	}
	if s.State.Ended() {
		_, err = fmt.Fprintf(c.out, "%s %s\n", id, s.State)
	} else {
		_, err = fmt.Fprintf(c.out, "%s is being stopped\n", id)
	}
	return err
}

func (c *cli) openCommand() *cobra.Command {
	return &cobra.Command{
		Use: "open ID", Short: "Open a preview in the browser", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.sandbox(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if s.PreviewURL == "" {
				return fmt.Errorf("%s is %s and has no preview", s.ID, s.State)
			}
			fmt.Fprintln(c.out, s.PreviewURL)
			return app.OpenBrowser(cmd.Context(), s.PreviewURL)
		},
	}
}
