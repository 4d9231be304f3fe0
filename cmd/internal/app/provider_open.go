package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"vibesdk-gcp/events"
	"vibesdk-gcp/events/sqlletter"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/deployment/sqldeployment"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/sandbox/sqlsandbox"
	"vibesdk-gcp/schemas"
)

// openPorts opens the ports that the roles need, with the drivers that the configuration picks.
func openPorts(ctx context.Context, c Config, roles []Role, log *slog.Logger) (_ *provider, err error) {
	p := &provider{log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close(context.WithoutCancel(ctx)))
		}
	}()
	if err := p.openTelemetry(ctx, c, roles); err != nil {
		return nil, err
	}
	if err := p.openDatabase(ctx, c.databaseURL()); err != nil {
		return nil, err
	}
	if err := p.openBus(ctx, c); err != nil {
		return nil, err
	}
	p.records = sandbox.NewRecords(sqlsandbox.New(p.db))
	p.records.Logger = log
	if err := p.records.Measure(p.telemetry.Meter); err != nil {
		return nil, err
	}
	p.onClose("records", p.records.Close)
	p.routes = deployment.NewTable(sqldeployment.New(p.db), deployment.Options{Endpoints: c.Router.Endpoints})
	p.onClose("routes", func(context.Context) error { return p.routes.Close() })
	if c.Canary.Second != nil {
		if err := p.openSecond(ctx, c, anyRole(roles, needsSessions), anyRole(roles, needsLimits)); err != nil {
			return nil, fmt.Errorf("CANARY_ENV_FILE: %w", err)
		}
	}
	if anyRole(roles, needsSessions) {
		if err := p.openSessions(ctx, c); err != nil {
			return nil, err
		}
	}
	if anyRole(roles, needsLimits) {
		if err := p.openLimits(c); err != nil {
			return nil, err
		}
	}
	// Sandboxes on Cloud Run are given signed addresses of what was uploaded. The fake brings a bucket that can sign.
	if !c.fakeCloudRun() && (anyRole(roles, needsSources) || c.SandboxBackend == "cloudrun" && anyRole(roles, needsRuntime)) {
		if err := p.openSources(ctx, c); err != nil {
			return nil, err
		}
	}
	if c.fakeCloudRun() && c.CloudRun.Emulator != "" && (anyRole(roles, needsSources) || anyRole(roles, needsRuntime)) {
		if err := p.openEmulatorBucket(c); err != nil {
			return nil, err
		}
	}
	if anyRole(roles, needsRuntime) {
		if err := p.openRuntime(ctx, c); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func anyRole(roles []Role, needs func(Role) bool) bool { return slices.ContainsFunc(roles, needs) }

// needsRuntime lists who looks at or changes what runs: locally they must be one process, which owns the folder.
func needsRuntime(role Role) bool {
	return role == RoleSandboxRunner || role == RoleJanitor || role == RoleGateway
}

func (p *provider) openDatabase(ctx context.Context, address string) (err error) {
	if p.db, err = sqldb.Open(ctx, address, sqldb.Options{}); err != nil {
		return err
	}
	p.onClose("database", func(context.Context) error { return p.db.Close() })
	return p.db.Migrate(ctx, schemas.SQL())
}

func (p *provider) openBus(ctx context.Context, c Config) error {
	driver, err := busDriver(ctx, c, p)
	if err != nil {
		return err
	}
	if driver, err = faultyBus(driver); err != nil {
		return err
	}
	p.bus = events.New(driver, events.Options{
		Source: "vibed", DrainTimeout: c.DrainTimeout, Logger: p.log,
		TracerProvider: p.telemetry.Tracer, MeterProvider: p.telemetry.Meter, Watchdog: p.watchdog,
	})
	p.onClose("bus", func(context.Context) error { return p.bus.Close() })
	p.letters, err = events.NewLetterBox(sqlletter.New(p.db), p.bus, events.LetterOptions{Logger: p.log, MeterProvider: p.telemetry.Meter})
	return err
}
