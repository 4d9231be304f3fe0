package janitor

import (
	"context"
	"fmt"
	"time"

	"vibesdk-gcp/events"
)

// Letters is what the sweep needs of an [events.LetterBox].
type Letters interface {
	// Watch counts the dead letters for the metrics, and returns the counts of the open ones.
	Watch(ctx context.Context) ([]events.LetterCount, error)
	Purge(ctx context.Context, q events.LetterQuery) (int, error)
}

// keepReplayed is how long a dead letter that was replayed is kept after it was given up: as long as Pub/Sub can keep a message.
const keepReplayed = 31 * 24 * time.Hour

// sweepLetters raises the alarm: an error in the log for each subscription whose dead letters wait too long or are too many. It is
// raised at every tick until somebody has replayed, parked or purged them.
func (j *Janitor) sweepLetters(ctx context.Context, dry bool) error {
	var failed failures
	open, err := j.o.Letters.Watch(ctx)
	failed.add(err)
	for _, c := range open {
		age := j.o.Now().Sub(c.Oldest)
		if age <= j.o.LetterAge && c.Count <= j.o.LetterCount {
			continue
		}
		j.o.Logger.ErrorContext(ctx, "dead letters wait for a person", "subscription", c.Subscription, "topic", c.Topic, "count", c.Count,
			"oldest_age", age.Round(time.Second), "look_with", "vibectl dlq list --subscription "+c.Subscription)
	}
	if !dry {
		if _, err := j.o.Letters.Purge(ctx, events.LetterQuery{
			States: []events.LetterState{events.LetterReplayed}, Until: j.o.Now().Add(-keepReplayed),
		}); err != nil {
			failed.add(fmt.Errorf("forget replayed dead letters: %w", err))
		}
	}
	return failed.err("sweep of dead letters")
}
