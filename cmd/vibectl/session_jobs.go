package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"vibesdk-gcp/gateway/client"
)

func (c *cli) scheduleCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "schedule", Aliases: []string{"schedules"}, Short: "Jobs of a session that run at a time"}
	cmd.AddCommand(c.addScheduleCommand(), c.listSchedulesCommand(), c.cancelScheduleCommand())
	return cmd
}

func (c *cli) queueCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "queue", Short: "Jobs of a session that run one after the other"}
	cmd.AddCommand(c.enqueueCommand(), c.listQueueCommand(), c.dequeueCommand())
	return cmd
}

func (c *cli) addScheduleCommand() *cobra.Command {
	var (
		o         writing
		request   client.ScheduleRequest
		in, every time.Duration
		when      string
		payload   string
	)
	cmd := &cobra.Command{
		Use: "add ID CALLBACK", Short: "Call the agent host at a time", Args: cobra.ExactArgs(2),
		Example: "  vibectl session schedule add chat-1 remind --in 10m --payload '{\"text\":\"hi\"}'\n  vibectl session schedule add chat-1 report --cron '0 8 * * *'",
		RunE: func(cmd *cobra.Command, args []string) error {
			request.Callback = args[1]
			flags := cmd.Flags()
			if flags.Changed("in") {
				seconds := in.Seconds()
				request.DelaySeconds = &seconds
			}
			if flags.Changed("every") {
				seconds := every.Seconds()
				request.IntervalSeconds = &seconds
			}
			var err error
			if flags.Changed("at") {
				if request.At, err = time.Parse(time.RFC3339, when); err != nil {
					return fmt.Errorf("--at %q is not a time like 2026-01-31T12:00:00Z", when)
				}
			}
			if request.Payload, err = c.payload(payload); err != nil {
				return err
			}
			return c.write(cmd, args[0], o, func(ctx context.Context, s *client.Sessions, w client.WriteOptions) (client.MutationResult, error) {
				return s.Schedule(ctx, args[0], request, w)
			})
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&in, "in", 0, "once, after this time")
	flags.StringVar(&when, "at", "", "once, at this time, like 2026-01-31T12:00:00Z")
	flags.StringVar(&request.Cron, "cron", "", "again and again, in UTC: five fields, or six with seconds")
	flags.DurationVar(&every, "every", 0, "again and again, with this time between two runs")
	flags.StringVar(&request.ID, "id", "", "id of the job (default: made up)")
	payloadFlag(cmd, &payload)
	cmd.MarkFlagsOneRequired("in", "at", "cron", "every")
	cmd.MarkFlagsMutuallyExclusive("in", "at", "cron", "every")
	return o.flags(cmd)
}

func payloadFlag(cmd *cobra.Command, payload *string) {
	cmd.Flags().StringVar(payload, "payload", "", "JSON VALUE that the callback gets")
}

func (c *cli) payload(arg string) (json.RawMessage, error) {
	if arg == "" {
		return nil, nil
	}
	return c.value(arg)
}

func (c *cli) listSchedulesCommand() *cobra.Command {
	var filter client.JobFilter
	cmd := &cobra.Command{
		Use: "list ID", Aliases: []string{"ls"}, Short: "List schedules, the earliest first", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sessions, err := c.sessions()
			if err != nil {
				return err
			}
			jobs, err := sessions.Schedules(cmd.Context(), args[0], filter)
			if err != nil {
				return err
			}
			return c.printJobs(jobs, "no schedules", time.Now())
		},
	}
	cmd.Flags().StringVar(&filter.Type, "type", "", "delayed, scheduled, cron or interval")
	cmd.Flags().StringVar(&filter.Callback, "callback", "", "only those that call this")
	return cmd
}

func (c *cli) cancelScheduleCommand() *cobra.Command {
	var o writing
	cmd := &cobra.Command{
		Use: "cancel ID JOB", Short: "Remove a schedule", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.write(cmd, args[0], o, func(ctx context.Context, s *client.Sessions, w client.WriteOptions) (client.MutationResult, error) {
				return s.CancelSchedule(ctx, args[0], args[1], w)
			})
		},
	}
	return o.flags(cmd)
}

func (c *cli) enqueueCommand() *cobra.Command {
	var o writing
	var request client.EnqueueRequest
	var payload string
	cmd := &cobra.Command{
		Use: "add ID CALLBACK", Short: "Add an item at the end of the queue", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.Callback = args[1]
			var err error
			if request.Payload, err = c.payload(payload); err != nil {
				return err
			}
			return c.write(cmd, args[0], o, func(ctx context.Context, s *client.Sessions, w client.WriteOptions) (client.MutationResult, error) {
				return s.Enqueue(ctx, args[0], request, w)
			})
		},
	}
	cmd.Flags().StringVar(&request.ID, "id", "", "id of the item: one with the same id is replaced (default: made up)")
	payloadFlag(cmd, &payload)
	return o.flags(cmd)
}

func (c *cli) listQueueCommand() *cobra.Command {
	var filter client.JobFilter
	cmd := &cobra.Command{
		Use: "list ID", Aliases: []string{"ls"}, Short: "List the queue in its order, parked items as well", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sessions, err := c.sessions()
			if err != nil {
				return err
			}
			jobs, err := sessions.Queue(cmd.Context(), args[0], filter)
			if err != nil {
				return err
			}
			return c.printJobs(jobs, "the queue is empty", time.Now())
		},
	}
	cmd.Flags().StringVar(&filter.Callback, "callback", "", "only those that call this")
	return cmd
}

func (c *cli) dequeueCommand() *cobra.Command {
	var o writing
	var callback string
	var all bool
	cmd := &cobra.Command{
		Use: "remove ID [ITEM]", Aliases: []string{"rm"}, Short: "Remove an item of the queue, all of a callback, or all", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 2) == (all || callback != "") {
				return errors.New("name an item, or --callback, or --all")
			}
			return c.write(cmd, args[0], o, func(ctx context.Context, s *client.Sessions, w client.WriteOptions) (client.MutationResult, error) {
				if len(args) == 2 {
					return s.Dequeue(ctx, args[0], args[1], w)
				}
				return s.DequeueAll(ctx, args[0], callback, w)
			})
		},
	}
	cmd.Flags().StringVar(&callback, "callback", "", "remove all that call this")
	cmd.Flags().BoolVar(&all, "all", false, "remove all")
	cmd.MarkFlagsMutuallyExclusive("callback", "all")
	return o.flags(cmd)
}
