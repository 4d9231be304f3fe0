package events

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// LetterOptions configure a [LetterBox]. The zero value works.
type LetterOptions struct {
	// Topics may be replayed to. Defaults to [Topics].
	Topics []Topic
	// Now defaults to time.Now.
	Now func() time.Time
	// Logger gets what people did, payloads excluded. Defaults to slog.Default().
	Logger *slog.Logger
	// MeterProvider defaults to the global one. Metrics, as of the last [LetterBox.Count] of everything:
	//
	//	events.dead_letters             {letter}  subscription, state
	//	events.dead_letters.oldest_age  s         subscription: of the oldest open letter; 0 without one
	//	events.dead_letters.replayed    {letter}  topic
	MeterProvider metric.MeterProvider
}

// LetterBox is the dead letters of an installation, in the order in which they were given up. [LetterBox.Handle] files what
// comes on the topic [DeadLetters]; people list, edit, replay, park and purge. It works the same over every bus.
//
// It is safe for concurrent use, also by several processes.
type LetterBox struct {
	driver    LetterDriver
	publisher Publisher
	topics    map[string]Topic
	now       func() time.Time
	log       *slog.Logger

	count    metric.Int64Gauge
	oldest   metric.Float64Gauge
	replayed metric.Int64Counter
}

// NewLetterBox makes a box that replays through p.
func NewLetterBox(d LetterDriver, p Publisher, o LetterOptions) (*LetterBox, error) {
	if o.Topics == nil {
		o.Topics = Topics()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	b := &LetterBox{driver: d, publisher: p, topics: map[string]Topic{}, now: o.Now, log: o.Logger}
	for _, topic := range o.Topics {
		if topic.Name != DeadLetters.Name { // a dead letter that is replayed there would be filed as one of itself
			b.topics[topic.Name] = topic
		}
	}
	meter := o.MeterProvider.Meter(scope)
	var errs [3]error
	b.count, errs[0] = meter.Int64Gauge("events.dead_letters", metric.WithUnit("{letter}"))
	b.oldest, errs[1] = meter.Float64Gauge("events.dead_letters.oldest_age", metric.WithUnit("s"))
	b.replayed, errs[2] = meter.Int64Counter("events.dead_letters.replayed", metric.WithUnit("{letter}"))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("metrics of dead letters: %w", err)
	}
	return b, nil
}

// Handle is the [Handler] of the subscription [Parked]: it files a dead letter. What no bus parked is filed as well, with the reason
// why it cannot be replayed: it would come again for ever otherwise.
func (b *LetterBox) Handle(ctx context.Context, m Message) error {
	d, err := ParseDeadLetter(m)
	if err != nil {
		d = DeadLetter{Message: m.Clone(), Reason: "published to " + DeadLetters.Name + " by no bus: " + err.Error(), ParkedAt: m.Time, Permanent: true}
		d.Message.Attempt = 0
	}
	return b.File(ctx, d)
}

// File files dead letters. Filing one again changes nothing, unless it is of a replay that failed, too; see [Refile].
func (b *LetterBox) File(ctx context.Context, dead ...DeadLetter) error {
	letters := make([]Letter, len(dead))
	for i, d := range dead {
		letters[i] = NewLetter(d, b.now())
	}
	if err := b.driver.File(ctx, letters); err != nil {
		return fmt.Errorf("file dead letters: %w", err)
	}
	return nil
}

// Letter returns one letter, or ErrNotFound.
func (b *LetterBox) Letter(ctx context.Context, id string) (Letter, error) {
	l, err := b.driver.Letter(ctx, id)
	if err != nil {
		return Letter{}, fmt.Errorf("dead letter %.64q: %w", id, err)
	}
	return l, nil
}

// Letters lists one page of a query, and the After of the next one: empty when this is the last.
func (b *LetterBox) Letters(ctx context.Context, q LetterQuery) (page []Letter, next string, err error) {
	if q, err = q.checked(); err != nil {
		return nil, "", err
	}
	page, more, err := b.driver.Letters(ctx, q)
	if err != nil {
		return nil, "", fmt.Errorf("list dead letters: %w", err)
	}
	if more {
		next = page[len(page)-1].Cursor()
	}
	return page, next, nil
}

// Count counts the letters of a query by topic, subscription and state.
func (b *LetterBox) Count(ctx context.Context, q LetterQuery) ([]LetterCount, error) {
	q, err := q.checked()
	if err != nil {
		return nil, err
	}
	counts, err := b.driver.Count(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("count dead letters: %w", err)
	}
	return counts, nil
}

// Watch counts all letters for the metrics and returns the counts of those that are open.
func (b *LetterBox) Watch(ctx context.Context) ([]LetterCount, error) {
	counts, err := b.Count(ctx, LetterQuery{})
	if err != nil {
		return nil, err
	}
	var open []LetterCount
	type place struct {
		subscription string
		state        LetterState
	}
	seen := map[place]LetterCount{}
	for _, c := range counts {
		seen[place{c.Subscription, c.State}] = c
		if c.State == LetterOpen {
			open = append(open, c)
		}
	}
	// Also what is not there: a gauge keeps its last value.
	for _, sub := range Subscriptions() {
		for _, state := range LetterStates() {
			c := seen[place{sub.Name, state}]
			b.count.Record(ctx, int64(c.Count), metric.WithAttributes(
				attribute.String("subscription", sub.Name), attribute.String("state", string(state))))
		}
		age := 0.0
		if c := seen[place{sub.Name, LetterOpen}]; c.Count > 0 {
			age = b.now().Sub(c.Oldest).Seconds()
		}
		b.oldest.Record(ctx, age, metric.WithAttributes(attribute.String("subscription", sub.Name)))
	}
	return open, nil
}

// LetterEdit is what to change of a letter.
type LetterEdit struct {
	// Data is the new payload; nil leaves it as it is.
	Data []byte
	// NewID lets the message have another id, so that consumers take it for another message; empty keeps it.
	NewID string
	// Version, unless it is 0, is the version that the letter must be at.
	Version int64
}

// Edit changes the payload of a letter that is open or parked. The payload must be one that could be published to the letter's
// topic: an error wraps [ErrInvalid] and lists every fault, and the letter stays as it is.
func (b *LetterBox) Edit(ctx context.Context, id string, e LetterEdit) (Letter, error) {
	return b.change(ctx, id, e.Version, "edited", func(l *Letter) error {
		if l.State == LetterReplayed {
			return fmt.Errorf("the letter was replayed: %w", ErrConflict)
		}
		if e.Data == nil && e.NewID == "" {
			return fmt.Errorf("edit %w: it changes neither the payload nor the id", ErrInvalid)
		}
		if e.Data != nil {
			l.Message.Data = bytes.Clone(e.Data)
		}
		if e.NewID != "" {
			l.Message.ID = e.NewID
		}
		topic, m, err := b.replayOf(*l)
		if err != nil {
			return err
		}
		if err := check(topic, m); err != nil {
			return fmt.Errorf("edit %w: %w", ErrInvalid, err)
		}
		l.Edited = true
		return nil
	})
}

// Park sets a letter aside with a note, so that it is not replayed. A letter that is parked gets the new note.
func (b *LetterBox) Park(ctx context.Context, id, note string) (Letter, error) {
	if len(note) > MaxNote || !utf8.ValidString(note) || strings.ContainsRune(note, 0) {
		return Letter{}, fmt.Errorf("note %w: it must be UTF-8 text without NUL of at most %d bytes", ErrInvalid, MaxNote)
	}
	return b.change(ctx, id, 0, "parked", func(l *Letter) error {
		if l.State == LetterReplayed {
			return fmt.Errorf("the letter was replayed: %w", ErrConflict)
		}
		l.State, l.Note = LetterParked, note
		return nil
	})
}

// Release opens a letter that was parked. Its note stays.
func (b *LetterBox) Release(ctx context.Context, id string) (Letter, error) {
	return b.change(ctx, id, 0, "released", func(l *Letter) error {
		if l.State == LetterReplayed {
			return fmt.Errorf("the letter was replayed: %w", ErrConflict)
		}
		l.State = LetterOpen
		return nil
	})
}

// changeTries is how often a change is tried against others that come in between.
const changeTries = 5

// change applies edit to the newest version of a letter, or to the given one only.
func (b *LetterBox) change(ctx context.Context, id string, version int64, what string, edit func(*Letter) error) (Letter, error) {
	for try := 1; ; try++ {
		l, err := b.Letter(ctx, id)
		if err != nil {
			return Letter{}, err
		}
		if version != 0 && l.Version != version {
			return Letter{}, fmt.Errorf("dead letter %s is at version %d, not %d: %w", id, l.Version, version, ErrConflict)
		}
		l.Message = l.Message.Clone()
		if err := edit(&l); err != nil {
			return Letter{}, fmt.Errorf("dead letter %s: %w", id, err)
		}
		l.Version, l.ChangedAt = l.Version+1, stored(b.now())
		switch err = b.driver.Save(ctx, l); {
		case err == nil:
			b.log.InfoContext(ctx, "dead letter changed", "what", what, "letter", id, "message_id", l.Message.ID, "topic", l.Topic)
			return l, nil
		case !errors.Is(err, ErrConflict) || version != 0 || try == changeTries:
			return Letter{}, fmt.Errorf("dead letter %s: %w", id, err)
		}
	}
}

// Purge deletes the letters of a query, for good, and returns how many: all of them, Limit and After do not count. The query must say
// which states: nobody deletes what waits for him by leaving something out. An error may come after some were deleted.
func (b *LetterBox) Purge(ctx context.Context, q LetterQuery) (int, error) {
	q.Limit, q.After = MaxLetters, ""
	q, err := q.checked()
	if err != nil {
		return 0, err
	}
	if len(q.States) == 0 {
		return 0, fmt.Errorf("purge of dead letters %w: states are empty", ErrInvalid)
	}
	total := 0
	for {
		n, err := b.driver.Purge(ctx, q)
		total += n
		if err != nil {
			return total, fmt.Errorf("purge dead letters: %w", err)
		}
		if n < q.Limit {
			if total > 0 {
				b.log.InfoContext(ctx, "dead letters purged", "count", total)
			}
			return total, nil
		}
	}
}
