package main

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"vibesdk-gcp/gateway/client"
)

func (c *cli) listSessionsCommand() *cobra.Command {
	var due time.Duration
	var limit int
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List sessions", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return errors.New("--limit must be 1 or more")
			}
			sessions, err := c.sessions()
			if err != nil {
				return err
			}
			now := time.Now()
			heads := sessions.List(cmd.Context())
			if cmd.Flags().Changed("due") {
				heads = sessions.ListDue(cmd.Context(), now.Add(due))
			}
			list, err := first(heads, limit)
			if err != nil {
				return err
			}
			return c.printSessions(list, now)
		},
	}
	cmd.Flags().DurationVar(&due, "due", 0, "only those with a job due within this time, the earliest first")
	cmd.Flags().IntVar(&limit, "limit", 1000, "show this many at most")
	return cmd
}

func first(heads iter.Seq2[client.Session, error], most int) ([]client.Session, error) {
	list := []client.Session{}
	for head, err := range heads {
		if err != nil {
			return nil, err
		}
		if list = append(list, head); len(list) == most {
			break
		}
	}
	return list, nil
}

func (c *cli) getSessionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "get ID [PART]", Short: "Show a session, or print one of its parts byte for byte", Args: cobra.RangeArgs(1, 2),
		Example: "  vibectl session get chat-1\n  vibectl session get chat-1 state | jq .phase",
		RunE: func(cmd *cobra.Command, args []string) error {
			sessions, err := c.sessions()
			if err != nil {
				return err
			}
			if len(args) == 2 {
				part, err := sessions.Read(cmd.Context(), args[0], args[1])
				if err != nil {
					return err
				}
				_, err = c.out.Write(part.Data)
				return err
			}
			detail, err := sessions.Get(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.printSession(detail)
		},
	}
}

func (c *cli) watchCommand() *cobra.Command {
	var o client.WatchOptions
	var count int
	cmd := &cobra.Command{
		Use: "watch ID", Short: "Print a session now and after each change, a line each", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sessions, err := c.sessions()
			if err != nil {
				return err
			}
			seen := 0
			for event, err := range sessions.Watch(cmd.Context(), args[0], o) {
				if err != nil {
					return err
				}
				if err := c.printEvent(event); err != nil {
					return err
				}
				if seen++; seen == count {
					return nil
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&o.Heads, "heads", false, "without the state")
	cmd.Flags().Int64Var(&o.After, "after", 0, "only what is newer than this commit")
	cmd.Flags().IntVar(&count, "count", 0, "end after this many lines (default: go on)")
	return cmd
}

func (c *cli) historyCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "history ID", Short: "Show what became of the mutations of a session, the newest first", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sessions, err := c.sessions()
			if err != nil {
				return err
			}
			entries, err := sessions.History(cmd.Context(), args[0], limit)
			if err != nil {
				return err
			}
			return c.printHistory(entries)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "show this many at most")
	return cmd
}

func (c *cli) exportCommand() *cobra.Command {
	var form string
	cmd := &cobra.Command{
		Use: "export ID", Short: "Print a session as a Durable Object holds one", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains([]string{"tables", "jobs"}, form) {
				return fmt.Errorf("--form %q is neither tables nor jobs", form)
			}
			sessions, err := c.sessions()
			if err != nil {
				return err
			}
			data, err := sessions.Export(cmd.Context(), args[0], form)
			if err != nil {
				return err
			}
			_, err = c.out.Write(data)
			return err
		},
	}
	cmd.Flags().StringVar(&form, "form", "tables", "tables, as older releases of the agents SDK, or jobs, as newer ones")
	return cmd
}
