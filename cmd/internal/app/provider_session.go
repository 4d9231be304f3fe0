package app

import (
	"context"

	"vibesdk-gcp/internal/cfclient"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/cloudflaresession"
	"vibesdk-gcp/platform/session/firestoresession"
	"vibesdk-gcp/platform/session/sqlsession"
	"vibesdk-gcp/schemas"
)

// needsSessions lists who reads or writes agent sessions.
func needsSessions(role Role) bool {
	return role == RoleGateway || role == RoleStateWriter || role == RoleCallbackRunner || role == RoleJanitor
}

func (p *provider) openSessions(ctx context.Context, c Config) error {
	driver, err := p.sessionDriver(ctx, c)
	if err != nil {
		return err
	}
	if driver, err = faultySessions(driver); err != nil {
		return err
	}
	p.sessions = session.NewStore(p.besideSessions(driver), session.Options{TTL: c.Session.TTL, Logger: p.log, MeterProvider: p.telemetry.Meter, TracerProvider: p.telemetry.Tracer})
	return nil
}

// sessionDriver opens what keeps the sessions: a database, Firestore, or Durable Objects.
func (p *provider) sessionDriver(ctx context.Context, c Config) (session.Driver, error) {
	switch c.Session.Backend {
	case "firestore":
		driver, err := firestoresession.New(ctx, firestoresession.Options{
			Project: c.Session.FirestoreProject, Database: c.Session.FirestoreDatabase, Endpoint: c.Session.FirestoreEndpoint, Logger: p.log,
		})
		if err != nil {
			return nil, err
		}
		p.onClose("sessions", func(context.Context) error { return driver.Close() })
		return driver, nil
	case "cloudflare":
		bridge, err := cfclient.New(cfclient.Options{URL: c.Session.BridgeURL, Key: c.Session.BridgeKey})
		if err != nil {
			return nil, err
		}
		p.onClose("sessions", func(context.Context) error { bridge.Close(); return nil })
		return cloudflaresession.New(bridge), nil
	default:
		db, err := p.sessionDatabase(ctx, c)
		if err != nil {
			return nil, err
		}
		return sqlsession.New(db), nil
	}
}

// sessionDatabase is the platform's own database, or one for the sessions alone.
func (p *provider) sessionDatabase(ctx context.Context, c Config) (*sqldb.DB, error) {
	address := c.sessionDatabaseURL()
	if address == c.databaseURL() {
		return p.db, nil
	}
	db, err := sqldb.Open(ctx, address, sqldb.Options{})
	if err != nil {
		return nil, err
	}
	p.onClose("session database", func(context.Context) error { return db.Close() })
	return db, db.Migrate(ctx, schemas.SQL())
}
