package app

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/deployment/sqldeployment"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/session"
)

// side is the ports of one of the two configurations of a migration.
type side struct {
	*provider

	sessions *session.Store
	limits   ratelimit.Backend
}

// open opens the parts that are to be copied. A file that is copied from must be there: an empty one would be copied without a word.
func (m *migration) open(ctx context.Context, c Config, must bool) (_ *side, err error) {
	c.Limit.Timeout = max(c.Limit.Timeout, 10*time.Second) // nobody waits for a decision
	s := &side{provider: &provider{log: m.log}}
	m.closing = append(m.closing, s)
	ours := m.o.Deployments || m.o.Limits && isSQL(c.Limit.Backend) || m.o.Sessions && isSQL(c.Session.Backend) && c.sessionDatabaseURL() == c.databaseURL()
	if must && ours {
		err = databaseExists("DATABASE_URL", c.databaseURL())
	}
	if must && m.o.Sessions && isSQL(c.Session.Backend) {
		err = errors.Join(err, databaseExists("SESSION_DATABASE_URL", c.sessionDatabaseURL()))
	}
	if err != nil {
		return nil, err
	}
	if ours {
		if err := s.openDatabase(ctx, c.databaseURL()); err != nil {
			return nil, err
		}
	}
	if m.o.Deployments {
		s.routes = deployment.NewTable(sqldeployment.New(s.db), deployment.Options{Endpoints: c.Router.Endpoints})
		s.onClose("routes", func(context.Context) error { return s.routes.Close() })
	}
	if m.o.Sessions {
		driver, err := s.sessionDriver(ctx, c)
		if err != nil {
			return nil, err
		}
		s.sessions = session.NewStore(driver, session.Options{CacheBytes: -1, Logger: m.log})
	}
	if m.o.Limits {
		if s.limits, err = s.limitBackend(c); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func databaseExists(name, address string) error {
	path, ok := strings.CutPrefix(address, "sqlite:")
	if !ok {
		return nil
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// homeOf names where a part lives, without secrets. Two configurations with the same name for a part share it.
func homeOf(c Config, part string) string {
	switch part {
	case "sessions":
		switch s := c.Session; s.Backend {
		case "firestore":
			name := "firestore " + s.FirestoreProject + "/" + s.FirestoreDatabase
			if s.FirestoreEndpoint != "" {
				name += " at " + s.FirestoreEndpoint
			}
			return name
		case "cloudflare":
			return "durable objects at " + addressOnly(s.BridgeURL)
		}
		return addressOnly(c.sessionDatabaseURL())
	case "limits":
		switch c.Limit.Backend {
		case "redis":
			return addressOnly(c.Limit.RedisURL)
		case "cloudflare":
			return "durable objects " + c.Limit.Binding + " at " + addressOnly(c.Session.BridgeURL)
		}
	}
	return addressOnly(c.databaseURL())
}

// addressOnly is an address without user, password and options.
func addressOnly(address string) string {
	if strings.HasPrefix(address, "sqlite:") {
		return address
	}
	u, err := url.Parse(address)
	if err != nil {
		return "an address that is not one" // it may hold a secret
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
