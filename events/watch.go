package events

import (
	"context"
	"time"
)

// stallAfter is how long beyond its attempt's deadline a handler may take to notice it, and the bus to park a message.
const stallAfter = 30 * time.Second

// watched tells the watchdog of each run. A handler that ignores its context holds its message, and on an ordered topic its key,
// until the process ends.
func (b *Bus) watched(sub Subscription, next stage) stage {
	return func(ctx context.Context, run []Message) []outcome {
		work := b.dog.Begin(sub.Name, "message "+run[0].ID, sub.AttemptTimeout+stallAfter)
		defer work.End()
		return next(ctx, run)
	}
}
