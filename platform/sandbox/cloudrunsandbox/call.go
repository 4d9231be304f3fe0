package cloudrunsandbox

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/cenkalti/backoff/v4"
	"golang.org/x/time/rate"
)

// call makes one call of Cloud Run under the driver's policy: it waits for its turn, is bounded in time, and is made again
// after a passing trouble, for a while, unless it must be made only once. Errors are translated.
func (d *Driver) call(ctx context.Context, turn *rate.Limiter, once bool, fn func(context.Context) error) error {
	attempt := func() error {
		if err := turn.Wait(ctx); err != nil {
			return backoff.Permanent(d.throttled(ctx, err))
		}
		limited, cancel := context.WithTimeout(ctx, d.o.CallTimeout)
		defer cancel()
		err := d.translate(ctx, fn(limited))
		if err != nil && (once || !passing(err)) {
			return backoff.Permanent(err)
		}
		return err
	}
	return backoff.Retry(attempt, d.policy(ctx))
}

// pageSize is how many resources one call lists.
const pageSize = 100

// eachPage calls list for one page after the other, from the token that the one before returned, until there is none. Each page is a call
// of its own: hundreds of resources take longer than one call may.
func (d *Driver) eachPage(ctx context.Context, list func(ctx context.Context, token string) (next string, err error)) error {
	for token := ""; ; {
		var next string
		err := d.call(ctx, d.reads, false, func(ctx context.Context) (err error) {
			next, err = list(ctx, token)
			return err
		})
		if err != nil || next == "" {
			return err
		}
		token = next
	}
}

// storeCall is the same for the store, whose limits are far.
func (d *Driver) storeCall(ctx context.Context, fn func(context.Context) error) error {
	attempt := func() error {
		limited, cancel := context.WithTimeout(ctx, d.o.CallTimeout)
		defer cancel()
		err := fn(limited)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, fs.ErrNotExist), ctx.Err() != nil:
			return backoff.Permanent(translateStore(ctx, err))
		default:
			return translateStore(ctx, err)
		}
	}
	return backoff.Retry(attempt, d.policy(ctx))
}

// policy is the one policy of retries: short, because messages come again.
func (d *Driver) policy(ctx context.Context) backoff.BackOff {
	return backoff.WithContext(backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(d.o.RetryFor/30), backoff.WithMaxInterval(d.o.RetryFor/3), backoff.WithMaxElapsedTime(d.o.RetryFor)), ctx)
}

// poll calls done until it is so or the time is over, and says which. A call that is under way then is waited for.
func (d *Driver) poll(ctx context.Context, limit time.Duration, done func(context.Context) (bool, error)) (bool, error) {
	end := time.NewTimer(limit)
	defer end.Stop()
	tick := time.NewTicker(d.o.PollEvery)
	defer tick.Stop()
	for {
		if ok, err := done(ctx); ok || err != nil {
			return ok, err
		}
		select {
		case <-tick.C:
		case <-end.C:
			return false, nil
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// over reports that ctx has ended, or is about to say so: on a busy machine its timer can be late.
func over(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}
