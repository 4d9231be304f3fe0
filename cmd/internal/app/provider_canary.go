package app

import (
	"context"

	"vibesdk-gcp/internal/shadow"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/ratelimit/paritylimit"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/paritysession"
)

// second is the sessions and limits of the second provider.
type second struct {
	*provider

	name    string
	parity  *shadow.Options // nil without
	driver  session.Driver
	backend ratelimit.Backend
}

// openSecond opens what the roles need of the second provider. Limits have the same names and configurations as the first's.
func (p *provider) openSecond(ctx context.Context, c Config, sessions, limits bool) (err error) {
	of := *c.Canary.Second
	of.Limit.Limits = c.Limit.Limits
	s := &second{name: of.Provider, provider: &provider{log: p.log.With("provider", of.Provider), telemetry: p.telemetry, watchdog: p.watchdog}}
	p.onClose("second provider", s.close)
	if isSQL(of.Limit.Backend) && limits || isSQL(of.Session.Backend) && sessions && of.sessionDatabaseURL() == of.databaseURL() {
		if err := s.openDatabase(ctx, of.databaseURL()); err != nil {
			return err
		}
	}
	if sessions {
		if s.driver, err = s.sessionDriver(ctx, of); err != nil {
			return err
		}
		s.sessions = session.NewStore(s.driver, session.Options{
			TTL: of.Session.TTL, Logger: s.log, MeterProvider: p.telemetry.Meter, TracerProvider: p.telemetry.Tracer,
		})
	}
	if limits {
		if s.backend, err = s.limitBackend(of); err != nil {
			return err
		}
		s.limits, err = ratelimit.New(s.backend, ratelimit.Options{
			Limits: of.Limit.Limits, Deadline: of.Limit.Timeout, Meter: p.telemetry.Meter, Logger: s.log,
		})
	}
	if c.Canary.Parity {
		s.parity = &shadow.Options{Ratio: c.Canary.ParityRatio, MeterProvider: p.telemetry.Meter, Logger: p.log}
	}
	p.second = s
	return err
}

// isSQL reports whether a backend of sessions or limits is a database.
func isSQL(backend string) bool {
	return backend == "sql" || backend == "sqlite" || backend == "postgres"
}

// besideSessions compares what d loads with the second provider, when that is wanted.
func (p *provider) besideSessions(d session.Driver) session.Driver {
	if p.second == nil || p.second.parity == nil || p.second.driver == nil {
		return d
	}
	both := paritysession.New(d, p.second.driver, *p.second.parity)
	p.onClose("comparison of sessions", both.Close)
	return both
}

// besideLimits is besideSessions for decisions that charge nothing.
func (p *provider) besideLimits(b ratelimit.Backend) ratelimit.Backend {
	if p.second == nil || p.second.parity == nil || p.second.backend == nil {
		return b
	}
	both := paritylimit.New(b, p.second.backend, *p.second.parity)
	p.onClose("comparison of limits", both.Close)
	return both
}
