package app

import (
	"context"
	"crypto/rand"
	"os"

	"vibesdk-gcp/internal/obs"
)

func (p *provider) openTelemetry(ctx context.Context, c Config, roles []Role) (err error) {
	instance, err := os.Hostname()
	if err != nil {
		instance = "unknown"
	}
	service := "vibed"
	if len(roles) < len(AllRoles()) {
		service += " " + joinRoles(roles)
	}
	p.telemetry, err = obs.NewTelemetry(ctx, obs.TelemetryOptions{
		Endpoint: c.Telemetry.Endpoint, SampleRatio: c.Telemetry.SampleRatio,
		Service: service, Instance: instance + "-" + rand.Text()[:8], // several processes of one machine
	})
	if err != nil {
		return err
	}
	p.onClose("telemetry", func(ctx context.Context) error {
		if err := p.telemetry.Close(ctx); err != nil { // a collector that is away is no reason for a stop to fail
			p.log.WarnContext(ctx, "the last of telemetry was not sent", "error", err)
		}
		return nil
	})
	p.watchdog, err = obs.NewWatchdog(obs.WatchdogOptions{
		Logger: p.log, MeterProvider: p.telemetry.Meter, GiveUp: c.Telemetry.StallExit,
	})
	return err
}
