package sessiontest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"vibesdk-gcp/platform/session"
)

// pages lists everything that q selects, page by page.
func (w *world) pages(d session.Driver, q session.Query) []session.Head {
	w.Helper()
	var all []session.Head
	for {
		page, err := d.List(w.Context(), q)
		if err != nil {
			w.Fatalf("list: %v", err)
		}
		if len(page) > q.Limit {
			w.Fatalf("a page of %d heads, want at most %d", len(page), q.Limit)
		}
		all = append(all, page...)
		if len(page) < q.Limit {
			return all
		}
		last := page[len(page)-1]
		q.After = last.ID
		switch {
		case !q.DueBy.IsZero():
			q.AfterTime = last.AlarmAt
		case !q.ExpiredBy.IsZero():
			q.AfterTime = last.ExpiresAt
		}
		if len(all) > 10_000 {
			w.Fatal("the pages do not end")
		}
	}
}

// listed compares with what must be listed, whole heads and in order, in pages of several sizes.
func (w *world) listed(d session.Driver, q session.Query, want []session.Head) {
	w.Helper()
	for _, limit := range []int{1, 2, 7, 1000} {
		q.Limit = limit
		got := w.pages(d, q)
		for i := range max(len(got), len(want)) {
			switch {
			case i >= len(got):
				w.Fatalf("pages of %d: %d heads, %q is missing", limit, len(got), want[i].ID)
			case i >= len(want):
				w.Fatalf("pages of %d: %q is too many", limit, got[i].ID)
			}
			if d := headDifference(want[i], got[i]); d != "" {
				w.Fatalf("pages of %d: place %d: %s", limit, i, d)
			}
		}
	}
}

// population stores records with all combinations of times that matter, several at each.
func (w *world) population(d session.Driver) []session.Head {
	var heads []session.Head
	for i := range 24 {
		r := beginning(fmt.Sprintf("s-%02d", (i*7)%24), texts{session.PartState: fmt.Sprint(i)})
		r.Initialized = i%2 == 0
		if i%3 > 0 {
			r.AlarmAt = epoch.Add(time.Duration(i/6) * time.Microsecond)
		}
		if i%4 > 0 {
			r.ExpiresAt = epoch.Add(time.Duration(i/8) * time.Microsecond)
		}
		if i%5 == 0 {
			r.Present, r.Parts = false, nil
		}
		heads = append(heads, w.commit(d, r).Head)
	}
	return heads
}

// selected are the heads that ok accepts, ordered by key and id.
func selected(heads []session.Head, key func(session.Head) time.Time, ok func(session.Head) bool) []session.Head {
	list := slices.DeleteFunc(slices.Clone(heads), func(h session.Head) bool { return !ok(h) })
	slices.SortFunc(list, func(a, b session.Head) int {
		return cmp.Or(key(a).Compare(key(b)), cmp.Compare(a.ID, b.ID))
	})
	return list
}

func listPagesByID(w *world) {
	one, two := w.open(), w.open()
	w.listed(one, session.Query{}, nil)
	heads := w.population(one)
	byID := func(session.Head) time.Time { return time.Time{} }
	w.listed(two, session.Query{}, selected(heads, byID, func(h session.Head) bool { return h.Present }))
	w.listed(two, session.Query{After: "s-11x"}, selected(heads, byID, func(h session.Head) bool { return h.Present && h.ID > "s-11x" }))
	w.listed(two, session.Query{After: "t"}, nil)
}

func listPagesByAlarm(w *world) {
	one, two := w.open(), w.open()
	heads := w.population(one)
	for i := range 6 {
		by := epoch.Add(time.Duration(i-1) * time.Microsecond)
		want := selected(heads, func(h session.Head) time.Time { return h.AlarmAt }, func(h session.Head) bool { return !h.AlarmAt.IsZero() && !h.AlarmAt.After(by) })
		w.listed(two, session.Query{DueBy: by}, want)
		if i == 0 && len(want) > 0 || i > 0 && len(want) == 0 {
			w.Fatal("the case tests nothing")
		}
	}
}

func listPagesByExpiry(w *world) {
	one, two := w.open(), w.open()
	heads := w.population(one)
	for i := range 4 {
		by := epoch.Add(time.Duration(i-1) * time.Microsecond)
		want := selected(heads, func(h session.Head) time.Time { return h.ExpiresAt }, func(h session.Head) bool { return !h.ExpiresAt.IsZero() && !h.ExpiresAt.After(by) })
		w.listed(two, session.Query{ExpiredBy: by}, want)
		if i == 0 && len(want) > 0 || i > 0 && len(want) == 0 {
			w.Fatal("the case tests nothing")
		}
	}
}

// listFollowsCommits: a list shows every commit that returned before it.
func listFollowsCommits(w *world) {
	one, two := w.open(), w.open()
	r := w.commit(one, beginning("s", texts{session.PartState: "1"}))
	due, expired := session.Query{DueBy: epoch.Add(time.Hour)}, session.Query{ExpiredBy: epoch.Add(time.Hour)}
	for i := range 5 {
		next := after(r, nil)
		next.AlarmAt, next.ExpiresAt, next.Present = time.Time{}, time.Time{}, i%2 == 0
		var present, alarm, expiry []session.Head
		if i%3 > 0 {
			next.AlarmAt = epoch.Add(time.Duration(-i) * time.Second)
		}
		if i%4 > 1 {
			next.ExpiresAt = epoch.Add(time.Duration(i) * time.Second)
		}
		writer := []session.Driver{one, two}[i%2]
		r = w.commit(writer, next)
		if r.Present {
			present = []session.Head{r.Head}
		}
		if !r.AlarmAt.IsZero() {
			alarm = []session.Head{r.Head}
		}
		if !r.ExpiresAt.IsZero() {
			expiry = []session.Head{r.Head}
		}
		for _, d := range []session.Driver{one, two} {
			w.listed(d, session.Query{}, present)
			w.listed(d, due, alarm)
			w.listed(d, expired, expiry)
		}
	}
	if err := two.Remove(w.Context(), "s", r.Commit); err != nil {
		w.Fatal(err)
	}
	for _, q := range []session.Query{{}, due, expired} {
		w.listed(one, q, nil)
	}
}

func removeComparesTheCommit(w *world) {
	one, two := w.open(), w.open()
	if err := one.Remove(w.Context(), "nothing", 1); err != nil {
		w.Errorf("remove of nothing: %v", err)
	}
	r := w.commit(one, beginning("s", texts{session.PartState: text(1, 2<<20)}))
	r = w.commit(one, after(r, nil))
	w.commit(one, beginning("t", texts{session.PartState: "1"}))
	for _, commit := range []int64{0, 1, 3} {
		if err := two.Remove(w.Context(), "s", commit); !errors.Is(err, session.ErrConflict) {
			w.Errorf("remove of commit %d: %v, want ErrConflict", commit, err)
		}
		w.same("after a remove that was refused", r, w.load(one, "s", nil))
	}
	if err := two.Remove(w.Context(), "s", 2); err != nil {
		w.Fatal(err)
	}
	w.absent(one, "s")
	w.absent(two, "s")
	w.load(one, "t", nil)
	if err := one.Remove(w.Context(), "s", 2); err != nil {
		w.Errorf("remove for the second time: %v", err)
	}
	// What was removed is no base for what somebody still holds.
	w.conflicts(one, after(r, nil), nil)
}

func removedCanBeginAgain(w *world) {
	one, two := w.open(), w.open()
	for round := range 3 {
		r := w.commit(one, beginning("s", texts{session.PartState: text(uint64(round), 1<<20), allParts[1+round]: fmt.Sprint(round)}))
		w.same("begun again", r, w.load(two, "s", nil))
		r = w.commit(two, after(w.load(two, "s", nil), texts{session.PartMCPServers: "{}"}))
		w.same("and on", r, w.load(one, "s", nil))
		if err := one.Remove(w.Context(), "s", 2); err != nil {
			w.Fatal(err)
		}
		w.absent(two, "s")
	}
}
