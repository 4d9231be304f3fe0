package eventstest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/events"
)

func editsAreValidated(w *letterWorld) {
	w.fileNumbered("k", 2)
	before := w.one("k/0")
	for want, e := range map[string]events.LetterEdit{
		"data: is not JSON":     {Data: []byte("{")},
		"id has 1025 bytes":     {NewID: strings.Repeat("x", events.MaxAttributeValue+1)},
		"neither the payload":   {},
		"data has 9437185 byte": {Data: make([]byte, events.MaxData+1)},
	} {
		if _, err := w.box.Edit(w.ctx(), before.ID, e); !errors.Is(err, events.ErrInvalid) || !strings.Contains(err.Error(), want) {
			w.Errorf("Edit: %v, want ErrInvalid with %q", err, want)
		}
	}
	if diff := cmp.Diff(before, w.one("k/0")); diff != "" {
		w.Errorf("a refused edit changed the letter:\n%s", diff)
	}
	edited, err := w.box.Edit(w.ctx(), before.ID, events.LetterEdit{Data: []byte(`{"a":1}`), Version: 1})
	if err != nil || edited.Message.ID != "k/0" || string(edited.Message.Data) != `{"a":1}` || !edited.Edited || edited.Version != 2 {
		w.Errorf("edited: %+v, %v", edited, err)
	}
	if diff := cmp.Diff(edited, w.one("k/0")); diff != "" {
		w.Errorf("stored (-returned +stored):\n%s", diff)
	}
	renamed, err := w.box.Edit(w.ctx(), w.one("k/1").ID, events.LetterEdit{NewID: "another"})
	if err != nil || renamed.Message.ID != "another" || string(renamed.Message.Data) != "{}" || renamed.ID != events.LetterID(w.orderedSub.Name, "k/1") {
		w.Errorf("renamed: %+v, %v", renamed, err)
	}
	j := newJournal()
	w.bus.consume(w.orderedSub, j.handle)
	w.replay(w.box, events.LetterReplay{})
	j.awaitIDs(w.world, 2)
	if diff := cmp.Diff([]string{"k/0", "another"}, j.ids("k")); diff != "" || string(j.entries()[0].Data) != `{"a":1}` {
		w.Errorf("handled %+v:\n%s", j.entries(), diff)
	}
	if _, err := w.box.Edit(w.ctx(), before.ID, events.LetterEdit{Data: []byte("{}")}); !errors.Is(err, events.ErrConflict) {
		w.Errorf("edit of what was replayed: %v, want ErrConflict", err)
	}
	if _, err := w.box.Park(w.ctx(), before.ID, "late"); !errors.Is(err, events.ErrConflict) {
		w.Errorf("parking what was replayed: %v, want ErrConflict", err)
	}
}

func editsMeetNoOther(w *letterWorld) {
	w.fileNumbered("k", 1)
	id := w.one("k/0").ID
	var won atomic.Int32
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			_, err := w.box.Edit(w.Context(), id, events.LetterEdit{Data: fmt.Append(nil, n), Version: 1})
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, events.ErrConflict):
				w.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || w.one("k/0").Version != 2 {
		w.Errorf("%d edits of version 1 were made, want 1", won.Load())
	}
	if _, err := w.box.Edit(w.ctx(), "none", events.LetterEdit{Data: []byte("1")}); !errors.Is(err, events.ErrNotFound) {
		w.Errorf("edit of nothing: %v, want ErrNotFound", err)
	}
}

// replayKeepsIDAndOrder goes the whole way: given up by the bus, filed, replayed, handled.
func replayKeepsIDAndOrder(w *letterWorld) {
	var mended atomic.Bool
	j := newJournal()
	handle := func(_ context.Context, m events.Message) error {
		if !mended.Load() {
			return events.Permanent(errTest)
		}
		j.add(m)
		return nil
	}
	w.bus.consume(w.orderedSub, handle)
	w.bus.consume(w.plainSub, handle)
	w.bus.consume(events.Parked, w.box.Handle)
	publishInterleaved(w.bus, w.ordered, 0, 20, "a", "b", "c")
	w.bus.publish(w.plain, events.Message{ID: "alone", Source: "mine", Data: []byte("any"), Attributes: map[string]string{"x": "y"}})
	w.awaitLetters(events.LetterQuery{}, 61)
	mended.Store(true)
	totals, outcomes := w.replay(w.box, events.LetterReplay{})
	if totals != (events.ReplayTotals{Replayed: 61}) || len(outcomes) != 61 {
		w.Errorf("replayed %+v", totals)
	}
	j.awaitIDs(w.world, 61)
	wantOrder(w.world, j, 20, "a", "b", "c")
	for _, m := range j.entries() {
		if m.Replays() != 1 {
			w.Errorf("%s comes as replay %d", m.ID, m.Replays())
		}
		if m.ID == "alone" && (m.Source != "mine" || string(m.Data) != "any" || m.Attributes["x"] != "y" || m.Type != w.plain.Type) {
			w.Errorf("replayed as %+v", m)
		}
	}
	for _, l := range w.all(events.LetterQuery{}) {
		if l.State != events.LetterReplayed || l.Replays != 1 {
			w.Errorf("%s is %s after %d replays", l.Message.ID, l.State, l.Replays)
		}
	}
	if totals, _ := w.replay(w.box, events.LetterReplay{}); totals != (events.ReplayTotals{}) {
		w.Errorf("replayed again: %+v", totals)
	}
}

// failing is a publisher that fails from the given call on, after publishing what it was given if it is told to.
type failing struct {
	events.Publisher
	from  int32
	calls atomic.Int32
	late  bool
}

func (f *failing) Publish(ctx context.Context, topic events.Topic, msgs ...events.Message) error {
	if f.calls.Add(1) < f.from {
		return f.Publisher.Publish(ctx, topic, msgs...)
	}
	if f.late {
		if err := f.Publisher.Publish(ctx, topic, msgs...); err != nil {
			return err
		}
	}
	return events.ErrClosed // not tried again
}

func replayIsNotedOncePublished(w *letterWorld) {
	w.fileNumbered("k", 10)
	j := newJournal()
	w.bus.consume(w.orderedSub, j.handle)
	box := w.newBox(&failing{Publisher: w.bus, from: 2})
	totals, err := box.Replay(w.ctx(), events.LetterReplay{Rate: 30}, func(events.LetterResult) error { return nil }) // batches of three
	if !errors.Is(err, events.ErrClosed) || totals.Replayed != 3 {
		w.Fatalf("replayed %+v, %v; want three and the publisher's error", totals, err)
	}
	j.awaitIDs(w.world, 3)
	j.quiet(w.world, 3)
	if open := w.all(events.LetterQuery{States: []events.LetterState{events.LetterOpen}}); len(open) != 7 || open[0].Message.ID != "k/3" {
		w.Errorf("open: %v, want k/3 to k/9", messageIDs(open))
	}
	stop := errors.New("enough")
	if totals, err := w.box.Replay(w.ctx(), events.LetterReplay{Rate: 30}, func(events.LetterResult) error { return stop }); !errors.Is(err, stop) || totals.Replayed != 1 {
		w.Errorf("stopped by its caller: %+v, %v", totals, err)
	}
}

// replayGoesOnAfterACrash: published and not noted is published again, in the same order.
func replayGoesOnAfterACrash(w *letterWorld) {
	w.fileNumbered("k", 10)
	j := newJournal()
	w.bus.consume(w.orderedSub, j.handle)
	slow := events.LetterReplay{Rate: 50} // batches of five
	box := w.newBox(&failing{Publisher: w.bus, from: 2, late: true})
	totals, err := box.Replay(w.ctx(), slow, func(events.LetterResult) error { return nil })
	if !errors.Is(err, events.ErrClosed) || totals.Replayed != 5 {
		w.Fatalf("replayed %+v, %v; want five and the publisher's error", totals, err)
	}
	open := w.all(events.LetterQuery{States: []events.LetterState{events.LetterOpen}})
	if len(open) != 5 || open[0].Message.ID != "k/5" {
		w.Fatalf("open: %v, want k/5 to k/9", messageIDs(open))
	}
	if totals, _ := w.replay(w.box, slow); totals.Replayed != 5 {
		w.Errorf("replayed %+v, want the other five", totals)
	}
	j.await(w.world, "fifteen messages", func(all []events.Message) bool { return len(all) == 15 })
	wantOrder(w.world, j, 10, "k")
}

func replaysAtOnceKeepOrder(w *letterWorld) {
	for _, key := range []string{"a", "b"} {
		w.fileNumbered(key, 20)
	}
	j := newJournal()
	w.bus.consume(w.orderedSub, j.handle)
	var wg sync.WaitGroup
	for range 3 {
		box := w.newBox(w.bus)
		wg.Go(func() {
			if _, err := box.Replay(w.Context(), events.LetterReplay{Rate: 100}, func(events.LetterResult) error { return nil }); err != nil {
				w.Error(err)
			}
		})
	}
	wg.Wait()
	j.awaitIDs(w.world, 40)
	wantOrder(w.world, j, 20, "a", "b")
	if open := w.all(events.LetterQuery{States: []events.LetterState{events.LetterOpen}}); len(open) > 0 {
		w.Errorf("still open: %v", messageIDs(open))
	}
}

func dryRunChangesNothing(w *letterWorld) {
	w.fileNumbered("k", 5)
	before := w.all(events.LetterQuery{})
	j := newJournal()
	w.bus.consume(w.orderedSub, j.handle)
	totals, outcomes := w.replay(w.box, events.LetterReplay{DryRun: true, Rate: 0.001, Query: events.LetterQuery{Limit: 4}})
	if totals.Replayed != 4 || outcomes["k/0"] != events.WouldReplay || len(outcomes) != 4 {
		w.Errorf("dry run: %+v, %v", totals, outcomes)
	}
	j.quiet(w.world, 0)
	if diff := cmp.Diff(before, w.all(events.LetterQuery{})); diff != "" {
		w.Errorf("a dry run changed letters:\n%s", diff)
	}
	if totals, _ := w.replay(w.box, events.LetterReplay{Query: events.LetterQuery{Limit: 2}}); totals.Replayed != 2 {
		w.Errorf("with a limit of 2: %+v", totals)
	}
	j.awaitIDs(w.world, 2)
	j.quiet(w.world, 2)
}

func refusedKeepsNoOther(w *letterWorld) {
	bad := w.dead("bad", "k", t0.Add(-time.Hour))
	bad.Message.Data = []byte("{")
	lost := w.dead("lost", "k", t0.Add(-time.Minute))
	lost.Topic = "no-such-topic"
	if err := w.box.File(w.ctx(), bad, lost); err != nil {
		w.Fatal(err)
	}
	w.fileNumbered("k", 3)
	j := newJournal()
	w.bus.consume(w.orderedSub, j.handle)
	totals, outcomes := w.replay(w.box, events.LetterReplay{})
	want := events.ReplayTotals{Replayed: 3, Refused: 2}
	if totals != want || outcomes["bad"] != events.Refused || outcomes["lost"] != events.Refused {
		w.Errorf("replayed %+v, want %+v: %v", totals, want, outcomes)
	}
	j.awaitIDs(w.world, 3)
	wantOrder(w.world, j, 3, "k")
	if l := w.one("bad"); l.State != events.LetterOpen {
		w.Errorf("what was refused is %s", l.State)
	}
}

func parkedIsNotReplayed(w *letterWorld) {
	w.fileNumbered("k", 2)
	id := w.one("k/0").ID
	if l, err := w.box.Park(w.ctx(), id, "asked the owner"); err != nil || l.State != events.LetterParked || l.Note != "asked the owner" {
		w.Fatalf("parked: %+v, %v", l, err)
	}
	if _, err := w.box.Park(w.ctx(), id, strings.Repeat("x", events.MaxNote+1)); !errors.Is(err, events.ErrInvalid) {
		w.Errorf("a note that is too long: %v, want ErrInvalid", err)
	}
	j := newJournal()
	w.bus.consume(w.orderedSub, j.handle)
	if totals, _ := w.replay(w.box, events.LetterReplay{Query: events.LetterQuery{IDs: []string{id}}}); totals.Replayed != 0 {
		w.Errorf("replayed what is parked: %+v", totals)
	}
	if totals, _ := w.replay(w.box, events.LetterReplay{}); totals.Replayed != 1 {
		w.Errorf("replayed %+v, want the other", totals)
	}
	if l, err := w.box.Release(w.ctx(), id); err != nil || l.State != events.LetterOpen || l.Note != "asked the owner" {
		w.Fatalf("released: %+v, %v", l, err)
	}
	if totals, _ := w.replay(w.box, events.LetterReplay{}); totals.Replayed != 1 {
		w.Errorf("replayed %+v after the release", totals)
	}
	j.awaitIDs(w.world, 2)
}

// failedReplayOpensTheLetter: what is given up again is the same letter, open, with the new reason.
func failedReplayOpensTheLetter(w *letterWorld) {
	w.bus.consume(w.orderedSub, func(_ context.Context, m events.Message) error {
		return events.Permanent(fmt.Errorf("failure %d", m.Replays()))
	})
	w.bus.consume(events.Parked, w.box.Handle)
	w.bus.publish(w.ordered, numbered("k", 0, 1)...)
	first := w.awaitLetters(events.LetterQuery{Reason: "failure 0"}, 1)[0]
	for n := 1; n < 4; n++ {
		// Changed, when it is given up and filed again before the replay could note that it published.
		if totals, _ := w.replay(w.box, events.LetterReplay{}); totals.Replayed+totals.Changed != 1 {
			w.Fatalf("replay %d: %+v", n, totals)
		}
		l := w.awaitLetters(events.LetterQuery{Reason: fmt.Sprint("failure ", n), States: []events.LetterState{events.LetterOpen}}, 1)[0]
		if l.ID != first.ID || l.Replays != n || !l.FirstParkedAt.Equal(first.FirstParkedAt) || !l.ParkedAt.After(first.ParkedAt) {
			w.Errorf("after replay %d: %+v", n, l)
		}
	}
}

// lateDuplicateOpensNothing: a dead letter that is delivered again after its replay says nothing new.
func lateDuplicateOpensNothing(w *letterWorld) {
	d := w.dead("m", "k", t0)
	file := func(replays int) events.Letter {
		w.Helper()
		again := d
		again.Message = d.Message.Clone()
		again.Reason = fmt.Sprint("after ", replays)
		again.ParkedAt = t0.Add(time.Duration(replays) * time.Hour)
		if replays > 0 {
			again.Message.Attributes = map[string]string{"replay": fmt.Sprint(replays)}
		}
		if err := w.box.File(w.ctx(), again); err != nil {
			w.Fatal(err)
		}
		return w.one("m")
	}
	file(0)
	w.replay(w.box, events.LetterReplay{})
	if l := file(0); l.State != events.LetterReplayed {
		w.Errorf("the first dead letter, delivered late, made it %s", l.State)
	}
	if l := file(1); l.State != events.LetterOpen || l.Reason != "after 1" {
		w.Errorf("the failed replay made it %s: %s", l.State, l.Reason)
	}
	edited, err := w.box.Edit(w.ctx(), w.one("m").ID, events.LetterEdit{Data: []byte(`"edited"`)})
	if err != nil {
		w.Fatal(err)
	}
	if l := file(1); l.Version != edited.Version {
		w.Errorf("a duplicate changed the letter: %+v", l)
	}
	// A replay whose note was lost fails: the edit that came since stays.
	if l := file(2); l.Reason != "after 2" || string(l.Message.Data) != `"edited"` || l.Replays != 2 || l.State != events.LetterOpen {
		w.Errorf("after a failure that nobody waited for: %+v", l)
	}
	if _, err := w.box.Park(w.ctx(), edited.ID, "no"); err != nil {
		w.Fatal(err)
	}
	if l := file(3); l.State != events.LetterParked || l.Replays != 3 || l.Note != "no" {
		w.Errorf("a parked letter whose replay failed: %+v", l)
	}
}
