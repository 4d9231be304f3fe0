package events

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// The layers of a consumer, from the inside: a call runs the user's handler once; an attempt gives each
// message of a run its error; a stage settles a run. An attempt may return fewer errors than messages: the
// rest were not tried.
type (
	call    func(ctx context.Context, run []Message) error
	attempt func(ctx context.Context, run []Message) []error
	stage   func(ctx context.Context, run []Message) []outcome
)

// kind is what became of one delivery.
type kind string

const (
	handled   kind = "handled"
	retried   kind = "retried"   // failed, comes again
	postponed kind = "postponed" // RetryAfter, comes again uncounted
	parked    kind = "parked"    // on dead-letters
	released  kind = "released"  // drained before it was done, comes again uncounted
)

var kinds = []kind{handled, retried, postponed, parked, released}

// outcome is the decision about one delivery.
type outcome struct {
	kind    kind
	err     error
	verdict Verdict
}

// parkRetry is how soon a message comes again that could not be parked. That is not counted as an attempt, so
// that the handler finds its true error again.
const parkRetry = 5 * time.Second

// decided turns errors into outcomes and parks what is to be parked. On an ordered topic it stops at the
// first message that is not done, as the driver will. hard bounds the parking.
func (b *Bus) decided(hard context.Context, sub Subscription, next attempt) stage {
	return func(ctx context.Context, run []Message) []outcome {
		var errs []error
		if first := run[0]; first.Attempt > sub.Attempts && sub.Topic.Name != DeadLetters.Name {
			// Errors park at the last attempt: one more means that the consumer died in it.
			errs = []error{Permanent(fmt.Errorf("the consumer ended without an outcome in attempt %d", first.Attempt-1))}
		} else {
			errs = next(ctx, run)
		}
		outcomes := make([]outcome, 0, len(run))
		for i, err := range errs {
			o := b.decide(ctx, sub, run[i], err)
			if o.kind == parked {
				if parkErr := b.park(hard, sub, run[i], err); parkErr != nil {
					o = outcome{retried, errors.Join(err, parkErr), Verdict{After: parkRetry}}
				}
			}
			outcomes = append(outcomes, o)
			if sub.Topic.Ordered && !o.verdict.Done {
				break
			}
		}
		return outcomes
	}
}

// decide is the policy: what to do with one message after an attempt.
func (b *Bus) decide(ctx context.Context, sub Subscription, m Message, err error) outcome {
	after, postpone := errors.AsType[*retryAfterError](err)
	switch {
	case err == nil:
		return outcome{handled, nil, Verdict{Done: true}}
	case b.willPark(sub, m, err) && (IsPermanent(err) || !draining(ctx, err)):
		return outcome{parked, err, Verdict{Done: true}}
	case postpone && !IsPermanent(err):
		return outcome{postponed, err, Verdict{After: after.after}}
	case draining(ctx, err):
		return outcome{released, err, Verdict{}}
	case IsPermanent(err): // of a dead letter
		return outcome{retried, err, Verdict{After: sub.MaxBackoff, Failed: true}}
	default:
		after := delay(sub.MinBackoff, sub.MaxBackoff, m.Attempt, rand.Float64()) //nolint:gosec // jitter is no secret
		return outcome{retried, err, Verdict{After: after, Failed: true}}
	}
}

// willPark reports whether an error sends the message to dead-letters. A dead letter is never parked again.
func (b *Bus) willPark(sub Subscription, m Message, err error) bool {
	if err == nil || sub.Topic.Name == DeadLetters.Name {
		return false
	}
	if IsPermanent(err) {
		return true
	}
	_, postpone := errors.AsType[*retryAfterError](err)
	return !postpone && m.Attempt >= sub.Attempts
}

// draining reports whether the attempt ended because the drain deadline passed.
func draining(ctx context.Context, err error) bool {
	return errors.Is(err, ErrDraining) || errors.Is(context.Cause(ctx), ErrDraining)
}
