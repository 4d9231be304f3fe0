package redislimit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	_ "embed"

	"github.com/redis/go-redis/v9"

	"vibesdk-gcp/platform/ratelimit"
)

//go:embed limit.lua
var source string

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
	b := &Backend{o: o, client: client, script: redis.NewScript(source)}
	_, b.cluster = client.(*redis.ClusterClient)
	b.queue = queue{run: b.pipeline, workers: max(1, o.Conns/2)}
	return b, nil
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
	keys := make([]string, len(items))
	args := make([]any, 0, 4+8*len(items))
	args = append(args, len(items), millis(now), b.o.Keep.Milliseconds(), flag(dry))
	for i, item := range items {
		keys[i] = b.o.hash(item.Key)
		c := item.Rule.Config
		daily := 0.0
		if c.DailyLimit != nil {
			daily = *c.DailyLimit
		}
		args = append(args, number(item.N), item.Rule.Size, item.Rule.Main, flag(c.CalendarDaily), number(c.Limit),
			item.Rule.BurstWindow, number(c.Burst), number(daily))
	}
	reply, err := b.queue.do(ctx, &call{take: true, keys: keys, args: args})
	if err != nil {
		return nil, failed("take", err)
	}
	answers, touched, err := parse(reply, len(items))
	if err != nil {
		return nil, fmt.Errorf("take: %w", err)
	}
	b.touched.Add(touched)
	return answers, nil
}

// Adjust implements [ratelimit.Backend].
func (b *Backend) Adjust(ctx context.Context, now time.Time, a ratelimit.Adjustment) error {
	_, err := b.queue.do(ctx, &call{keys: []string{b.o.hash(a.Key), b.o.marker(a.Key, a.ID)}, args: []any{
		"adjust", millis(now), b.o.Keep.Milliseconds(), number(a.Delta), a.Bucket, a.Rule.Size, a.Rule.Horizon(),
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

func flag(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// parse reads the reply to one call of "take".
func parse(reply any, items int) ([]ratelimit.Answer, int64, error) {
	list, ok := reply.([]any)
	if !ok || len(list) != 2+4*items {
		return nil, 0, errMalformed
	}
	touched, ok := list[1].(int64)
	if !ok {
		return nil, 0, errMalformed
	}
	now, err := float(list[0])
	answers := make([]ratelimit.Answer, items)
	for i := range answers {
		kind, ok := list[2+4*i].(string)
		main, mainErr := float(list[3+4*i])
		daily, dailyErr := float(list[4+4*i])
		retry, retryErr := float(list[5+4*i])
		if err = errors.Join(err, mainErr, dailyErr, retryErr); err != nil || !ok {
			return nil, 0, errMalformed
		}
		answers[i] = ratelimit.Answer{Exceeded: ratelimit.Exceeded(kind), Main: main, Daily: daily, Now: int64(now), RetryAt: int64(retry)}
	}
	return answers, touched, nil
}

func float(v any) (float64, error) {
	text, ok := v.(string)
	if !ok {
		return 0, errors.New("no number")
	}
	return strconv.ParseFloat(text, 64)
}
