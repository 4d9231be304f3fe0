package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/client"
	"vibesdk-gcp/internal/obs"
)

// closeTimeout bounds what a stop takes beyond the drain: ending sandboxes and closing drivers.
const closeTimeout = 15 * time.Second

// options are the flags.
type options struct {
	roles        []app.Role
	listen, data string
	runDir       string
	open         bool
	cloudRun     string
}

// serve runs the roles until ctx ends or one of them fails.
func serve(ctx context.Context, o options, stdout, stderr io.Writer) error {
	config, err := app.ConfigFromEnvironment()
	if err != nil {
		return err
	}
	if o.listen != "" {
		config.Listen = o.listen
	}
	if o.data != "" {
		config.DataDir = o.data
	}
	switch o.cloudRun {
	case "":
	case "fake":
		config.SandboxBackend, config.CloudRun.Fake = "cloudrun", true
	default:
		return fmt.Errorf("--cloud-run %q is not fake; what Google's Cloud Run needs is set by the environment", o.cloudRun)
	}
	var project client.Project
	if o.runDir != "" {
		if project, err = readProject(config, o); err != nil {
			return err
		}
		if !config.LogLevelSet {
			config.LogLevel = slog.LevelWarn // progress is what is shown
		}
	}
	log := obs.NewLogger(stderr, obs.LogOptions{Level: config.LogLevel, Format: config.LogFormat, Project: config.Telemetry.Project})
	obs.LogComplaints(log)
	a, err := app.Start(ctx, config, o.roles, log)
	if err != nil {
		return err
	}
	var failed error
	if o.runDir == "" {
		waitFor(ctx, a)
	} else {
		failed = preview(ctx, a, config, o, project, stdout)
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), config.DrainTimeout+closeTimeout)
	defer cancel()
	return errors.Join(failed, a.Stop(stop))
}

func readProject(config app.Config, o options) (client.Project, error) {
	for _, needed := range app.AllRoles() {
		if !slices.Contains(o.roles, needed) {
			return client.Project{}, fmt.Errorf("--run needs all roles; %s is not among those named", needed)
		}
	}
	if config.Auth.File != "" && config.Auth.Key == "" {
		return client.Project{}, errors.New("--run calls this server itself and needs API_KEY_FILE beside API_KEYS_FILE")
	}
	return client.ReadProject(o.runDir, client.RunRequest{})
}

// consoleHint says where the operator's pages are, when there are any.
func consoleHint(config app.Config, base string) string {
	if !config.Console.Enabled {
		return ""
	}
	return "All of it, in a browser: " + base + "/console\n"
}

func waitFor(ctx context.Context, a *app.App) {
	select {
	case <-ctx.Done():
	case <-a.Broken():
	}
}

// preview runs a project in a sandbox like any other caller would, and ends it when this program ends.
func preview(ctx context.Context, a *app.App, config app.Config, o options, project client.Project, out io.Writer) error {
	base := "http://" + a.Addr()
	c, err := client.New(base, client.Options{APIKey: config.Auth.Key})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "vibed answers at %s\n\n", base)
	sandbox, err := app.RunAndReport(ctx, c, project, out)
	if err == nil {
		fmt.Fprintf(out, "In a second terminal:\n  bin/vibectl%s sandbox list\n  bin/vibectl%[1]s sandbox logs -f %[2]s\n  bin/vibectl%[1]s sandbox run DIR\n%[3]sCtrl-C stops everything.\n",
			addrFlag(base), sandbox.ID, consoleHint(config, base))
		if o.open {
			if err := app.OpenBrowser(ctx, sandbox.PreviewURL); err != nil {
				fmt.Fprintf(out, "%v\n", err)
			}
		}
		waitFor(ctx, a)
	}
	if errors.Is(err, context.Canceled) {
		err = nil // stopped while it was being built
	}
	if sandbox.ID != "" {
		endSandbox(ctx, c, sandbox.ID, out)
	}
	return err
}

func addrFlag(base string) string {
	if base == app.DefaultAddr {
		return ""
	}
	return " --addr " + base
}

// endSandbox ends the one sandbox that is this program's own. Others come back with the next start.
func endSandbox(ctx context.Context, c *client.Client, id string, out io.Writer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	s, err := c.Sandboxes().Stop(ctx, id)
	if err == nil && !s.State.Ended() {
		fmt.Fprintf(out, "ending sandbox %s\n", id)
		for now, watchErr := range c.Sandboxes().Watch(ctx, id) {
			s, err = now, watchErr
		}
	}
	if err != nil {
		fmt.Fprintf(out, "sandbox %s was not ended and goes on with the next start: %v\n", id, err)
	}
}
