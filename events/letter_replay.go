package events

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v4"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"golang.org/x/time/rate"
)

// LetterReplay says which letters to publish again, and how.
type LetterReplay struct {
	// Query chooses them. States default to open; parked is refused: release such a letter first. Limit is the most letters of
	// the whole replay and may be any number, 0 is all that were given up before it began. Newest does not count.
	Query LetterQuery
	// DryRun publishes and notes nothing, and says what would be.
	DryRun bool
	// Rate is how many messages a second are published at most, on the average since the replay began, after the first Burst. 0 is
	// as fast as the bus takes them.
	Rate float64
}

// LetterOutcome is what a replay made of a letter.
type LetterOutcome string

// The outcomes of a replay.
const (
	// Replayed: the bus has the message durably, and the letter is noted as replayed.
	Replayed LetterOutcome = "replayed"
	// WouldReplay is what a dry run says instead.
	WouldReplay LetterOutcome = "would-replay"
	// Refused: the message cannot be published as it is. Edit the letter.
	Refused LetterOutcome = "refused"
	// ChangedMeanwhile: the message was published, but the letter was changed before that could be noted: by another person or
	// replay, or because the message was given up again at once. The letter is as that left it.
	ChangedMeanwhile LetterOutcome = "changed"
)

// LetterResult is what became of one letter of a replay.
type LetterResult struct {
	Letter  Letter
	Outcome LetterOutcome
	// Err says why a letter was refused.
	Err error
}

// ReplayTotals sums a replay up.
type ReplayTotals struct {
	// Replayed counts letters that were, or in a dry run would be, published.
	Replayed, Refused, Changed int
}

const (
	// replayBatch is how many letters are published together at most.
	replayBatch = 200
	// burstTime is how much of Rate is published together at most.
	burstTime = 100 * time.Millisecond
	// publishAgainFor is how long a publication that fails is tried again.
	publishAgainFor = 15 * time.Second
	// clockSkew is how far the clocks of machines may be apart.
	clockSkew = time.Minute
)

// Burst is how many messages are published together at most.
func (r LetterReplay) Burst() int {
	if r.Rate <= 0 {
		return replayBatch
	}
	return min(replayBatch, max(1, int(r.Rate*burstTime.Seconds())))
}

// Replay publishes letters again, each with its own id and key and one replay more, in the order in which they were given up: so the
// messages of a key come in the order in which they were published first. A letter is noted as replayed only after the bus has
// its message. Killed at any moment, a replay leaves letters noted or open, never lost; run it again and it goes on. What
// was published and not noted is published twice then, which consumers take for one message.
//
// One letter that is refused does not keep the others, also of its key, from being replayed: the key went on without it long ago.
//
// fn is called for each letter in order; its error ends the replay and is returned. An error says how far the totals are.
func (b *LetterBox) Replay(ctx context.Context, r LetterReplay, fn func(LetterResult) error) (ReplayTotals, error) {
	var totals ReplayTotals
	q, most, err := b.replayQuery(r)
	if err != nil {
		return totals, err
	}
	limiter := rate.NewLimiter(rate.Inf, r.Burst())
	if r.Rate > 0 {
		limiter.SetLimit(rate.Limit(r.Rate))
	}
	for most != 0 {
		q.Limit = r.Burst()
		if most > 0 {
			q.Limit = min(q.Limit, most)
		}
		page, next, err := b.Letters(ctx, q)
		if err != nil || len(page) == 0 {
			return totals, err
		}
		if !r.DryRun {
			if err := limiter.WaitN(ctx, len(page)); err != nil {
				return totals, fmt.Errorf("replay dead letters: %w", err)
			}
		}
		results, err := b.replayPage(ctx, page, r.DryRun)
		for _, result := range results {
			totals.add(result)
			if fnErr := fn(result); fnErr != nil {
				return totals, fnErr
			}
		}
		if err != nil || next == "" {
			return totals, err
		}
		q.After = next
		if most > 0 {
			most -= len(page)
		}
	}
	return totals, nil
}

func (t *ReplayTotals) add(r LetterResult) {
	switch r.Outcome {
	case Replayed, WouldReplay:
		t.Replayed++
	case Refused:
		t.Refused++
	case ChangedMeanwhile:
		t.Changed++
	}
}

// replayQuery checks what is asked for. most is the most letters, negative without a limit.
func (b *LetterBox) replayQuery(r LetterReplay) (q LetterQuery, most int, err error) {
	q, most = r.Query, r.Query.Limit
	if most == 0 {
		most = -1
	}
	q.Limit, q.Newest = 1, false
	if len(q.States) == 0 {
		q.States = []LetterState{LetterOpen}
	}
	// Bounded, or a replay would chase what is given up while it runs. The clocks of consumers may be ahead of ours.
	if latest := b.now().Add(clockSkew); q.Until.IsZero() || q.Until.After(latest) {
		q.Until = latest
	}
	if q, err = q.checked(); err != nil {
		return q, 0, err
	}
	if slices.Contains(q.States, LetterParked) {
		return q, 0, fmt.Errorf("replay of dead letters %w: parked ones are not replayed, release them first", ErrInvalid)
	}
	if r.Rate < 0 || r.Query.Limit < 0 {
		return q, 0, fmt.Errorf("replay of dead letters %w: rate and limit must not be negative", ErrInvalid)
	}
	return q, most, nil
}

// replayPage publishes one page and notes it. Results without an error before them are final.
func (b *LetterBox) replayPage(ctx context.Context, page []Letter, dry bool) ([]LetterResult, error) {
	results := make([]LetterResult, len(page))
	var order []string // topics, in the order of their first letter
	msgs, letters := map[string][]Message{}, map[string][]Letter{}
	for i, l := range page {
		results[i] = LetterResult{Letter: l, Outcome: WouldReplay}
		topic, m, err := b.replayOf(l)
		if err == nil {
			err = check(topic, m)
		}
		if err != nil {
			results[i].Outcome, results[i].Err = Refused, err
			continue
		}
		if msgs[topic.Name] == nil {
			order = append(order, topic.Name)
		}
		msgs[topic.Name] = append(msgs[topic.Name], m)
		letters[topic.Name] = append(letters[topic.Name], l)
	}
	if dry {
		return results, nil
	}
	noted := map[string]bool{}
	for n, name := range order {
		ids, err := b.replayTo(ctx, b.topics[name], msgs[name], letters[name])
		for _, id := range ids {
			noted[id] = true
		}
		if err != nil {
			return published(results, noted, order[:n]), err
		}
	}
	return published(results, noted, order), nil
}

// published gives the results of the topics that were published to, and of what was refused.
func published(results []LetterResult, noted map[string]bool, topics []string) []LetterResult {
	var final []LetterResult
	for _, r := range results {
		switch {
		case r.Outcome == Refused:
		case !slices.Contains(topics, r.Letter.Topic):
			continue
		case noted[r.Letter.ID]:
			r.Outcome = Replayed
		default:
			r.Outcome = ChangedMeanwhile
		}
		final = append(final, r)
	}
	return final
}

// replayTo publishes messages to their topic and notes it. It returns the letters that it noted.
func (b *LetterBox) replayTo(ctx context.Context, topic Topic, msgs []Message, letters []Letter) ([]string, error) {
	again := backoff.NewExponentialBackOff(backoff.WithInitialInterval(100*time.Millisecond), backoff.WithMaxElapsedTime(publishAgainFor))
	err := backoff.Retry(func() error {
		err := b.publisher.Publish(ctx, topic, msgs...)
		if errors.Is(err, ErrInvalid) || errors.Is(err, ErrClosed) {
			return backoff.Permanent(err)
		}
		return err
	}, backoff.WithContext(again, ctx))
	if err != nil {
		return nil, fmt.Errorf("replay dead letters: %w", err)
	}
	afterReplayed.Hit()
	noted, err := b.driver.MarkReplayed(ctx, letters, stored(b.now()))
	if err != nil {
		return nil, fmt.Errorf("note replayed dead letters: %w", err)
	}
	b.replayed.Add(ctx, int64(len(letters)), metric.WithAttributes(attribute.String("topic", topic.Name)))
	b.log.InfoContext(ctx, "dead letters replayed", "topic", topic.Name, "count", len(letters))
	return noted, nil
}

// replayOf gives the topic and the message to publish for a letter.
func (b *LetterBox) replayOf(l Letter) (Topic, Message, error) {
	topic, ok := b.topics[l.Topic]
	if !ok {
		return Topic{}, Message{}, fmt.Errorf("letter %w: there is no topic %.60q to replay it to", ErrInvalid, l.Topic)
	}
	m := l.DeadLetter.Replay()
	m.setReplays(l.Replays + 1)
	if m.Type == "" {
		m.Type = topic.Type
	}
	return topic, m, nil
}
