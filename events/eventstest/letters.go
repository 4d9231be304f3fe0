package eventstest

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"vibesdk-gcp/events"
)

// LetterOpener opens a driver on one durable store of dead letters. Each call stands for a process. What it opens ends with t.
type LetterOpener func(t testing.TB) events.LetterDriver

// RunLetters is the contract of [events.LetterDriver], run through [events.LetterBox] over a real bus: dead letters are the same
// whichever broker they come from. freshBus and freshStore make one broker and one store for each case. Cases run in parallel.
func RunLetters(t *testing.T, freshBus func(testing.TB) Opener, freshStore func(testing.TB) LetterOpener, f Features) {
	if f.Patience == 0 {
		f.Patience = 30 * time.Second
	}
	if f.Quiet == 0 {
		f.Quiet = 300 * time.Millisecond
	}
	cases := []struct {
		name string
		run  func(*letterWorld)
	}{
		{"LettersAreFiledWhole", lettersAreFiledWhole},
		{"FiledTwiceIsFiledOnce", filedTwiceIsFiledOnce},
		{"FiledAtOnceIsFiledOnce", filedAtOnceIsFiledOnce},
		{"WhatNoBusParkedIsFiled", whatNoBusParkedIsFiled},
		{"AnyTextIsFiled", anyTextIsFiled},
		{"LettersArePagedInOrder", lettersArePagedInOrder},
		{"LargeLettersMakeShortPages", largeLettersMakeShortPages},
		{"QueriesChoose", queriesChoose},
		{"QueriesAreChecked", queriesAreChecked},
		{"EditsAreValidated", editsAreValidated},
		{"EditsMeetNoOther", editsMeetNoOther},
		{"ReplayKeepsIDAndOrder", replayKeepsIDAndOrder},
		{"ReplayIsNotedOncePublished", replayIsNotedOncePublished},
		{"ReplayGoesOnAfterACrash", replayGoesOnAfterACrash},
		{"ReplaysAtOnceKeepOrder", replaysAtOnceKeepOrder},
		{"DryRunChangesNothing", dryRunChangesNothing},
		{"RefusedKeepsNoOther", refusedKeepsNoOther},
		{"ParkedIsNotReplayed", parkedIsNotReplayed},
		{"FailedReplayOpensTheLetter", failedReplayOpensTheLetter},
		{"LateDuplicateOpensNothing", lateDuplicateOpensNothing},
		{"PurgeDeletesWhatIsAskedFor", purgeDeletesWhatIsAskedFor},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := &letterWorld{world: &world{T: t, f: f, open: freshBus(t)}, store: freshStore(t)}
			w.ordered = w.topic(true)
			w.ordered.Validate = jsonOnly
			w.plain = w.topic(false)
			w.orderedSub = w.sub(w.ordered)
			w.plainSub = w.sub(w.plain)
			w.bus = w.process(w.orderedSub, w.plainSub, events.Parked)
			w.box = w.newBox(w.bus)
			c.run(w)
		})
	}
}

// letterWorld is what one case works in: two topics, a subscription of each, and a box that may replay to both.
type letterWorld struct {
	*world
	store                LetterOpener
	ordered, plain       events.Topic
	orderedSub, plainSub events.Subscription
	bus                  *process
	box                  *events.LetterBox
}

// newBox opens the store as another process would, and replays through p.
func (w *letterWorld) newBox(p events.Publisher) *events.LetterBox {
	w.Helper()
	box, err := events.NewLetterBox(w.store(w.T), p, events.LetterOptions{
		Topics: []events.Topic{w.ordered, w.plain}, Logger: quietLog, MeterProvider: noop.NewMeterProvider(),
	})
	if err != nil {
		w.Fatal(err)
	}
	return box
}

// ctx bounds a call.
func (w *letterWorld) ctx() context.Context {
	ctx, cancel := context.WithTimeout(w.Context(), w.f.Patience)
	w.Cleanup(cancel)
	return ctx
}

// dead makes a dead letter of the ordered subscription.
func (w *letterWorld) dead(id, key string, parkedAt time.Time) events.DeadLetter {
	return events.DeadLetter{
		Message: events.Message{ID: id, Type: w.ordered.Type, Source: "s", Time: t0, Key: key, Data: []byte(`{}`)},
		Topic:   w.ordered.Name, Subscription: w.orderedSub.Name, Reason: "why " + id, Attempts: 3, ParkedAt: parkedAt,
	}
}

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)

// fileNumbered files letters key/0, key/1, … that were given up a second after each other.
func (w *letterWorld) fileNumbered(key string, count int) {
	w.Helper()
	for n := range count {
		m := numbered(key, n, n+1)[0]
		if err := w.box.File(w.ctx(), w.dead(m.ID, key, t0.Add(time.Duration(n)*time.Second))); err != nil {
			w.Fatal(err)
		}
	}
}

// all lists every letter in order, in pages of a few.
func (w *letterWorld) all(q events.LetterQuery) []events.Letter {
	w.Helper()
	var all []events.Letter
	for {
		page, next, err := w.box.Letters(w.ctx(), q)
		if err != nil {
			w.Fatal(err)
		}
		if all = append(all, page...); next == "" {
			return all
		}
		q.After = next
	}
}

func (w *letterWorld) one(id string) events.Letter {
	w.Helper()
	list := w.all(events.LetterQuery{MessageID: id})
	if len(list) != 1 {
		w.Fatalf("%d letters of message %s, want 1", len(list), id)
	}
	return list[0]
}

func messageIDs(letters []events.Letter) []string {
	ids := make([]string, len(letters))
	for i, l := range letters {
		ids[i] = l.Message.ID
	}
	return ids
}

// awaitLetters waits until the filer has filed so many letters of a query.
func (w *letterWorld) awaitLetters(q events.LetterQuery, count int) []events.Letter {
	w.Helper()
	deadline := time.Now().Add(w.f.Patience)
	for {
		if all := w.all(q); len(all) >= count || time.Now().After(deadline) {
			if len(all) != count {
				w.Fatalf("%d letters, want %d: %v", len(all), count, messageIDs(all))
			}
			return all
		}
		time.Sleep(5 * time.Millisecond) // a store does not tell of what is filed
	}
}

// replay replays and returns what became of each letter by message id.
func (w *letterWorld) replay(box *events.LetterBox, r events.LetterReplay) (events.ReplayTotals, map[string]events.LetterOutcome) {
	w.Helper()
	outcomes := map[string]events.LetterOutcome{}
	totals, err := box.Replay(w.ctx(), r, func(result events.LetterResult) error {
		outcomes[result.Letter.Message.ID] = result.Outcome
		return nil
	})
	if err != nil {
		w.Fatalf("Replay: %v", err)
	}
	return totals, outcomes
}
