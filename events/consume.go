package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// abandonAfter is how long a handler may ignore its cancelled context before the bus stops waiting for it.
const abandonAfter = time.Second

// Consume hands the messages of a subscription to h, up to sub.Concurrency at once, until ctx ends. Then
// it takes no more, lets the running handlers finish (see Options.DrainTimeout), settles what they said and
// returns nil. A broker that fails is tried again with backoff for as long as ctx lasts; an error is
// returned for a subscription that is not valid, a closed bus, or settlements that could not be stored while
// draining: those messages are delivered again.
func (b *Bus) Consume(ctx context.Context, sub Subscription, h Handler) error {
	sub = sub.WithDefaults()
	return b.consume(ctx, sub, func(hard context.Context) stage {
		one := recovered(hard.Done(), deadlined(sub.AttemptTimeout, func(ctx context.Context, run []Message) error {
			return h(ctx, run[0])
		}))
		return singly(sub.Topic, b.settled(hard, sub, func(ctx context.Context, run []Message) []error {
			return []error{one(ctx, run)}
		}))
	})
}

// ConsumeBatches is [Bus.Consume] for a handler that takes runs of messages of one key, at most sub.MaxBatch.
func (b *Bus) ConsumeBatches(ctx context.Context, sub Subscription, h BatchHandler) error {
	sub = sub.WithDefaults()
	return b.consume(ctx, sub, func(hard context.Context) stage {
		all := recovered(hard.Done(), deadlined(sub.AttemptTimeout, func(ctx context.Context, run []Message) error {
			return h(ctx, run[0].Key, run)
		}))
		return b.settled(hard, sub, func(ctx context.Context, run []Message) []error {
			return spread(all(ctx, run), len(run))
		})
	})
}

// settled wraps an attempt in everything that happens around it.
func (b *Bus) settled(hard context.Context, sub Subscription, a attempt) stage {
	return b.watched(sub, b.traced(sub, b.logged(sub, b.measured(sub, b.decided(hard, sub, validated(sub.Topic, a))))))
}

// singly settles each message of a run before the next is handled.
func singly(topic Topic, next stage) stage {
	return func(ctx context.Context, run []Message) []outcome {
		outcomes := make([]outcome, 0, len(run))
		for i := range run {
			outcomes = append(outcomes, next(ctx, run[i:i+1])...)
			if topic.Ordered && !outcomes[i].verdict.Done {
				break // what follows in the key comes again after this one
			}
		}
		return outcomes
	}
}

// spread gives each message of a run its error.
func spread(err error, count int) []error {
	errs := make([]error, count)
	if each, ok := errors.AsType[*BatchError](err); ok {
		if len(each.Errs) == count {
			return each.Errs
		}
		// Not wrapped: the kind of one entry must not decide for all.
		err = fmt.Errorf("batch error has %d entries for %d messages: %v", len(each.Errs), count, err) //nolint:errorlint // see above
	}
	for i := range errs {
		errs[i] = err
	}
	return errs
}

func (b *Bus) consume(ctx context.Context, sub Subscription, handling func(hard context.Context) stage) error {
	if err := sub.check(); err != nil {
		return fmt.Errorf("consume %s: subscription %w: %w", sub.Name, ErrInvalid, err)
	}

	// Handlers outlive ctx: soft ends when the drain deadline passes, hard when waiting for them ends as well.
	soft, endSoft := context.WithCancelCause(context.WithoutCancel(ctx))
	hard, endHard := context.WithCancelCause(context.WithoutCancel(ctx))
	defer endSoft(nil)
	defer endHard(nil)
	stop := context.AfterFunc(ctx, func() {
		cancel := time.AfterFunc(b.drain, func() { endSoft(ErrDraining) })
		abandon := time.AfterFunc(b.drain+abandonAfter, func() { endHard(ErrDraining) })
		<-hard.Done()
		cancel.Stop()
		abandon.Stop()
	})
	defer stop()

	chain := handling(hard)
	handle := func(run []Message) []Verdict {
		for i := range run {
			if run[i].Type == "" {
				run[i].Type = sub.Topic.Type
			}
		}
		outcomes := chain(soft, run)
		verdicts := make([]Verdict, len(outcomes))
		for i, o := range outcomes {
			verdicts[i] = o.verdict
		}
		return verdicts
	}
	return b.supervise(ctx, sub, handle)
}

// supervise calls Receive until ctx ends.
func (b *Bus) supervise(ctx context.Context, sub Subscription, handle HandleFunc) error {
	pause := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(100*time.Millisecond),
		backoff.WithMaxInterval(10*time.Second),
		backoff.WithMaxElapsedTime(0),
	)
	for {
		if b.closed.Load() {
			return fmt.Errorf("consume %s: %w", sub.Name, ErrClosed)
		}
		started := time.Now()
		err := b.driver.Receive(ctx, sub, handle)
		switch {
		case ctx.Err() != nil && err == nil:
			return nil
		case ctx.Err() != nil, errors.Is(err, ErrClosed), errors.Is(err, ErrInvalid):
			return fmt.Errorf("consume %s: %w", sub.Name, err)
		}
		if time.Since(started) > time.Minute {
			pause.Reset()
		}
		wait := pause.NextBackOff()
		b.log.WarnContext(ctx, "events: receiving stopped, trying again",
			"subscription", sub.Name, "error", err, "again_after", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}
