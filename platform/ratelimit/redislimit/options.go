package redislimit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Options tune [Open]. The zero value is right for a program.
type Options struct {
	// Prefix begins every key in Redis. Defaults to "rl:".
	Prefix string
	// Timeout bounds the wait for a reply, whatever the callers' deadlines. Defaults to 100 ms.
	Timeout time.Duration
	// DialTimeout bounds a new connection, TLS included. Defaults to 500 ms.
	DialTimeout time.Duration
	// Conns bounds the connections to one server. Defaults to 8: calls share pipelines.
	Conns int
	// Keep is how long counts are kept at least, for rules with longer windows than those that charged. Defaults to 0.
	Keep time.Duration
	// OneShard puts every key on one shard of a cluster, so that any keys can be charged in one call.
	OneShard bool
}

func (o Options) withDefaults() Options {
	if o.Prefix == "" {
		o.Prefix = "rl:"
	}
	if o.Timeout <= 0 {
		o.Timeout = 100 * time.Millisecond
	}
	if o.DialTimeout <= 0 {
		o.DialTimeout = 500 * time.Millisecond
	}
	if o.Conns <= 0 {
		o.Conns = 8
	}
	return o
}

// silent drops what the client library prints of its own accord, a line for each connection that fails: the caller gets the
// error, and a limiter says once that an outage began.
type silent struct{}

// Printf implements the library's logger.
func (silent) Printf(context.Context, string, ...any) {}

func init() { redis.SetLogger(silent{}) } // it is the library's only, and not safe to set later

// connect reads `redis://`, `rediss://` (TLS), `redis+cluster://` and `rediss+cluster://` addresses. A client retries nothing by itself: a script
// whose reply was late may have charged.
func connect(address string, o Options) (redis.UniversalClient, error) {
	invalid := errors.New("redis address must be redis[s]://[user:password@]host:port[/db] or redis[s]+cluster://…") // the cause may quote the password
	scheme, rest, _ := strings.Cut(address, "://")
	if plain, ok := strings.CutSuffix(scheme, "+cluster"); ok {
		c, err := redis.ParseClusterURL(plain + "://" + rest)
		if err != nil {
			return nil, invalid
		}
		c.ContextTimeoutEnabled, c.MaxRetries, c.DialerRetries = true, -1, 1
		c.ReadTimeout, c.WriteTimeout, c.DialTimeout = o.Timeout, o.Timeout, o.DialTimeout
		c.PoolSize, c.PoolTimeout = o.Conns, o.Timeout
		return redis.NewClusterClient(c), nil
	}
	c, err := redis.ParseURL(address)
	if err != nil || scheme == "unix" {
		return nil, invalid
	}
	o.apply(c)
	return redis.NewClient(c), nil
}

// apply makes the options those of a client of one server.
func (o Options) apply(c *redis.Options) {
	c.ContextTimeoutEnabled, c.MaxRetries, c.DialerRetries = true, -1, 1
	c.ReadTimeout, c.WriteTimeout, c.DialTimeout = o.Timeout, o.Timeout, o.DialTimeout
	c.PoolSize, c.PoolTimeout = o.Conns, o.Timeout
}

// tag is the hash tag of a key, which decides its shard. A brace within would end it early, so braces are replaced.
func (o Options) tag(key string) string {
	if o.OneShard {
		return "all"
	}
	if rest, ok := strings.CutPrefix(key, "platform:"); ok {
		if _, identifier, ok := strings.Cut(rest, ":"); ok && identifier != "" {
			key = identifier
		}
	}
	return strings.NewReplacer("{", "(", "}", ")").Replace(key)
}

// hash is the name of a key's hash.
func (o Options) hash(key string) string {
	return o.Prefix + "{" + o.tag(key) + "}" + key
}

// ids is the name of the set of a key's adjustments.
func (o Options) ids(key string) string {
	return fmt.Sprintf("%sid:{%s}%s", o.Prefix, o.tag(key), key)
}
