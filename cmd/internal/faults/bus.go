package faults

import (
	"context"
	"fmt"

	"vibesdk-gcp/events"
)

// Bus returns a driver that is next with faults. Of all publications the dice choose some that arrive twice, some that fail though they
// arrived, and some that fail at once; of all runs some whose acknowledgements are lost.
func Bus(next events.Driver, d *Dice) events.Driver { return &bus{next, d} }

type bus struct {
	events.Driver

	dice *Dice
}

// Publish implements [events.Driver].
func (b *bus) Publish(ctx context.Context, topic events.Topic, msgs []events.Message) error {
	switch b.dice.roll(4) {
	case 0:
		return fmt.Errorf("%w: nothing was published", errInjected)
	case 1:
		if err := b.Driver.Publish(ctx, topic, msgs); err != nil {
			return err
		}
		return fmt.Errorf("%w: it was published all the same", errInjected)
	case 2, 3:
		if err := b.Driver.Publish(ctx, topic, msgs); err != nil {
			return err
		}
	}
	return b.Driver.Publish(ctx, topic, msgs)
}

// Receive implements [events.Driver].
func (b *bus) Receive(ctx context.Context, sub events.Subscription, handle events.HandleFunc) error {
	return b.Driver.Receive(ctx, sub, func(run []events.Message) []events.Verdict {
		verdicts := handle(run)
		if b.dice.roll(1) == 0 {
			return nil // all are delivered again, uncounted
		}
		return verdicts
	})
}
