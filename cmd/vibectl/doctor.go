package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/cmd/internal/doctor"
	"vibesdk-gcp/gateway/client"
	"vibesdk-gcp/internal/checkup"
)

// doctorTimeout bounds the whole look.
const doctorTimeout = 2 * time.Minute

// errUnwell is the status when something failed.
const errUnwell exitError = 1

func (c *cli) doctorCommand() *cobra.Command {
	var place doctor.Place
	var job, prefix, runEndpoint, schedulerEndpoint string
	var strict bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "Look at how an installation is set up", Args: cobra.NoArgs,
		Long: `Look at how an installation is set up: gateway, clock, database, topics, subscriptions, dead-letter rights, Firestore's indexes and
TTL policy, the job that builds sandboxes, schedules, and how much of their limits Cloud Run, Pub/Sub, Redis and Postgres use. It reads the environment that vibed reads, changes nothing, and says of each fault
what to do about it. What cannot be looked at is skipped, with the reason. The exit status is 1 when something fails.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), doctorTimeout)
			defer cancel()
			found, err := c.checkGateway(ctx)
			if err != nil {
				return err
			}
			config, err := app.ConfigFromEnvironment()
			if faults, ok := errors.AsType[*app.ConfigError](err); ok {
				f := checkup.About("configuration")
				for _, fault := range faults.Faults {
					f.Fail("set it as vibed has it", "%s", fault)
				}
				found = append(found, f.Else("")...)
			} else {
				found = append(found, app.CheckPorts(ctx, config, slog.New(slog.DiscardHandler))...)
			}
			if place.Project == "" {
				place.Project = config.PubSubProject
			}
			entries, err := app.LoadSchedules(config.SchedulesFile)
			if err != nil {
				return err
			}
			// Sandboxes, and the job that builds them, may have a project of their own.
			sandboxes, ticks := place, place
			sandboxes.Endpoint, ticks.Endpoint = runEndpoint, cmp.Or(schedulerEndpoint, config.Scheduler.Endpoint)
			sandboxes.Project = cmp.Or(config.CloudRun.Project, place.Project)
			sandboxes.Region = cmp.Or(place.Region, config.CloudRun.Location)
			ticks.Region = cmp.Or(place.Region, config.Scheduler.Location)
			found = append(found, doctor.Job(ctx, sandboxes, cmp.Or(job, config.CloudRun.Job))...)
			found = append(found, doctor.Services(ctx, sandboxes)...)
			found = append(found, doctor.Schedules(ctx, ticks, cmp.Or(prefix, config.Scheduler.JobPrefix()), config.PubSubPrefix, entries)...)
			if err := c.printFindings(found); err != nil {
				return err
			}
			if worst := checkup.Worst(found); worst == checkup.Fail || strict && worst == checkup.Warn {
				return errUnwell
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&place.Project, "project", "", "project of the schedules, and of the job without CLOUD_RUN_PROJECT (PUBSUB_PROJECT)")
	flags.StringVar(&place.Region, "region", "", "region of the job and the schedules (CLOUD_RUN_LOCATION, SCHEDULER_LOCATION)")
	flags.StringVar(&job, "job", "", "job that builds sandboxes (SANDBOX_JOB; default: vibesdk-sandbox-job)")
	flags.StringVar(&prefix, "prefix", "", "stands before the names of the schedules' jobs (PUBSUB_PREFIX; default: "+app.DefaultJobPrefix+")")
	flags.BoolVar(&strict, "strict", false, "warnings fail as well")
	flags.StringVar(&runEndpoint, "run-endpoint", "", "host:port of a stand-in for Cloud Run, without TLS")
	flags.StringVar(&schedulerEndpoint, "scheduler-endpoint", "", "host:port of a stand-in for Cloud Scheduler, without TLS")
	return cmd
}

func (c *cli) checkGateway(ctx context.Context) ([]checkup.Finding, error) {
	conn, err := app.Connect(c.addr, c.keyFile, client.Options{RetryFor: retryFor})
	if err != nil {
		return nil, err
	}
	return doctor.Gateway(ctx, conn.Address(), conn), nil
}

var marks = map[checkup.Status]string{checkup.OK: "ok", checkup.Skipped: "skipped", checkup.Warn: "WARN", checkup.Fail: "FAIL"}

func (c *cli) printFindings(found []checkup.Finding) error {
	if c.format == "json" {
		return c.printJSON(found)
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	counts := map[checkup.Status]int{}
	for _, f := range found {
		counts[f.Status]++
		fmt.Fprintf(w, "%s\t%s\t%s\n", marks[f.Status], f.Subject, oneLine(f.Detail, 200))
		if f.Fix != "" {
			fmt.Fprintf(w, "\t\t→ %s\n", f.Fix)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	var sums []string
	for _, s := range []checkup.Status{checkup.Fail, checkup.Warn, checkup.OK, checkup.Skipped} {
		if n := counts[s]; n > 0 {
			sums = append(sums, fmt.Sprintf("%d %s", n, strings.ToLower(marks[s])))
		}
	}
	_, err := fmt.Fprintf(c.out, "\n%s\n", strings.Join(sums, ", "))
	return err
}
