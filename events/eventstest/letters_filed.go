package eventstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vibesdk-gcp/events"
)

// jsonOnly is the schema of the cases' ordered topic.
func jsonOnly(data []byte) error {
	if !json.Valid(data) {
		return errors.New("is not JSON")
	}
	return nil
}

func lettersAreFiledWhole(w *letterWorld) {
	d := w.dead("the-id", "the key", t0)
	d.Message.Attributes = map[string]string{"mine": "kept"}
	d.Permanent, d.Stack = true, "main.f (f.go:1)"
	d.Message.Data = []byte{0, 1, 0xff}
	if err := w.box.File(w.ctx(), d); err != nil {
		w.Fatal(err)
	}
	got := w.one("the-id")
	want := events.Letter{
		DeadLetter: d, ID: events.LetterID(d.Subscription, "the-id"), State: events.LetterOpen, Version: 1, FirstParkedAt: t0,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(events.Letter{}, "Seq", "FiledAt", "ChangedAt")); diff != "" {
		w.Errorf("filed (-want +got):\n%s", diff)
	}
	if by, err := w.box.Letter(w.ctx(), got.ID); err != nil || !cmp.Equal(got, by) {
		w.Errorf("Letter: %+v, %v", by, err)
	}
	if _, err := w.box.Letter(w.ctx(), "none"); !errors.Is(err, events.ErrNotFound) {
		w.Errorf("a letter that is not there: %v, want ErrNotFound", err)
	}
}

func filedTwiceIsFiledOnce(w *letterWorld) {
	for range 3 {
		w.fileNumbered("k", 3)
	}
	letters := w.all(events.LetterQuery{})
	if diff := cmp.Diff([]string{"k/0", "k/1", "k/2"}, messageIDs(letters)); diff != "" {
		w.Fatalf("letters (-want +got):\n%s", diff)
	}
	// The same message given up by another subscription is another letter.
	other := w.dead("k/0", "k", t0)
	other.Subscription = w.plainSub.Name
	if err := w.box.File(w.ctx(), other); err != nil {
		w.Fatal(err)
	}
	if n := len(w.all(events.LetterQuery{MessageID: "k/0"})); n != 2 {
		w.Errorf("%d letters of two subscriptions", n)
	}
	// Given up twice before anybody looked: the first time counts for the order.
	early := w.dead("k/2", "k", t0.Add(-time.Hour))
	if err := w.box.File(w.ctx(), early); err != nil {
		w.Fatal(err)
	}
	if l := w.all(events.LetterQuery{})[0]; l.Message.ID != "k/2" {
		w.Errorf("the first letter is %s, want k/2", l.Message.ID)
	}
}

func filedAtOnceIsFiledOnce(w *letterWorld) {
	var wg sync.WaitGroup
	for range 4 {
		box := w.newBox(w.bus)
		for n := range 4 {
			wg.Go(func() {
				for i := range 10 {
					if err := box.File(w.Context(), w.dead(fmt.Sprint(n, "/", i), "k", t0), w.dead(fmt.Sprint("both/", i), "k", t0)); err != nil {
						w.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	letters := w.all(events.LetterQuery{Limit: 7})
	if ids := slices.Compact(slices.Sorted(slices.Values(messageIDs(letters)))); len(letters) != 50 || len(ids) != 50 {
		w.Errorf("%d letters of %d messages, want 50", len(letters), len(ids))
	}
}

// whatNoBusParkedIsFiled: it would come again for ever otherwise.
func whatNoBusParkedIsFiled(w *letterWorld) {
	w.bus.consume(events.Parked, w.box.Handle)
	w.bus.publish(events.DeadLetters, events.Message{ID: "odd", Data: []byte("by hand")})
	l := w.awaitLetters(events.LetterQuery{}, 1)[0]
	if l.Message.ID != "odd" || string(l.Message.Data) != "by hand" || l.Topic != "" || !strings.Contains(l.Reason, "by no bus") {
		w.Errorf("filed as %+v", l)
	}
	if totals, outcomes := w.replay(w.box, events.LetterReplay{}); totals.Refused != 1 || outcomes["odd"] != events.Refused {
		w.Errorf("replay of what has no topic: %+v, %v", totals, outcomes)
	}
}

// anyTextIsFiled: a store that refuses one letter would get it again for ever.
func anyTextIsFiled(w *letterWorld) {
	texts := []string{"nul\x00nul", "broken \xff\xfe", "quote ' \" \\ %_$1", "日本", strings.Repeat("x", 5000)}
	for _, text := range texts {
		d := w.dead(text, text, t0)
		d.Reason, d.Stack, d.Message.Type, d.Message.Source = text, text, text, text
		d.Message.Attributes = map[string]string{text: text}
		if err := w.box.File(w.ctx(), d, d); err != nil {
			w.Errorf("%.20q: %v", text, err)
		}
	}
	letters := w.all(events.LetterQuery{})
	if len(letters) != len(texts) {
		w.Fatalf("%d letters, want %d", len(letters), len(texts))
	}
	for _, l := range letters {
		if again := w.all(events.LetterQuery{MessageID: l.Message.ID, Key: l.Message.Key, Reason: l.Reason}); len(again) != 1 || again[0].ID != l.ID {
			w.Errorf("%.20q is not found by what it says", l.Message.ID)
		}
	}
}

func lettersArePagedInOrder(w *letterWorld) {
	// Pairs that were given up in the same microsecond, and filed in another order.
	var want []string
	for n := 9; n >= 0; n-- {
		for _, key := range []string{"a", "b"} {
			if err := w.box.File(w.ctx(), w.dead(fmt.Sprint(key, n), key, t0.Add(time.Duration(n)))); err != nil {
				w.Fatal(err)
			}
		}
	}
	for n := range 10 {
		for _, key := range []string{"a", "b"} {
			if err := w.box.File(w.ctx(), w.dead(fmt.Sprint("later ", key, n), key, t0.Add(time.Duration(n+1)*time.Hour))); err != nil {
				w.Fatal(err)
			}
		}
	}
	want = messageIDs(w.all(events.LetterQuery{Limit: events.MaxLetters}))
	if len(want) != 40 || want[39] != "later b9" || strings.HasPrefix(want[19], "later") {
		w.Fatalf("order: %v", want)
	}
	for _, limit := range []int{1, 3, 20, 40, 41} {
		if diff := cmp.Diff(want, messageIDs(w.all(events.LetterQuery{Limit: limit}))); diff != "" {
			w.Errorf("pages of %d (-want +got):\n%s", limit, diff)
		}
	}
	slices.Reverse(want)
	if diff := cmp.Diff(want, messageIDs(w.all(events.LetterQuery{Limit: 7, Newest: true}))); diff != "" {
		w.Errorf("newest first (-want +got):\n%s", diff)
	}
}

func largeLettersMakeShortPages(w *letterWorld) {
	for n := range 4 {
		d := w.dead(fmt.Sprint(n), "k", t0.Add(time.Duration(n)*time.Second))
		d.Message.Data = append(slices.Repeat([]byte(" "), events.MaxData-1), '1')
		if err := w.box.File(w.ctx(), d); err != nil {
			w.Fatal(err)
		}
	}
	page, next, err := w.box.Letters(w.ctx(), events.LetterQuery{})
	if err != nil || len(page) != 3 || next == "" { // of 9 MiB each
		w.Errorf("a page of %d letters, next %q, %v; want 3 and more", len(page), next, err)
	}
	if diff := cmp.Diff([]string{"0", "1", "2", "3"}, messageIDs(w.all(events.LetterQuery{}))); diff != "" {
		w.Errorf("all pages (-want +got):\n%s", diff)
	}
	if totals, _ := w.replay(w.box, events.LetterReplay{DryRun: true}); totals.Replayed != 4 {
		w.Errorf("a replay would be of %+v", totals)
	}
}

func queriesChoose(w *letterWorld) {
	for i, d := range []events.DeadLetter{w.dead("m0", "k", t0), w.dead("m1", "K", t0), w.dead("m2", "k", t0), w.dead("m3", "k", t0)} {
		d.ParkedAt = t0.Add(time.Duration(i) * time.Hour)
		switch i {
		case 1:
			d.Reason = "Dial TCP: Connection Refused 100%_"
		case 2:
			d.Topic, d.Subscription = w.plain.Name, w.plainSub.Name
		case 3:
			d.Message.Type = "other.v2"
		}
		if err := w.box.File(w.ctx(), d); err != nil {
			w.Fatal(err)
		}
	}
	ids := map[string]string{}
	for _, l := range w.all(events.LetterQuery{}) {
		ids[l.Message.ID] = l.ID
	}
	if _, err := w.box.Park(w.ctx(), ids["m0"], "n"); err != nil {
		w.Fatal(err)
	}
	for name, c := range map[string]struct {
		q    events.LetterQuery
		want string
	}{
		"all":          {events.LetterQuery{}, "m0 m1 m2 m3"},
		"ids":          {events.LetterQuery{IDs: []string{ids["m3"], ids["m1"], "none"}}, "m1 m3"},
		"state":        {events.LetterQuery{States: []events.LetterState{events.LetterParked}}, "m0"},
		"states":       {events.LetterQuery{States: events.LetterStates()}, "m0 m1 m2 m3"},
		"topic":        {events.LetterQuery{Topic: w.plain.Name}, "m2"},
		"subscription": {events.LetterQuery{Subscription: w.orderedSub.Name}, "m0 m1 m3"},
		"type":         {events.LetterQuery{Type: "other.v2"}, "m3"},
		"key":          {events.LetterQuery{Key: "K"}, "m1"},
		"message":      {events.LetterQuery{MessageID: "m2"}, "m2"},
		"reason":       {events.LetterQuery{Reason: "connection refused 100%_"}, "m1"},
		"no wildcard":  {events.LetterQuery{Reason: "conn%refused"}, ""},
		"from":         {events.LetterQuery{From: t0.Add(2 * time.Hour)}, "m2 m3"},
		"until":        {events.LetterQuery{Until: t0.Add(2 * time.Hour)}, "m0 m1"},
		"both":         {events.LetterQuery{From: t0.Add(time.Hour), Until: t0.Add(time.Hour + time.Microsecond)}, "m1"},
		"all of them":  {events.LetterQuery{Key: "k", Type: w.ordered.Type, Topic: w.ordered.Name, Reason: "WHY"}, "m0"},
	} {
		if got := strings.Join(messageIDs(w.all(c.q)), " "); got != c.want {
			w.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		counts, err := w.box.Count(w.ctx(), c.q)
		total := 0
		for _, n := range counts {
			total += n.Count
		}
		if err != nil || total != len(strings.Fields(c.want)) {
			w.Errorf("%s: counted %d (%v), want %q", name, total, err, c.want)
		}
	}
	open, err := w.box.Watch(w.ctx())
	want := []events.LetterCount{
		{Topic: w.ordered.Name, Subscription: w.orderedSub.Name, State: events.LetterOpen, Count: 2, Oldest: t0.Add(time.Hour)},
		{Topic: w.plain.Name, Subscription: w.plainSub.Name, State: events.LetterOpen, Count: 1, Oldest: t0.Add(2 * time.Hour)},
	}
	byTopic := cmpopts.SortSlices(func(a, b events.LetterCount) bool { return a.Topic < b.Topic })
	if diff := cmp.Diff(want, open, byTopic); err != nil || diff != "" {
		w.Errorf("open letters (-want +got), %v:\n%s", err, diff)
	}
}

func queriesAreChecked(w *letterWorld) {
	for want, q := range map[string]events.LetterQuery{
		"limit is -1":            {Limit: -1},
		"limit is 1001":          {Limit: events.MaxLetters + 1},
		`state "gone"`:           {States: []events.LetterState{"gone"}},
		`after "x" is no cursor`: {After: "x"},
		"from 2026":              {From: t0, Until: t0},
		"reason is not UTF-8":    {Reason: "\xff"},
		"key is not UTF-8":       {Key: "a\x00"},
	} {
		if _, _, err := w.box.Letters(w.ctx(), q); !errors.Is(err, events.ErrInvalid) || !strings.Contains(err.Error(), want) {
			w.Errorf("Letters: %v, want ErrInvalid with %q", err, want)
		}
	}
	for want, r := range map[string]events.LetterReplay{
		"parked ones are not replayed": {Query: events.LetterQuery{States: events.LetterStates()}},
		"must not be negative":         {Rate: -1},
		"limit must not be negative":   {Query: events.LetterQuery{Limit: -1}},
	} {
		if _, err := w.box.Replay(w.ctx(), r, nil); !errors.Is(err, events.ErrInvalid) || !strings.Contains(err.Error(), want) {
			w.Errorf("Replay: %v, want ErrInvalid with %q", err, want)
		}
	}
}

func purgeDeletesWhatIsAskedFor(w *letterWorld) {
	w.fileNumbered("k", 6)
	if _, err := w.box.Purge(w.ctx(), events.LetterQuery{Key: "k"}); !errors.Is(err, events.ErrInvalid) {
		w.Errorf("purge without a state: %v, want ErrInvalid", err)
	}
	if _, err := w.box.Park(w.ctx(), w.one("k/5").ID, ""); err != nil {
		w.Fatal(err)
	}
	purge := func(q events.LetterQuery, want int, left string) {
		w.Helper()
		n, err := w.box.Purge(w.ctx(), q)
		ids := messageIDs(w.all(events.LetterQuery{}))
		if got := strings.Join(ids, " "); err != nil || n != want || got != left {
			w.Errorf("purged %d (%v), want %d; left %q, want %q", n, err, want, got, left)
		}
	}
	open := []events.LetterState{events.LetterOpen}
	purge(events.LetterQuery{States: open, Until: t0.Add(2 * time.Second)}, 2, "k/2 k/3 k/4 k/5")
	purge(events.LetterQuery{States: open, Reason: "why k/3", Limit: 1, After: "0-0"}, 1, "k/2 k/4 k/5")
	purge(events.LetterQuery{States: []events.LetterState{events.LetterReplayed}}, 0, "k/2 k/4 k/5")
	purge(events.LetterQuery{States: open}, 2, "k/5")
	purge(events.LetterQuery{States: events.LetterStates()}, 1, "")
}
