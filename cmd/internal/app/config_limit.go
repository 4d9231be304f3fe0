package app

import (
	"os"
	"strings"
	"time"

	"vibesdk-gcp/platform/ratelimit"
)

// LimitConfig says which rate limits there are and where they are counted.
type LimitConfig struct {
	// Backend is sql, the database at DATABASE_URL; redis; or cloudflare, Durable Objects through the bridge at BRIDGE_URL.
	// LIMIT_BACKEND. Defaults to sql, with other providers to redis or cloudflare.
	Backend string
	// RedisURL is the server or cluster: redis[s]://[user:password@]host:port[/db] or redis[s]+cluster://…. REDIS_URL. Required with
	// Backend redis.
	RedisURL string
	// Binding is what the bridge calls the objects, which are of its class RateLimitObject. LIMIT_BINDING. Defaults to RATE_LIMITS.
	Binding string
	// Timeout bounds each decision; when it passes, a limit does what its onFailure says. LIMIT_TIMEOUT. Defaults to 50ms
	// with redis, 250ms with sql and 1s with cloudflare.
	Timeout time.Duration
	// Limits by name: those of LIMITS_PRESET, vibesdk-2026-08 (the default) or vibesdk-2025-10, with those of the YAML or JSON
	// file LIMITS_FILE put in. Such a file maps names to {limit, period, burst, burstWindow, bucketSize, dailyLimit,
	// calendarDaily, onFailure}.
	Limits map[string]ratelimit.Limit
	// API charges each call of the gateway to the limit apiRateLimit of its caller, and each call with a wrong key to authRateLimit of
	// its address. API_RATE_LIMIT, on or off. Defaults to off.
	API bool
}

// limitTimeouts are the defaults by backend: a decision is waited for before every call that it guards.
var limitTimeouts = map[string]time.Duration{"sql": 250 * time.Millisecond, "redis": 50 * time.Millisecond, "cloudflare": time.Second}

func (r *reader) limits(backend string) LimitConfig {
	c := LimitConfig{
		Backend:  r.choice("LIMIT_BACKEND", backend, "sql", "redis", "cloudflare"),
		RedisURL: r.text("REDIS_URL", ""),
		Binding:  r.text("LIMIT_BINDING", "RATE_LIMITS"),
		API:      r.oneOf("API_RATE_LIMIT", "off", "on") == "on",
		Limits:   ratelimit.PresetH(),
	}
	c.Timeout = r.duration("LIMIT_TIMEOUT", limitTimeouts[c.Backend], time.Millisecond, time.Minute)
	if r.oneOf("LIMITS_PRESET", "vibesdk-2026-08", "vibesdk-2025-10") == "vibesdk-2025-10" {
		c.Limits = ratelimit.PresetS()
	}
	if path := r.text("LIMITS_FILE", ""); path != "" {
		file, err := os.ReadFile(path)
		if err == nil {
			c.Limits, err = ratelimit.Override(c.Limits, file)
		}
		if err != nil {
			r.fault("LIMITS_FILE", "%s", err)
		}
	}
	return c
}

// checkLimits holds the rules between the fields of limits. No fault repeats an address: it may hold a password.
func (r *reader) checkLimits(c Config) {
	switch c.Limit.Backend {
	case "redis":
		scheme, rest, _ := strings.Cut(c.Limit.RedisURL, "://")
		scheme = strings.TrimSuffix(scheme, "+cluster")
		if (scheme != "redis" && scheme != "rediss") || rest == "" {
			r.fault("REDIS_URL", "must be like redis://host:6379, rediss:// for TLS, redis+cluster:// for a cluster")
		}
	case "cloudflare":
		if c.Session.BridgeURL == "" {
			r.fault("BRIDGE_URL", "is required with LIMIT_BACKEND=cloudflare")
		}
		if c.Session.BridgeKey == "" {
			r.fault("BRIDGE_KEY_FILE", "is required with LIMIT_BACKEND=cloudflare")
		}
	}
	if c.Limit.RedisURL != "" && c.Limit.Backend != "redis" {
		r.fault("REDIS_URL", "has no use with LIMIT_BACKEND=%s", c.Limit.Backend)
	}
}
