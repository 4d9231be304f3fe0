package sessiontest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"vibesdk-gcp/platform/session"
)

// staleCachesAreNoticed: two stores write one session in turns, each with its own cache.
func staleCachesAreNoticed(w *world) {
	one, two := w.store(w.open()), w.store(w.open())
	var want []string
	for i := range 30 {
		s := []*session.Store{one, two}[i*i%3%2]
		id := fmt.Sprint(i)
		if v := w.applied(s, "s", line(id)); v != int64(i+1) {
			w.Fatalf("mutation %d has version %d", i, v)
		}
		want = append(want, id)
	}
	for _, s := range []*session.Store{one, two} {
		if got := w.lines(s, "s"); !slices.Equal(got, want) {
			w.Errorf("a store sees %v", got)
		}
	}
	var group sync.WaitGroup
	for i, s := range []*session.Store{one, two, w.uncached(w.open())} {
		for k := range 3 {
			group.Go(func() {
				for n := range 5 {
					if o, err := s.Apply(w.Context(), "s", []session.Mutation{line(fmt.Sprint("c", i, k, n))}); err != nil || o[0].Err != nil {
						w.Errorf("apply: %+v, %v", o, err)
					}
				}
			})
		}
	}
	group.Wait()
	if got := w.lines(one, "s"); len(got) != 30+45 {
		w.Errorf("%d lines of %d mutations", len(got), 30+45)
	}
}

// clock is a time that a case moves.
type clock struct{ micros atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.micros.Store(epoch.UnixMicro())
	return c
}

func (c *clock) now() time.Time { return time.UnixMicro(c.micros.Load()) }

func (c *clock) pass(d time.Duration) { c.micros.Add(d.Microseconds()) }

func sessionsExpire(w *world) {
	c := newClock()
	o := session.Options{Logger: quietLog, Now: c.now, TTL: time.Hour, Tombstone: 24 * time.Hour}
	one, two := session.NewStore(w.open(), o), session.NewStore(w.open(), o)
	stores := []*session.Store{one, two}
	w.applied(one, "s", session.Mutation{ID: "a", Kind: session.Initialize, Payload: []byte("1")})
	w.applied(one, "s", line("b"))
	c.pass(30 * time.Minute)
	w.applied(two, "s", line("c")) // lives an hour from here
	c.pass(time.Hour - time.Microsecond)
	all := session.Query{Limit: 10}
	for _, s := range stores {
		if got := w.lines(s, "s"); !slices.Equal(got, []string{"b", "c"}) {
			w.Errorf("at the last moment: %v", got)
		}
		if heads, err := s.List(w.Context(), all); err != nil || len(heads) != 1 || !heads[0].ExpiresAt.Equal(c.now().Add(time.Microsecond)) {
			w.Errorf("at the last moment: %+v, %v", heads, err)
		}
	}
	c.pass(time.Microsecond)
	for _, s := range stores {
		if _, err := s.Get(w.Context(), "s"); !errors.Is(err, session.ErrNotFound) {
			w.Errorf("an expired session is found: %v", err)
		}
		if heads, err := s.List(w.Context(), all); err != nil || len(heads) != 0 {
			w.Errorf("an expired session is listed: %+v, %v", heads, err)
		}
		if heads, err := s.List(w.Context(), session.Query{ExpiredBy: c.now(), Limit: 10}); err != nil || len(heads) != 1 {
			w.Errorf("an expired session is not listed for removal: %+v, %v", heads, err)
		}
	}
	// What happened is remembered, and what comes begins anew with the counters going on.
	if o := w.apply(one, "s", line("b"))[0]; !o.Duplicate || o.Err != nil {
		w.Errorf("a duplicate after the expiry: %+v", o)
	}
	if v := w.applied(two, "s", session.Mutation{ID: "again", Kind: session.Initialize, Payload: []byte("2")}); v != 4 {
		w.Errorf("begun again at version %d", v)
	}
	for _, s := range stores {
		r, err := s.Get(w.Context(), "s")
		if err != nil || r.Version != 4 || r.Commit != 4 || !r.Initialized || len(r.Parts) != 1 || !r.CreatedAt.Equal(c.now()) || !r.ExpiresAt.Equal(c.now().Add(time.Hour)) {
			w.Errorf("begun again: %+v, %v", r, err)
		}
	}
	// Nothing but a rejection leaves it forgotten.
	c.pass(2 * time.Hour)
	w.rejected(one, "s", session.Mutation{ID: "no", Kind: session.Patch, Payload: []byte("[]")}, session.RejectedNotFound, session.ErrNotFound)
	if h := w.head(two, "s"); h.Present || h.Initialized || h.Version != 4 || !h.ExpiresAt.Equal(c.now().Add(24*time.Hour)) {
		w.Errorf("after a rejection on an expired session: %+v", h)
	}
}

// removedSessionsAreNotRemembered, also by caches that knew them.
func removedSessionsAreNotRemembered(w *world) {
	c := newClock()
	o := session.Options{Logger: quietLog, Now: c.now, TTL: time.Hour}
	one, two := session.NewStore(w.open(), o), session.NewStore(w.open(), o)
	for _, id := range []string{"a", "b", "c"} {
		w.applied(one, "s", line(id))
	}
	if err := two.Remove(w.Context(), "s", 2); !errors.Is(err, session.ErrConflict) {
		w.Errorf("remove of another commit: %v", err)
	}
	c.pass(2 * time.Hour)
	if err := two.Remove(w.Context(), "s", 3); err != nil {
		w.Fatal(err)
	}
	for i, id := range []string{"a", "x", "y"} {
		if v := w.applied(two, "s", line(id)); v != int64(i+1) {
			w.Errorf("%s after the removal has version %d", id, v)
		}
	}
	// The first store knows commit 3 of the old one.
	if got := w.lines(one, "s"); !slices.Equal(got, []string{"a", "x", "y"}) {
		w.Errorf("a store with an old cache sees %v", got)
	}
	w.applied(one, "s", line("z"))
	if got := w.lines(two, "s"); !slices.Equal(got, []string{"a", "x", "y", "z"}) {
		w.Errorf("after a store with an old cache wrote: %v", got)
	}
}

func destroyedSessionsRemember(w *world) {
	c := newClock()
	o := session.Options{Logger: quietLog, Now: c.now, Tombstone: 24 * time.Hour}
	one, two := session.NewStore(w.open(), o), session.NewStore(w.open(), o)
	w.applied(one, "s", session.Mutation{ID: "begin", Kind: session.Initialize, Payload: []byte("1")})
	talk := w.apply(one, "s", line("talk"))[0]
	destroy := session.Mutation{ID: "destroy", Kind: session.Destroy}
	gone := w.apply(two, "s", destroy)[0]
	if gone.Err != nil || gone.Version != 3 {
		w.Fatalf("destroy: %+v", gone)
	}
	for _, s := range []*session.Store{one, two} {
		if _, err := s.Get(w.Context(), "s"); !errors.Is(err, session.ErrNotFound) {
			w.Errorf("a destroyed session is found: %v", err)
		}
		if heads, err := s.List(w.Context(), session.Query{Limit: 10}); err != nil || len(heads) != 0 {
			w.Errorf("a destroyed session is listed: %+v, %v", heads, err)
		}
		w.again(s, "s", line("talk"), talk)
		w.again(s, "s", destroy, gone)
	}
	if r, err := one.Load(w.Context(), "s"); err != nil || r.Present || len(r.Parts) != 0 || !r.ExpiresAt.Equal(c.now().Add(24*time.Hour)) {
		w.Errorf("what remains: %+v, %v", r, err)
	}
	c.pass(time.Hour)
	zero := int64(0)
	if v := w.applied(one, "s", session.Mutation{ID: "anew", Kind: session.Initialize, Expected: &zero, Payload: []byte("2")}); v != 4 {
		w.Errorf("begun again at version %d", v)
	}
	w.again(two, "s", line("talk"), talk)
	r, err := two.Get(w.Context(), "s")
	if err != nil || len(r.Parts) != 1 || !r.ExpiresAt.IsZero() || !r.CreatedAt.Equal(c.now()) {
		w.Errorf("begun again: %+v, %v", r, err)
	}
}

func waitsEndWithTheOutcome(w *world) {
	one := w.store(w.open())
	readers := []*session.Reader{one.Reader, session.NewReader(w.open(), session.Options{Logger: quietLog})}
	type answer struct {
		id string
		session.Outcome
		error
	}
	answers := make(chan answer, 20)
	var group sync.WaitGroup
	for _, r := range readers {
		for _, id := range []string{"a", "no", "late"} {
			group.Go(func() {
				o, err := r.Wait(w.Context(), "s", id)
				answers <- answer{id, o, err}
			})
		}
	}
	had := map[string]session.Outcome{}
	had["a"] = w.apply(one, "s", line("a"))[0]
	had["no"] = w.apply(one, "s", session.Mutation{ID: "no", Kind: session.Patch, Payload: []byte("[]")})[0]
	had["late"] = w.apply(one, "s", line("late"))[0]
	group.Wait()
	close(answers)
	for a := range answers {
		want := had[a.id]
		if a.error != nil || a.Code != want.Code || a.Version != want.Version || !a.At.Equal(want.At) || fmt.Sprint(a.Err) != fmt.Sprint(want.Err) {
			w.Errorf("Wait for %s: %+v, %v; want %+v", a.id, a.Outcome, a.error, want)
		}
	}
	ctx, cancel := context.WithTimeout(w.Context(), w.f.Quiet)
	defer cancel()
	if o, err := readers[1].Wait(ctx, "s", "never"); !errors.Is(err, context.DeadlineExceeded) {
		w.Errorf("Wait for what never comes: %+v, %v", o, err)
	}
	if _, err := readers[1].Wait(w.Context(), "s", ""); !errors.Is(err, session.ErrInvalid) {
		w.Errorf("Wait for no id: %v", err)
	}
}

// readersOutlastBrokenWatches: a Watch of the reader goes on when the driver's fails.
func readersOutlastBrokenWatches(w *world) {
	one := w.store(w.open())
	d := &brittle{Driver: w.open()}
	r := session.NewReader(d, session.Options{Logger: quietLog})
	w.applied(one, "s", line("1"))
	if _, err := r.Get(w.Context(), "s"); err != nil { // what a reader has seen for one caller is news to another
		w.Fatal(err)
	}
	last := int64(0)
	watching, stop := context.WithCancel(w.Context())
	defer stop()
	for rec, err := range r.Watch(watching, "s", 0) {
		if err != nil {
			w.Fatal(err)
		}
		if rec.Commit != last+1 {
			w.Fatalf("commit %d after %d", rec.Commit, last)
		}
		last = rec.Commit
		if last == 6 {
			time.AfterFunc(w.f.Quiet, stop) // nothing more may come
			continue
		}
		w.applied(one, "s", line(fmt.Sprint(last+1)))
	}
	if d.broke.Load() < 5 {
		w.Errorf("the watch broke %d times: the case tests nothing", d.broke.Load())
	}
	// From a commit on, and through a destruction.
	w.applied(one, "s", session.Mutation{ID: "destroy", Kind: session.Destroy})
	for rec, err := range r.Watch(w.Context(), "s", 6) {
		if err != nil || rec.Present || rec.Commit != 7 {
			w.Errorf("after the destruction: %+v, %v", rec, err)
		}
		break
	}
	ctx, cancel := context.WithTimeout(w.Context(), w.f.Quiet)
	defer cancel()
	for rec, err := range r.Watch(ctx, "s", 7) {
		w.Errorf("after the last commit: %+v, %v", rec, err)
	}
}

// brittle is a driver whose watches break after each record.
type brittle struct {
	session.Driver
	broke atomic.Int64
}

func (b *brittle) Watch(ctx context.Context, id string, known *session.Record, fn func(*session.Record) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err := b.Driver.Watch(ctx, id, known, func(r *session.Record) error {
		if err := fn(r); err != nil {
			return err
		}
		return errDown
	})
	if errors.Is(err, errDown) {
		b.broke.Add(1)
	}
	return err
}

// clonesCopyTheNewest state of their source, whoever wrote it.
func clonesCopyTheNewest(w *world) {
	one, two := w.store(w.open()), w.store(w.open())
	clone := func(id, of string) session.Mutation {
		return session.Mutation{ID: id, Kind: session.Clone, CloneOf: of}
	}
	w.rejected(one, "copy", clone("early", "source"), session.RejectedNotFound, session.ErrNotFound)
	w.applied(one, "source", session.Mutation{ID: "begin", Kind: session.Initialize, Payload: []byte(`{"n":1}`)})
	w.applied(two, "source", put("two", `{"n":2}`))
	w.applied(one, "source", line("talk"))
	if _, err := two.Get(w.Context(), "source"); err != nil {
		w.Fatal(err)
	}
	w.applied(one, "source", put("three", `{"n":3}`))
	w.applied(two, "copy", clone("copy", "source"))
	w.rejected(two, "copy", clone("again", "source"), session.RejectedConflict, session.ErrConflict)
	r, err := one.Get(w.Context(), "copy")
	if err != nil || string(r.Parts[session.PartState].Data) != `{"n":3}` || len(r.Parts) != 1 || !r.Initialized {
		w.Errorf("the copy is %+v, %v", r, err)
	}
	w.applied(two, "source", session.Mutation{ID: "end", Kind: session.Destroy})
	w.rejected(one, "other", clone("late", "source"), session.RejectedNotFound, session.ErrNotFound)
	w.rejected(one, "other", clone("self", "other"), session.RejectedNotFound, session.ErrNotFound)
}

// alarmsAreListed: the time of a session's next job is in its head.
func alarmsAreListed(w *world) {
	c := newClock()
	o := session.Options{Logger: quietLog, Now: c.now}
	one, two := session.NewStore(w.open(), o), session.NewStore(w.open(), o)
	delay := func(id string, seconds int) session.Mutation {
		return session.Mutation{ID: id, Kind: session.Schedule, Payload: []byte(fmt.Sprintf(`{"callback":"wake","delaySeconds":%d}`, seconds))}
	}
	later := w.apply(one, "s", delay("later", 60), delay("sooner", 30))
	if later[0].Err != nil || later[1].Err != nil || later[0].Ref == "" || later[0].Ref == later[1].Ref {
		w.Fatalf("schedule: %+v", later)
	}
	due := func(at time.Duration) []session.Head {
		heads, err := two.List(w.Context(), session.Query{DueBy: epoch.Add(at), Limit: 10})
		if err != nil {
			w.Fatal(err)
		}
		return heads
	}
	if early, at := due(30*time.Second-time.Microsecond), due(30*time.Second); len(early) != 0 || len(at) != 1 || !at[0].AlarmAt.Equal(epoch.Add(30*time.Second)) {
		w.Errorf("due are %+v, then %+v", early, at)
	}
	w.applied(two, "s", session.Mutation{ID: "cancel", Kind: session.Cancel, Payload: []byte(fmt.Sprintf(`{"id":%q}`, later[1].Ref))})
	if early, at := due(59*time.Second), due(60*time.Second); len(early) != 0 || len(at) != 1 {
		w.Errorf("after a cancel due are %+v, then %+v", early, at)
	}
	w.applied(two, "s", session.Mutation{ID: "destroy", Kind: session.Destroy})
	if at := due(time.Hour); len(at) != 0 {
		w.Errorf("of a destroyed session due are %+v", at)
	}
}
