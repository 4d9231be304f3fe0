package app

import (
	"context"
	"fmt"
	"time"

	"vibesdk-gcp/internal/cfclient"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/ratelimit/cloudflarelimit"
	"vibesdk-gcp/platform/ratelimit/redislimit"
	"vibesdk-gcp/platform/ratelimit/sqllimit"
)

// needsLimits lists who asks for limits or sweeps them.
func needsLimits(role Role) bool { return role == RoleGateway || role == RoleJanitor }

func (p *provider) openLimits(c Config) error {
	backend, err := p.limitBackend(c)
	if err != nil {
		return err
	}
	p.limits, err = ratelimit.New(p.besideLimits(backend), ratelimit.Options{
		Limits: c.Limit.Limits, Deadline: c.Limit.Timeout, Meter: p.telemetry.Meter, Logger: p.log,
	})
	return err
}

// limitBackend opens what counts: the database, Redis, or Durable Objects.
func (p *provider) limitBackend(c Config) (ratelimit.Backend, error) {
	switch c.Limit.Backend {
	case "redis":
		// The server's answer is waited for as long as a decision is.
		backend, err := redislimit.Open(c.Limit.RedisURL, redislimit.Options{Timeout: c.Limit.Timeout})
		if err != nil {
			return nil, fmt.Errorf("REDIS_URL: %w", err)
		}
		p.onClose("limits", func(context.Context) error { return backend.Close() })
		return backend, nil
	case "cloudflare":
		bridge, err := cfclient.New(cfclient.Options{URL: c.Session.BridgeURL, Key: c.Session.BridgeKey})
		if err != nil {
			return nil, err
		}
		p.onClose("limits", func(context.Context) error { bridge.Close(); return nil })
		return cloudflarelimit.New(bridge, cloudflarelimit.Options{Binding: c.Limit.Binding}), nil
	default:
		return sqllimit.New(p.db, sqllimit.Options{}), nil
	}
}

// sweepLimits is the janitor's sweep of counts that no window reaches any more. One call frees all there are.
func (p *provider) sweepLimits(ctx context.Context, _ time.Time) (int, error) {
	return p.limits.Sweep(ctx)
}
