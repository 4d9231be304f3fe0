package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"github.com/spf13/cobra"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/cmd/internal/cloudscheduler"
	"vibesdk-gcp/internal/schedule"
)

// errDrift is the status of a difference between the schedule file and Cloud Scheduler, for CI.
const errDrift exitError = 2

// schedulesCLI is what the commands about schedules share.
type schedulesCLI struct {
	*cli
	file   string
	naming cloudscheduler.Naming
	// topicPrefix and endpoint are flags that have a default elsewhere when they are not given.
	topicPrefix, endpoint string
}

func (c *cli) schedulesCommand() *cobra.Command {
	s := &schedulesCLI{cli: c}
	cmd := &cobra.Command{
		Use: "schedules", Aliases: []string{"schedule"}, Short: "What happens by the clock: jobs of Cloud Scheduler",
		Long: "Jobs of Cloud Scheduler, made from the schedule file. Only jobs whose names have the prefix and whose descriptions end with\n" +
			strings.TrimSpace(cloudscheduler.OwnMark) + " are changed. A vibed with the role ticker needs none of them: it reads the same file.",
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&s.file, "file", "", "schedule file (default: infra/schedules.yaml as it was built in)")
	flags.StringVar(&s.naming.Project, "project", "", "project of the jobs and the topics (PUBSUB_PROJECT)")
	flags.StringVar(&s.naming.Location, "location", "", "region of the jobs (SCHEDULER_LOCATION)")
	flags.StringVar(&s.naming.Prefix, "prefix", "", "stands before the names of the jobs (PUBSUB_PREFIX; default: "+app.DefaultJobPrefix+")")
	flags.StringVar(&s.topicPrefix, "topic-prefix", "", "stands before the names of the topics (PUBSUB_PREFIX; default: --prefix)")
	flags.StringVar(&s.endpoint, "endpoint", "", "address of a stand-in for the service, without TLS (SCHEDULER_EMULATOR_HOST)")
	cmd.AddCommand(
		s.listCommand(), s.diffCommand(), s.applyCommand(),
		s.turnCommand("pause", "Stop jobs from running until they are resumed", schedulerpb.Job_PAUSED),
		s.turnCommand("resume", "Let paused jobs run again", schedulerpb.Job_ENABLED), s.runCommand(),
	)
	return cmd
}

// open reads flags, environment and file, and connects. Everything is checked before anything is asked.
func (s *schedulesCLI) open(cmd *cobra.Command) (*cloudscheduler.Service, []schedule.Entry, error) {
	config, err := app.SchedulerConfigFromEnvironment()
	if err != nil {
		return nil, nil, err
	}
	pick := func(flag *string, fallback string) {
		if *flag == "" {
			*flag = fallback
		}
	}
	pick(&s.naming.Project, config.Project)
	pick(&s.naming.Location, config.Location)
	pick(&s.endpoint, config.Endpoint)
	if !cmd.Flags().Changed("prefix") {
		s.naming.Prefix = config.JobPrefix()
	}
	s.naming.TopicPrefix = s.topicPrefix
	if !cmd.Flags().Changed("topic-prefix") {
		s.naming.TopicPrefix = config.TopicPrefix
		pick(&s.naming.TopicPrefix, s.naming.Prefix)
	}
	switch {
	case s.naming.Project == "":
		return nil, nil, errors.New("--project or PUBSUB_PROJECT is required")
	case s.naming.Location == "":
		return nil, nil, errors.New("--location or SCHEDULER_LOCATION is required, like europe-west1")
	case !strings.HasSuffix(s.naming.Prefix, "-") || len(s.naming.Prefix) < 2:
		return nil, nil, fmt.Errorf("--prefix %q must end with a dash: it tells our jobs from others", s.naming.Prefix)
	}
	entries, err := app.LoadSchedules(s.file)
	if err != nil {
		return nil, nil, err
	}
	cloud, err := cloudscheduler.Open(cmd.Context(), s.naming, s.endpoint)
	return cloud, entries, err
}

// with opens, calls fn and closes.
func (s *schedulesCLI) with(cmd *cobra.Command, fn func(ctx context.Context, cloud *cloudscheduler.Service, entries []schedule.Entry) error) (err error) {
	cloud, entries, err := s.open(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cloud.Close()) }()
	return fn(cmd.Context(), cloud, entries)
}

func (s *schedulesCLI) listCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List our jobs, when they run next and how the last time went", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.with(cmd, func(ctx context.Context, cloud *cloudscheduler.Service, _ []schedule.Entry) error {
				jobs, err := cloud.List(ctx)
				if err != nil {
					return err
				}
				return s.printJobs(cloud.Naming, jobs)
			})
		},
	}
}

func (s *schedulesCLI) diffCommand() *cobra.Command {
	return &cobra.Command{
		Use: "diff", Short: "Show how our jobs differ from the schedule file", Args: cobra.NoArgs,
		Long: "Show how our jobs differ from the schedule file. The exit status is 2 when they do.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.with(cmd, func(ctx context.Context, cloud *cloudscheduler.Service, entries []schedule.Entry) error {
				jobs, err := cloud.List(ctx)
				if err != nil {
					return err
				}
				drifts := cloudscheduler.Compare(cloud.Naming, entries, jobs)
				if err := s.printDrift(drifts, len(entries)); err != nil {
					return err
				}
				if len(drifts) > 0 {
					return errDrift
				}
				return nil
			})
		},
	}
}

func (s *schedulesCLI) applyCommand() *cobra.Command {
	var dry, adopt, resume bool
	cmd := &cobra.Command{
		Use: "apply", Short: "Make our jobs what the schedule file says", Args: cobra.NoArgs,
		Long: "Make our jobs what the schedule file says: make those that are missing, change those that differ, remove those of ours that the file\n" +
			"does not have any more. A job that somebody paused stays paused. One that fails does not keep it from the others.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.with(cmd, func(ctx context.Context, cloud *cloudscheduler.Service, entries []schedule.Entry) error {
				jobs, err := cloud.List(ctx)
				if err != nil {
					return err
				}
				return s.apply(ctx, cloud, cloudscheduler.Compare(cloud.Naming, entries, jobs), dry, adopt, resume)
			})
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&dry, "dry-run", false, "say what would be done, and do nothing")
	flags.BoolVar(&adopt, "adopt", false, "take over jobs of our names that were made some other way")
	flags.BoolVar(&resume, "resume", false, "let paused jobs run again")
	return cmd
}

// done is what apply did with one job.
type done struct {
	Name   string `json:"name"`
	Action string `json:"action"`
	Error  string `json:"error,omitempty"`
}

func (s *schedulesCLI) apply(ctx context.Context, cloud *cloudscheduler.Service, drifts []cloudscheduler.Drift, dry, adopt, resume bool) error {
	var failed []error
	results := []done{}
	for _, d := range drifts {
		action := map[string]string{cloudscheduler.Missing: "create", cloudscheduler.Changed: "change", cloudscheduler.Extra: "remove", cloudscheduler.Foreign: "adopt"}[d.Kind]
		do := func() error { return cloud.Settle(ctx, d, adopt) }
		if d.Kind == cloudscheduler.Stopped {
			switch {
			case d.State == schedulerpb.Job_UPDATE_FAILED.String():
				action = "change"
			case resume:
				action = "resume"
				do = func() error { return cloud.Turn(ctx, d.Name, schedulerpb.Job_ENABLED) }
			default:
				results = append(results, done{Name: d.Name, Action: "left " + strings.ToLower(d.State)})
				continue
			}
		}
		result := done{Name: d.Name, Action: action}
		err := error(nil)
		switch {
		case d.Kind == cloudscheduler.Foreign && !adopt:
			err = cloudscheduler.ErrNotOurs
		case dry:
			result.Action = "would " + action
		default:
			err = do()
		}
		if err != nil {
			result.Error = err.Error()
			failed = append(failed, fmt.Errorf("%s %s: %w", action, d.Name, err))
		}
		results = append(results, result)
	}
	if err := s.printDone(results); err != nil {
		return err
	}
	return errors.Join(failed...)
}

func (s *schedulesCLI) turnCommand(name, short string, to schedulerpb.Job_State) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: name + " NAME...", Short: short, Args: namesOr(&all),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.eachJob(cmd, args, all, name, func(ctx context.Context, cloud *cloudscheduler.Service, job string) error {
				return cloud.Turn(ctx, job, to)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all of ours")
	return cmd
}

func (s *schedulesCLI) runCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "run NAME...", Short: "Let jobs publish now, whatever the time", Args: namesOr(&all),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.eachJob(cmd, args, all, "run", func(ctx context.Context, cloud *cloudscheduler.Service, job string) error {
				_, err := cloud.Run(ctx, job)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all of ours")
	return cmd
}

// namesOr wants names, or --all without names.
func namesOr(all *bool) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if (len(args) == 0) == !*all {
			return errors.New("name schedules, or give --all")
		}
		return nil
	}
}

// eachJob calls fn for jobs by name; one that fails does not keep it from the others.
func (s *schedulesCLI) eachJob(cmd *cobra.Command, args []string, all bool, action string, fn func(context.Context, *cloudscheduler.Service, string) error) error {
	return s.with(cmd, func(ctx context.Context, cloud *cloudscheduler.Service, _ []schedule.Entry) error {
		if all {
			jobs, err := cloud.List(ctx)
			if err != nil {
				return err
			}
			for _, job := range jobs {
				if short, _ := cloud.Short(job.GetName()); cloud.Owns(job) {
					args = append(args, short)
				}
			}
		}
		var failed []error
		results := []done{}
		for _, name := range args {
			result := done{Name: name, Action: action}
			if err := fn(ctx, cloud, name); err != nil {
				result.Error = err.Error()
				failed = append(failed, fmt.Errorf("%s %s: %w", action, name, err))
			}
			results = append(results, result)
		}
		if err := s.printDone(results); err != nil {
			return err
		}
		return errors.Join(failed...)
	})
}
