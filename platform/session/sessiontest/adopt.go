package sessiontest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"vibesdk-gcp/platform/session"
)

// moveOut takes a session out of the store, as one that is moved to another home.
func (w *world) moveOut(d session.Driver, id string) *session.Record {
	w.Helper()
	r := w.load(d, id, nil)
	if err := d.Remove(w.Context(), id, r.Commit); err != nil {
		w.Fatalf("remove %q: %v", id, err)
	}
	return r
}

func (w *world) adopt(s *session.Store, r *session.Record, changes bool) *session.Record {
	w.Helper()
	given := copyOf(r)
	stored, changed, err := s.Adopt(w.Context(), r)
	if err != nil {
		w.Fatalf("adopt %q at version %d: %v", r.ID, r.Version, err)
	}
	w.same("what was adopted, afterwards,", given, r)
	if changed != changes {
		w.Fatalf("adopt %q at version %d: changed is %t", r.ID, r.Version, changed)
	}
	if d := session.Difference(r, stored); d != "" {
		w.Fatalf("the adopted session differs: %s", d)
	}
	return stored
}

// adoptedSessionsGoOn: whoever knew a session at its old home finds all of it at the new one.
func adoptedSessionsGoOn(w *world) {
	d := w.open()
	s := w.store(d)
	w.applied(s, "s", session.Mutation{ID: "init", Kind: session.Initialize, Payload: []byte(`{ "a" : 1.0e3 }`)})
	w.applied(s, "s", line("first"))
	refused := session.Mutation{ID: "refused", Kind: session.Initialize, Payload: []byte("1")}
	had := w.apply(s, "s", refused)[0]
	older := w.load(d, "s", nil)
	big := put("big", text(7, 3<<20))
	w.applied(s, "s", big)
	w.applied(s, "s", line("second"))
	newer := w.moveOut(d, "s")

	// An older copy first, then the newest over it: a migration that was run twice.
	here := w.store(w.open())
	if stored := w.adopt(here, older, true); stored.Commit != 1 || stored.Version != 2 {
		w.Errorf("the older copy has commit %d and version %d", stored.Commit, stored.Version)
	}
	if stored := w.adopt(here, newer, true); stored.Commit != 2 || stored.Version != 4 || !stored.CreatedAt.Equal(newer.CreatedAt) {
		w.Errorf("the newest has commit %d and version %d, created at %s", stored.Commit, stored.Version, stored.CreatedAt)
	}
	w.adopt(here, newer, false)

	// Duplicates are still recognised, versions go on, and the wrong version is refused.
	other := w.uncached(w.open())
	w.again(other, "s", refused, had)
	if o := w.apply(other, "s", line("first"))[0]; !o.Duplicate || o.Version != 2 {
		w.Errorf("a mutation of the old home again: %+v", o)
	}
	if o, err := other.Wait(w.Context(), "s", "big"); err != nil || o.Version != 3 {
		w.Errorf("wait for a mutation of the old home: %+v, %v", o, err)
	}
	stale := int64(3)
	w.rejected(other, "s", session.Mutation{ID: "stale", Kind: session.Put, Payload: []byte("1"), Expected: &stale}, session.RejectedConflict, session.ErrConflict)
	if v := w.applied(other, "s", line("third")); v != 5 {
		w.Errorf("the next version is %d, want 5", v)
	}
	if got := w.lines(other, "s"); !slices.Equal(got, []string{"first", "second", "third"}) {
		w.Errorf("the lines are %q", got)
	}

	// What went on here is never overwritten.
	now := w.load(d, "s", nil)
	for name, r := range map[string]*session.Record{"older": older, "newer": newer, "of the same version": after(newer, texts{session.PartState: `"else"`})} {
		if _, _, err := here.Adopt(w.Context(), r); !errors.Is(err, session.ErrConflict) {
			w.Errorf("a copy that is %s: %v, want ErrConflict", name, err)
		}
	}
	w.same("what went on here", now, w.load(d, "s", nil))
}

// adoptedRefusalsAreKnown: a mutation that was refused after the first copy is not looked at again at the new home.
func adoptedRefusalsAreKnown(w *world) {
	d := w.open()
	s := w.store(d)
	w.applied(s, "s", session.Mutation{ID: "init", Kind: session.Initialize, Payload: []byte(`1`)})
	older := w.load(d, "s", nil)
	refused := session.Mutation{ID: "refused", Kind: session.Initialize, Payload: []byte("2")}
	had := w.apply(s, "s", refused)[0]
	newer := copyOf(w.load(d, "s", nil))
	newer.UpdatedAt = older.UpdatedAt.Add(time.Microsecond) // both may be of one microsecond
	w.moveOut(d, "s")
	here := w.uncached(w.open())
	w.adopt(here, older, true)
	w.adopt(here, newer, true)
	w.adopt(here, newer, false)
	w.again(here, "s", refused, had)
	if _, changed, err := here.Adopt(w.Context(), older); err != nil || changed {
		w.Errorf("the older copy again: %t, %v", changed, err)
	}
	w.again(here, "s", refused, had)
}

// adoptedTombstonesRemember: what was destroyed at its old home stays so, and its mutations stay known.
func adoptedTombstonesRemember(w *world) {
	d := w.open()
	s := w.store(d)
	w.applied(s, "s", line("a"))
	w.applied(s, "s", session.Mutation{ID: "end", Kind: session.Destroy})
	gone := w.moveOut(d, "s")
	here := w.uncached(w.open())
	w.adopt(here, gone, true)
	w.adopt(here, gone, false)
	if _, err := here.Get(w.Context(), "s"); !errors.Is(err, session.ErrNotFound) {
		w.Errorf("get: %v, want ErrNotFound", err)
	}
	if o := w.apply(here, "s", line("a"))[0]; !o.Duplicate || o.Version != 1 {
		w.Errorf("its mutation again: %+v", o)
	}
	if v := w.applied(here, "s", line("b")); v != 3 {
		w.Errorf("begun again it has version %d, want 3", v)
	}
}

// adoptionIsOne: many who adopt one session at once, while it is also written to, leave one of the possible ends.
func adoptionIsOne(w *world) {
	d := w.open()
	s := w.store(d)
	for i := range 3 {
		w.applied(s, "s", line(fmt.Sprint(i)))
	}
	moved := w.moveOut(d, "s")
	var group sync.WaitGroup
	for range 4 {
		here := w.store(w.open())
		group.Go(func() {
			if _, _, err := here.Adopt(w.Context(), moved); err != nil && !errors.Is(err, session.ErrConflict) {
				w.Errorf("adopt: %v", err)
			}
			if o, err := here.Apply(w.Context(), "s", []session.Mutation{line("late")}); err != nil || o[0].Err != nil || o[0].Version != 4 {
				w.Errorf("apply: %+v, %v", o, err)
			}
		})
	}
	group.Wait()
	if got := w.lines(w.uncached(d), "s"); !slices.Equal(got, []string{"0", "1", "2", "late"}) {
		w.Errorf("the lines are %q", got)
	}
}

// faultyRecordsAreNotAdopted and change nothing.
func faultyRecordsAreNotAdopted(w *world) {
	s := w.store(w.open())
	large := beginning("s", nil)
	for _, name := range allParts[:4] {
		large.Parts[name] = session.Part{Data: []byte(text(1, 9<<20))}
	}
	absent := beginning("s", texts{session.PartState: "1"})
	absent.Present = false
	for name, c := range map[string]struct {
		r    *session.Record
		want error
	}{
		"no id":               {beginning("", texts{session.PartState: "1"}), session.ErrInvalid},
		"an unknown part":     {beginning("s", texts{"else": "1"}), session.ErrInvalid},
		"parts of a tomb":     {absent, session.ErrInvalid},
		"a part too large":    {beginning("s", texts{session.PartState: text(1, 11<<20)}), session.ErrTooLarge},
		"a session too large": {large, session.ErrTooLarge},
	} {
		if _, _, err := s.Adopt(w.Context(), c.r); !errors.Is(err, c.want) {
			w.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	w.absent(w.open(), "s")
}
