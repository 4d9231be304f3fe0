package redislimit

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	_ "embed"

	"github.com/redis/go-redis/v9"

	"vibesdk-gcp/platform/ratelimit"
)

// The files are one script, so that each has one subject.
var (
	//go:embed stored.lua
	storedSource string
	//go:embed state.lua
	stateSource string
	//go:embed retry.lua
	retrySource string
	//go:embed quick.lua
	quickSource string
	//go:embed limit.lua
	limitSource string
	source      = storedSource + stateSource + retrySource + quickSource + limitSource
)

// Backend implements [ratelimit.Backend] on Redis. It is safe for concurrent use.
type Backend struct {
	o       Options
	client  redis.UniversalClient
	script  *redis.Script
	queue   queue
	cluster bool
	touched atomic.Int64
	closing sync.Once
	closed  error
}

var _ ratelimit.Backend = (*Backend)(nil)

// Open returns a Backend for the server or cluster at address; options.go says how one is written. It does not wait for the
// server: a limiter must start while its Redis is down.
func Open(address string, o Options) (*Backend, error) {
	o = o.withDefaults()
	client, err := connect(address, o)
	if err != nil {
		return nil, err
	}
	return newBackend(client, o), nil
}

func newBackend(client redis.UniversalClient, o Options) *Backend {
	b := &Backend{o: o, client: client, script: redis.NewScript(source)}
	_, b.cluster = client.(*redis.ClusterClient)
	b.queue = queue{run: b.pipeline, workers: max(1, o.Conns/2)}
	return b
}

// Close ends the connections once the calls under way have ended. Later calls fail.
func (b *Backend) Close() error {
	b.closing.Do(func() {
		b.queue.close()
		b.closed = b.client.Close()
	})
	return b.closed
}

// Touched is how many cells all calls so far have read or written.
func (b *Backend) Touched() int64 { return b.touched.Load() }

// Take implements [ratelimit.Backend].
func (b *Backend) Take(ctx context.Context, now time.Time, items []ratelimit.Item, dry bool) ([]ratelimit.Answer, error) {
	c := &call{now: ownClock, dry: dry, items: items}
	if !now.IsZero() {
		c.now = float64(now.UnixMilli())
	}
	c.keys = make([]string, len(items))
	for i, item := range items {
		c.keys[i] = b.o.hash(item.Key)
	}
	if err := b.queue.do(ctx, c); err != nil {
		return nil, failed("take", err)
	}
	return c.answers, nil
}

// Adjust implements [ratelimit.Backend].
func (b *Backend) Adjust(ctx context.Context, now time.Time, a ratelimit.Adjustment) error {
	err := b.queue.do(ctx, &call{keys: []string{b.o.hash(a.Key), b.o.ids(a.Key)}, args: []any{
		"adjust", millis(now), b.o.Keep.Milliseconds(), number(a.Delta), a.Bucket, a.Rule.Size, a.Rule.Horizon(), a.ID,
	}})
	return failed("adjust", err)
}

// Reset implements [ratelimit.Backend].
func (b *Backend) Reset(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, b.o.Timeout)
	defer cancel()
	return failed("reset", b.client.Unlink(ctx, b.o.hash(key)).Err())
}

// Sweep implements [ratelimit.Backend]. Keys expire by themselves.
func (b *Backend) Sweep(context.Context, time.Time) (int, error) { return 0, nil }

// millis is a time for the script, empty for the server's clock.
func millis(now time.Time) any {
	if now.IsZero() {
		return ""
	}
	return now.UnixMilli()
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
