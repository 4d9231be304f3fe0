package sessiontest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"vibesdk-gcp/platform/session"
)

// watcher collects what a Watch gives.
type watcher struct {
	w    *world
	seen chan *session.Record
	stop context.CancelFunc
	done chan error
}

func (w *world) watch(d session.Driver, id string, known *session.Record) *watcher {
	ctx, stop := context.WithCancel(w.Context())
	x := &watcher{w: w, seen: make(chan *session.Record, 1000), stop: stop, done: make(chan error, 1)}
	go func() {
		x.done <- d.Watch(ctx, id, known, func(r *session.Record) error {
			x.seen <- r
			return nil
		})
	}()
	w.Cleanup(x.end)
	return x
}

// until waits for a record that ok accepts and returns it.
func (x *watcher) until(what string, ok func(*session.Record) bool) *session.Record {
	x.w.Helper()
	patience := time.After(x.w.f.Patience)
	for {
		select {
		case r := <-x.seen:
			if ok(r) {
				return r
			}
		case err := <-x.done:
			x.done <- err
			x.w.Fatalf("waiting for %s, the watch ended: %v", what, err)
		case <-patience:
			x.w.Fatalf("a watcher did not see %s", what)
		}
	}
}

func (x *watcher) commit(n int64) *session.Record {
	x.w.Helper()
	return x.until(fmt.Sprint("commit ", n), func(r *session.Record) bool { return r.Commit == n })
}

func (x *watcher) quiet(why string) {
	x.w.Helper()
	select {
	case r := <-x.seen:
		x.w.Errorf("a watcher saw commit %d %s", r.Commit, why)
	case err := <-x.done:
		x.done <- err
		x.w.Errorf("the watch ended: %v", err)
	case <-time.After(x.w.f.Quiet):
	}
}

// end stops the watch and waits until it has ended.
func (x *watcher) end() {
	x.w.Helper()
	x.stop()
	select {
	case err := <-x.done:
		x.done <- err
		if !errors.Is(err, context.Canceled) {
			x.w.Errorf("a stopped watch returned %v, want its context's error", err)
		}
	case <-time.After(x.w.f.Patience):
		x.w.Error("a watch did not end with its context")
	}
}

func watchSeesTheNewest(w *world) {
	one, two := w.open(), w.open()
	watchers := []*watcher{w.watch(one, "s", nil), w.watch(two, "s", nil), w.watch(two, "s", nil), w.watch(w.open(), "s", nil)}
	other := w.watch(two, "other", nil)
	var r *session.Record
	for n := int64(1); n <= 6; n++ {
		writer := one
		if n%2 == 0 {
			writer = two
		}
		if r == nil {
			r = w.commit(writer, beginning("s", texts{session.PartState: "1", session.PartTables: text(1, 1<<20)}))
		} else {
			r = w.commit(writer, after(w.load(writer, "s", r), texts{session.PartState: fmt.Sprint(n)}))
		}
		// Each sees each, because nothing follows until all have.
		for _, x := range watchers {
			w.same("what a watcher saw", r, x.commit(n))
		}
	}
	gone := after(r, nil)
	gone.Present, gone.Parts = false, nil
	r = w.commit(one, gone)
	for _, x := range watchers {
		w.same("what a watcher saw", r, x.commit(7))
	}
	other.quiet("of another session")
}

func watchBeginsWithWhatIsThere(w *world) {
	one, two := w.open(), w.open()
	first := w.commit(one, beginning("s", texts{session.PartState: "1"}))
	second := w.commit(one, after(first, texts{session.PartState: "2"}))
	w.same("without known", second, w.watch(two, "s", nil).commit(2))
	w.same("with an old one known", second, w.watch(two, "s", first).commit(2))
	w.same("with only a commit known", second, w.watch(two, "s", &session.Record{Head: session.Head{ID: "s", Commit: 1}}).commit(2))
	informed := w.watch(two, "s", second)
	told := w.watch(two, "s", &session.Record{Head: session.Head{ID: "s", Commit: 2}})
	informed.quiet("that it knew")
	told.quiet("that it knew")
	third := w.commit(one, after(second, texts{session.PartState: "3"}))
	w.same("after known", third, informed.commit(3))
	w.same("after a known commit", third, told.commit(3))
}

// watchRisesUnderLoad: commits may be skipped, but they rise, and the last one is seen.
func watchRisesUnderLoad(w *world) {
	const writers, each = 3, 20
	first := w.open()
	w.commit(first, beginning("s", texts{session.PartState: "0"}))
	var watchers []*watcher
	for range 3 {
		d := w.open()
		watchers = append(watchers, w.watch(d, "s", nil), w.watch(d, "s", nil))
	}
	var group sync.WaitGroup
	for range writers {
		d := w.open()
		group.Go(func() {
			for done := 0; done < each; {
				r, err := d.Load(w.Context(), "s", nil)
				if err == nil {
					_, err = d.Commit(w.Context(), after(r, texts{session.PartState: fmt.Sprint(r.Commit)}))
				}
				switch {
				case err == nil:
					done++
				case !errors.Is(err, session.ErrConflict):
					w.Errorf("writer: %v", err)
					return
				}
			}
		})
	}
	group.Wait()
	for _, x := range watchers {
		last := int64(0)
		x.until("the last commit", func(r *session.Record) bool {
			if r.Commit <= last {
				w.Errorf("a watcher saw commit %d after %d", r.Commit, last)
			}
			last = r.Commit
			return r.Commit == writers*each+1
		})
		x.quiet("after the last")
	}
}

func watchEndsWhenTold(w *world) {
	d := w.open()
	r := w.commit(d, beginning("s", texts{session.PartState: "1"}))
	w.watch(d, "nothing", nil).end()
	x := w.watch(d, "s", r)
	x.end()

	enough := errors.New("enough")
	calls := 0
	err := d.Watch(w.Context(), "s", nil, func(*session.Record) error {
		calls++
		return enough
	})
	if !errors.Is(err, enough) || calls != 1 {
		w.Errorf("a watch whose function failed returned %v after %d calls", err, calls)
	}
	ctx, cancel := context.WithTimeout(w.Context(), time.Millisecond)
	defer cancel()
	if err := d.Watch(ctx, "nothing", nil, func(*session.Record) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
		w.Errorf("a watch at its deadline returned %v", err)
	}
}

func watchSeesARecordBegunAgain(w *world) {
	one, two := w.open(), w.open()
	r := w.commit(one, beginning("s", texts{session.PartState: `"old"`}))
	r = w.commit(one, after(r, nil))
	w.commit(one, after(r, nil))
	watchers := []*watcher{w.watch(one, "s", nil), w.watch(two, "s", nil)}
	for _, x := range watchers {
		x.commit(3)
	}
	if err := two.Remove(w.Context(), "s", 3); err != nil {
		w.Fatal(err)
	}
	again := beginning("s", texts{session.PartState: `"new"`})
	again.UpdatedAt = epoch.Add(time.Hour)
	again = w.commit(one, again)
	for _, x := range watchers {
		w.same("what a watcher saw", again, x.commit(1))
	}
	again = w.commit(two, after(again, texts{session.PartState: `"newer"`}))
	for _, x := range watchers {
		w.same("what a watcher saw", again, x.commit(2))
	}
}
