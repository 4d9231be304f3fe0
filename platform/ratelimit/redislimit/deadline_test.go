package redislimit

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"vibesdk-gcp/platform/ratelimit"
)

// TestDeadlineOfASilentServer: 64 clients of a server that takes what it is sent and never answers have their answers by their
// deadlines, also those that waited behind others. The time is that of the bubble, so nothing depends on the machine.
func TestDeadlineOfASilentServer(t *testing.T) {
	t.Parallel()
	rule, err := ratelimit.Config{Limit: 10, Period: 60}.Rule()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		const deadline = 50 * time.Millisecond
		o := Options{Timeout: deadline}.withDefaults()
		c := &redis.Options{Dialer: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, theirs) }() // until ours is closed
			return ours, nil
		}}
		o.apply(c)
		b := newBackend(redis.NewClient(c), o)
		within := func(what string, call func(context.Context) error) {
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			begin := time.Now()
			err := call(ctx)
			if took := time.Since(begin); !errors.Is(err, ratelimit.ErrUnavailable) || took > deadline {
				t.Errorf("%s: %v after %s, want ErrUnavailable within %s", what, err, took, deadline)
			}
		}
		var clients sync.WaitGroup
		for range 64 {
			clients.Go(func() {
				for range 3 {
					within("Take", func(ctx context.Context) error {
						_, err := b.Take(ctx, time.Time{}, []ratelimit.Item{{Key: "k", Rule: rule, N: 1}}, false)
						return err
					})
				}
			})
		}
		clients.Wait()
		within("Adjust", func(ctx context.Context) error {
			return b.Adjust(ctx, time.Time{}, ratelimit.Adjustment{ID: "i", Key: "k", Rule: rule, Delta: 1})
		})
		within("Reset", func(ctx context.Context) error { return b.Reset(ctx, "k") })
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}
