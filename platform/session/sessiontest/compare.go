package sessiontest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"vibesdk-gcp/platform/session"
)

func secondBeginningConflicts(w *world) {
	one, two := w.open(), w.open()
	stored := w.commit(one, beginning("s", texts{session.PartState: `"first"`}))
	w.conflicts(two, beginning("s", texts{session.PartState: `"second"`, session.PartTables: "{}"}), stored)
	stored = w.commit(one, after(stored, texts{session.PartState: `"third"`}))
	w.conflicts(two, beginning("s", texts{session.PartState: `"fourth"`}), stored)
}

func wrongCommitConflicts(w *world) {
	one, two := w.open(), w.open()
	missing := beginning("missing", texts{session.PartState: "1"})
	for _, commit := range []int64{2, 5} {
		missing.Commit = commit
		w.conflicts(one, missing, nil)
	}
	first := w.commit(one, beginning("s", texts{session.PartState: "1", session.PartTables: "[1]"}))
	second := w.commit(one, after(first, texts{session.PartState: "2"}))
	third := w.commit(one, after(second, texts{session.PartState: "3"}))
	w.conflicts(two, after(first, texts{session.PartState: `"stale"`}), third)
	w.conflicts(two, after(second, texts{session.PartState: `"stale"`}), third)
	w.conflicts(one, without(after(second, nil), session.PartTables), third)
	ahead := after(third, texts{session.PartState: `"ahead"`})
	ahead.Commit++
	w.conflicts(two, ahead, third)
	w.commit(two, after(w.load(two, "s", nil), texts{session.PartState: "4"}))
}

// oneOfTwoCommitsWins lets handles commit on the same state at once, with parts small and large. A store may give a commit up, as the emulator of Firestore
// does on a busy machine when it waits too long for a lock: what became of it is seen in what is stored.
func oneOfTwoCommitsWins(w *world) {
	handles := []session.Driver{w.open(), w.open(), w.open()}
	const rounds = 12
	givenUp := 0
	for round := range rounds {
		id := fmt.Sprint("race-", round)
		size := 10
		if round%3 == 2 {
			size = 2 << 20
		}
		var base *session.Record
		if round%2 == 1 {
			base = w.commit(handles[0], beginning(id, texts{session.PartState: "0", session.PartTables: text(99, size)}))
		}
		nexts := make([]*session.Record, len(handles))
		errs := make([]error, len(handles))
		var group sync.WaitGroup
		for i, d := range handles {
			mine := texts{session.PartState: text(uint64(i), size), allParts[1+i]: fmt.Sprint(i)}
			if base == nil {
				nexts[i] = beginning(id, mine)
			} else {
				nexts[i] = after(base, mine)
			}
			nexts[i].Version = int64(100 + i)
			group.Go(func() {
				_, errs[i] = d.Commit(w.Context(), nexts[i])
			})
		}
		group.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case errors.Is(err, session.ErrUnavailable):
				stored, err := handles[0].Load(w.Context(), id, nil)
				if errors.Is(err, session.ErrNotFound) || err == nil && difference(nexts[i], stored) != "" {
					continue
				}
				if err != nil {
					w.Fatalf("round %d: load: %v", round, err)
				}
			case errors.Is(err, session.ErrConflict):
				continue
			case err != nil:
				w.Fatalf("round %d: commit of %d: %v, want nil or ErrConflict", round, i, err)
			}
			if winner >= 0 {
				w.Fatalf("round %d: %d and %d both won", round, winner, i)
			}
			winner = i
		}
		if winner < 0 {
			if !slices.ContainsFunc(errs, func(err error) bool { return errors.Is(err, session.ErrUnavailable) }) {
				w.Fatalf("round %d: nobody won", round)
			}
			if givenUp++; givenUp > rounds/2 {
				w.Fatalf("the store gave %d of %d rounds up: %v", givenUp, rounds, errs)
			}
			continue
		}
		for _, d := range handles {
			w.same("what the winner stored", nexts[winner], w.load(d, id, base))
		}
		// What the others left behind must not come up later either.
		last := w.load(handles[2], id, nil)
		last = w.commit(handles[1], after(last, texts{session.PartMCPServers: "{}"}))
		w.same("the commit after the race", last, w.load(handles[0], id, nil))
	}
}

// countersLoseNothing has every handle add to one counter by compare-and-set.
func countersLoseNothing(w *world) {
	const workers, each = 4, 15
	first := w.open()
	w.commit(first, beginning("counter", texts{session.PartState: "0"}))
	var group sync.WaitGroup
	for range workers {
		d := w.open()
		group.Go(func() {
			var known *session.Record
			for done := 0; done < each; {
				r, err := d.Load(w.Context(), "counter", known)
				if err != nil {
					w.Errorf("load: %v", err)
					return
				}
				known = r
				runtime.Gosched() // so that others come in between
				var n int
				if _, err := fmt.Sscan(string(r.Parts[session.PartState].Data), &n); err != nil {
					w.Errorf("state %q: %v", r.Parts[session.PartState].Data, err)
					return
				}
				switch stored, err := d.Commit(w.Context(), after(r, texts{session.PartState: fmt.Sprint(n + 1)})); {
				case err == nil:
					known = stored
					done++
				case !errors.Is(err, session.ErrConflict):
					w.Errorf("commit: %v", err)
					return
				}
			}
		})
	}
	group.Wait()
	r := w.load(first, "counter", nil)
	if got := string(r.Parts[session.PartState].Data); got != fmt.Sprint(workers*each) || r.Commit != workers*each+1 {
		w.Errorf("the counter is %s at commit %d after %d additions", got, r.Commit, workers*each)
	}
}

func partsComeAndGo(w *world) {
	one, two := w.open(), w.open()
	r := w.commit(one, beginning("parts", texts{session.PartState: "1", session.PartFullConversations: text(1, 3<<20)}))
	steps := []struct {
		what string
		next func(*session.Record) *session.Record
	}{
		{"nothing changed", func(r *session.Record) *session.Record { return after(r, nil) }},
		{"a part was added", func(r *session.Record) *session.Record { return after(r, texts{session.PartJobs: "[]"}) }},
		{"a large part became small", func(r *session.Record) *session.Record {
			return after(r, texts{session.PartFullConversations: "[]"})
		}},
		{"a part was removed", func(r *session.Record) *session.Record { return after(without(r, session.PartState), nil) }},
		{"it came back the same", func(r *session.Record) *session.Record { return after(r, texts{session.PartState: "1"}) }},
		{"one came and one went", func(r *session.Record) *session.Record {
			return after(without(r, session.PartJobs), texts{session.PartTables: text(2, 2<<20)})
		}},
		{"a large part went", func(r *session.Record) *session.Record { return after(without(r, session.PartTables), nil) }},
		{"all went", func(r *session.Record) *session.Record {
			r = after(r, nil)
			r.Parts = nil
			return r
		}},
		{"all came", func(r *session.Record) *session.Record {
			next := after(r, nil)
			next.Parts = map[session.PartName]session.Part{}
			for i, name := range allParts {
				next.Parts[name] = session.Part{Data: []byte(fmt.Sprint(i))}
			}
			return next
		}},
	}
	for _, s := range steps {
		before := r
		r = w.commit(one, s.next(r))
		w.same("after "+s.what, r, w.load(two, "parts", nil))
		w.same("after "+s.what+", read with what was known before,", r, w.load(two, "parts", before))
	}
	// A writer that has only loaded uses the tags of the load.
	r = w.commit(two, after(w.load(two, "parts", nil), texts{session.PartState: `"end"`}))
	w.same("after a commit on loaded tags", r, w.load(one, "parts", nil))
}

func knownIsMadeUseOf(w *world) {
	one, two := w.open(), w.open()
	first := w.commit(one, beginning("known", texts{session.PartState: "1", session.PartTables: text(1, 1<<20), session.PartJobs: "[]"}))
	if w.load(one, "known", first) != first {
		w.Error("the record that Commit returned was read again")
	}
	loaded := w.load(two, "known", nil)
	if w.load(two, "known", loaded) != loaded {
		w.Error("a record that had not changed was read again")
	}
	w.commit(one, after(first, texts{session.PartState: "2"}))
	newer := w.load(two, "known", loaded)
	for _, name := range []session.PartName{session.PartTables, session.PartJobs} {
		if &newer.Parts[name].Data[0] != &loaded.Parts[name].Data[0] {
			w.Errorf("part %s had not changed and was read again", name)
		}
	}
}

func knownIsNeverTrusted(w *world) {
	one, two := w.open(), w.open()
	first := w.commit(one, beginning("known", texts{session.PartState: "1", session.PartTables: "[1]", session.PartJobs: "[]"}))
	second := w.commit(one, after(without(first, session.PartTables), texts{session.PartState: "2"}))
	third := w.commit(one, after(second, texts{session.PartTables: "[3]"}))
	for _, known := range []*session.Record{first, second, third, {Head: session.Head{ID: "known", Commit: 2}}, {Head: session.Head{ID: "known", Commit: 99}}} {
		w.same(fmt.Sprintf("read with commit %d known", known.Commit), third, w.load(two, "known", known))
	}
	// A commit that lost has parts of its own, which are nobody's.
	lost := after(second, texts{session.PartTables: `["lost"]`})
	if _, err := two.Commit(w.Context(), lost); !errors.Is(err, session.ErrConflict) {
		w.Fatalf("a late commit: %v", err)
	}
	w.same("after a commit was lost", third, w.load(two, "known", second))
}

// endedContextIsNoAnswer: a call that did not happen must not look like one that was refused.
func endedContextIsNoAnswer(w *world) {
	d := w.open()
	stored := w.commit(d, beginning("ended", texts{session.PartState: "1"}))
	ctx, cancel := context.WithCancel(w.Context())
	cancel()
	checks := map[string]error{}
	_, checks["Load"] = d.Load(ctx, "ended", nil)
	_, checks["Load of nothing"] = d.Load(ctx, "nothing", nil)
	_, checks["Commit"] = d.Commit(ctx, after(stored, nil))
	_, checks["Commit of another"] = d.Commit(ctx, beginning("another", nil))
	_, checks["List"] = d.List(ctx, session.Query{Limit: 1})
	checks["Remove"] = d.Remove(ctx, "ended", 1)
	checks["Watch"] = d.Watch(ctx, "ended", nil, func(*session.Record) error { return nil })
	for call, err := range checks {
		if err == nil || errors.Is(err, session.ErrConflict) || errors.Is(err, session.ErrNotFound) {
			w.Errorf("%s with an ended context: %v", call, err)
		}
	}
	w.load(d, "ended", nil)
}
