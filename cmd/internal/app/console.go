package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"vibesdk-gcp/cmd/internal/cloudscheduler"
	"vibesdk-gcp/gateway"
	"vibesdk-gcp/gateway/console"
	"vibesdk-gcp/internal/obs"
)

// openConsole is what the operator's pages work with.
func openConsole(c Config, p *provider, roles []Role) (gateway.ConsoleOptions, error) {
	if !c.Console.Enabled {
		return gateway.ConsoleOptions{}, nil
	}
	schedules, err := openSchedules(c, p, roles)
	if err != nil {
		return gateway.ConsoleOptions{}, err
	}
	p.history = p.telemetry.NewHistory(obs.HistoryOptions{Figures: console.Figures()})
	return gateway.ConsoleOptions{Enabled: true, Options: console.Options{
		Secret: []byte(cmp.Or(c.Console.Secret, c.Auth.Key)), History: p.history, Schedules: schedules,
	}}, nil
}

// openSchedules is what fires: this process when it has the role, and otherwise Cloud Scheduler when it is known where that is.
func openSchedules(c Config, p *provider, roles []Role) (console.Schedules, error) {
	if err := p.openTimetable(c); err != nil {
		return nil, err
	}
	if slices.Contains(roles, RoleTicker) || c.Scheduler.Location == "" {
		return p.timetable, nil
	}
	// The connection outlives the start of the program.
	service, err := cloudscheduler.Open(context.Background(), c.Scheduler.naming(), c.Scheduler.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("SCHEDULER_LOCATION: %w", err)
	}
	p.onClose("Cloud Scheduler", func(context.Context) error { return service.Close() })
	return &jobs{file: p.timetable, service: service, timeout: c.Scheduler.Timeout, log: p.log}, nil
}

// openTimetable reads the schedule file, once.
func (p *provider) openTimetable(c Config) error {
	if p.timetable != nil {
		return nil
	}
	entries, err := LoadSchedules(c.SchedulesFile)
	if err != nil {
		return fmt.Errorf("SCHEDULES_FILE: %w", err)
	}
	p.timetable = newTimetable(entries)
	return nil
}
