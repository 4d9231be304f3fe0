package app

import (
	"cmp"
	"fmt"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/gateway/console"
	"vibesdk-gcp/internal/obs"
)

// openConsole is what the operator's pages work with.
func openConsole(c Config, p *provider) (gateway.ConsoleOptions, error) {
	if !c.Console.Enabled {
		return gateway.ConsoleOptions{}, nil
	}
	if err := p.openTimetable(c); err != nil {
		return gateway.ConsoleOptions{}, err
	}
	p.history = p.telemetry.NewHistory(obs.HistoryOptions{Figures: console.Figures()})
	return gateway.ConsoleOptions{Enabled: true, Options: console.Options{
		Secret: []byte(cmp.Or(c.Console.Secret, c.Auth.Key)), History: p.history, Schedules: p.timetable,
	}}, nil
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
