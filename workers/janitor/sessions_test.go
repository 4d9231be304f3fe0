package janitor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/workers/janitor"
	"vibesdk-gcp/workers/workertest"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const ttl = time.Hour

// sessionWorld is a janitor on real sessions and nothing else. Its clock is moved by hand.
type sessionWorld struct {
	*workertest.Sessions
	*janitor.Janitor
	mu    sync.Mutex
	at    time.Time
	woken []string
}

func newSessionWorld(t *testing.T, fx *workertest.Effects, change ...func(*janitor.Options)) *sessionWorld {
	t.Helper()
	w := &sessionWorld{at: t0}
	w.Sessions = workertest.NewSessions(t, "", fx, session.Options{TTL: ttl, Tombstone: 2 * ttl, Now: w.now})
	o := janitor.Options{
		Sessions: w.Store, Now: w.now, Logger: slog.New(slog.DiscardHandler),
		Wake: func(_ context.Context, id string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.woken = append(w.woken, id)
			return nil
		},
	}
	for _, c := range change {
		c(&o)
	}
	w.Janitor = janitor.New(o)
	return w
}

func (w *sessionWorld) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *sessionWorld) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

func (w *sessionWorld) apply(t *testing.T, id string, kind session.Kind, payload string) {
	t.Helper()
	m := session.Mutation{ID: fmt.Sprint(kind, payload, w.now()), Kind: kind, Payload: []byte(payload)}
	outcomes, err := w.Store.Apply(t.Context(), id, []session.Mutation{m})
	if err != nil || outcomes[0].Err != nil {
		t.Fatal(err, outcomes)
	}
}

func (w *sessionWorld) sweep(t *testing.T, kind string) {
	t.Helper()
	if err := w.Handle(t.Context(), tick(kind, false)); err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
}

// stored says which of the sessions have a record.
func (w *sessionWorld) stored(t *testing.T, ids ...string) []string {
	t.Helper()
	var there []string
	for _, id := range ids {
		_, err := w.Store.Load(t.Context(), id)
		if err == nil {
			there = append(there, id)
		} else if !errors.Is(err, session.ErrNotFound) {
			t.Fatal(err)
		}
	}
	return there
}

func TestSessionsAreRemovedWhenTheirTimeIsOver(t *testing.T) {
	t.Parallel()
	w := newSessionWorld(t, nil)
	for _, id := range []string{"old", "busy", "ended", "a/b ü"} {
		w.apply(t, id, session.Put, "1")
	}
	w.apply(t, "ended", session.Destroy, "")
	w.advance(ttl - time.Second)
	w.apply(t, "busy", session.Put, "2")
	w.sweep(t, "STALE_SESSIONS")
	all := []string{"old", "busy", "ended", "a/b ü"}
	if got := w.stored(t, all...); !cmp.Equal(all, got) {
		t.Errorf("before their time only %q are left", got)
	}
	w.advance(time.Second)
	if err := w.Handle(t.Context(), tick("STALE_SESSIONS", true)); err != nil {
		t.Fatal(err)
	}
	if got := w.stored(t, all...); !cmp.Equal(all, got) {
		t.Errorf("after a dry run only %q are left", got)
	}
	w.sweep(t, "STALE_SESSIONS")
	if got := w.stored(t, all...); !cmp.Equal([]string{"busy", "ended"}, got) {
		t.Errorf("left: %q", got)
	}
	w.advance(ttl) // the tombstone's time
	w.sweep(t, "STALE_SESSIONS")
	if got := w.stored(t, all...); len(got) > 0 {
		t.Errorf("left: %q", got)
	}
}

// TestASessionThatComesBackIsKept: it was written between the list and the removal.
func TestASessionThatComesBackIsKept(t *testing.T) {
	t.Parallel()
	w := newSessionWorld(t, nil)
	w.apply(t, "s", session.Put, "1")
	w.advance(ttl)
	late := janitor.New(janitor.Options{Now: w.now, Logger: slog.New(slog.DiscardHandler), Sessions: lateSessions{w.Store, func() {
		w.apply(t, "s", session.Put, "2")
	}}})
	if err := late.Handle(t.Context(), tick("STALE_SESSIONS", false)); err != nil {
		t.Fatal(err)
	}
	rec, err := w.Store.Get(t.Context(), "s")
	if err != nil {
		t.Fatalf("the session is gone: %v", err)
	}
	if state, _ := rec.State(); string(state) != "2" || rec.Version != 2 {
		t.Errorf("the session is at version %d with state %s", rec.Version, state)
	}
}

// lateSessions lets something happen before each removal.
type lateSessions struct {
	*session.Store
	before func()
}

func (l lateSessions) Remove(ctx context.Context, id string, commit int64) error {
	l.before()
	return l.Store.Remove(ctx, id, commit)
}

func TestDueJobsAreWoken(t *testing.T) {
	t.Parallel()
	w := newSessionWorld(t, nil)
	w.apply(t, "now", session.Enqueue, `{"callback":"c"}`)
	w.apply(t, "soon", session.Schedule, `{"callback":"c","delaySeconds":90}`)
	w.apply(t, "later", session.Schedule, `{"callback":"c","delaySeconds":90.1}`)
	w.apply(t, "none", session.Put, "1")
	w.apply(t, "ended", session.Enqueue, `{"callback":"c"}`)
	w.apply(t, "ended", session.Destroy, "")
	if err := w.Handle(t.Context(), tick("DUE_JOBS", true)); err != nil || len(w.woken) > 0 {
		t.Errorf("a dry run woke %q (%v)", w.woken, err)
	}
	w.sweep(t, "DUE_JOBS")
	slices.Sort(w.woken)
	if want := []string{"now", "soon"}; !cmp.Equal(want, w.woken) {
		t.Errorf("woken: %q", w.woken)
	}
	w.woken = nil
	w.advance(ttl) // all of them are over
	w.sweep(t, "DUE_JOBS")
	if len(w.woken) > 0 {
		t.Errorf("woken after their end: %q", w.woken)
	}
}

// TestSessionSweepsReadAllPages with many that are due and over in the same instant.
func TestSessionSweepsReadAllPages(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w := newSessionWorld(t, nil, func(o *janitor.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	const count = 450
	for i := range count {
		w.apply(t, fmt.Sprint("s", i), session.Enqueue, `{"callback":"c"}`)
	}
	w.sweep(t, "DUE_JOBS")
	slices.Sort(w.woken)
	if n := len(slices.Compact(w.woken)); n != count || len(w.woken) != count {
		t.Errorf("woken %d times, %d of %d sessions", len(w.woken), n, count)
	}
	w.advance(ttl)
	if err := w.Handle(t.Context(), tick("STALE_SESSIONS", true)); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "removing a session"); n != count {
		t.Errorf("a dry run tells of %d sessions", n)
	}
	w.sweep(t, "STALE_SESSIONS")
	left, err := w.Store.List(t.Context(), session.Query{ExpiredBy: w.now(), Limit: 1000})
	if err != nil || len(left) > 0 {
		t.Errorf("%d sessions are left (%v)", len(left), err)
	}
}

// TestOneSessionThatFailsDoesNotStopTheSweep for the others.
func TestOneSessionThatFailsDoesNotStopTheSweep(t *testing.T) {
	t.Parallel()
	var cursedStore *session.Store
	w := newSessionWorld(t, nil, func(o *janitor.Options) {
		wake := o.Wake
		o.Wake = func(ctx context.Context, id string) error {
			if id == "s3" {
				return errCursed
			}
			if id == "s4" {
				panic("no")
			}
			return wake(ctx, id)
		}
		cursedStore = o.Sessions.(*session.Store)
		o.Sessions = cursedSessions{cursedStore}
	})
	for i := range 10 {
		w.apply(t, fmt.Sprint("s", i), session.Enqueue, `{"callback":"c"}`)
	}
	err := w.Handle(t.Context(), tick("DUE_JOBS", false))
	if !errors.Is(err, errCursed) || !strings.Contains(err.Error(), "panic: no") || events.IsPermanent(err) || len(w.woken) != 8 {
		t.Errorf("woken %q, %v", w.woken, err)
	}
	w.advance(ttl)
	err = w.Handle(t.Context(), tick("STALE_SESSIONS", false))
	if !errors.Is(err, errCursed) || events.IsPermanent(err) {
		t.Errorf("sweep returned %v", err)
	}
	left, err := w.Store.List(t.Context(), session.Query{ExpiredBy: w.now(), Limit: 10})
	if err != nil || len(left) != 1 || left[0].ID != "s3" {
		t.Errorf("left: %+v (%v)", left, err)
	}
}

type cursedSessions struct{ *session.Store }

func (c cursedSessions) Remove(ctx context.Context, id string, commit int64) error {
	if id == "s3" {
		return errCursed
	}
	return c.Store.Remove(ctx, id, commit)
}

// TestBoundedRemovals are repeated until nothing is left, and told apart from failures.
func TestBoundedRemovals(t *testing.T) {
	t.Parallel()
	var left, calls int
	var fails error
	var log bytes.Buffer
	remove := func() (int, error) {
		calls++
		n := min(left, 200)
		left -= n
		return n, fails
	}
	w := newSessionWorld(t, nil, func(o *janitor.Options) {
		store := o.Sessions.(*session.Store)
		check := func(before time.Time, limit int) {
			if !before.Equal(t0.Add(-time.Hour)) || limit != 200 {
				t.Errorf("cleans what nobody refers to since %s, %d at most", before, limit)
			}
		}
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		o.Sessions = cleaning{store, func(before time.Time, limit int) (int, error) {
			check(before, limit)
			return remove()
		}, func(before time.Time, limit int) (int, error) {
			check(before, limit)
			return min(left, limit), fails
		}}
		o.SweepLimits = func(_ context.Context, now time.Time) (int, error) {
			if !now.Equal(t0) {
				t.Errorf("sweeps limits at %s", now)
			}
			return remove()
		}
	})
	for _, kind := range []string{"ORPHANED_CHUNKS", "RATE_LIMIT_BUCKETS"} {
		left, calls = 450, 0
		if err := w.Handle(t.Context(), tick(kind, true)); err != nil || calls > 0 {
			t.Errorf("%s: a dry run removes (%v)", kind, err)
		}
		if kind == "ORPHANED_CHUNKS" && !strings.Contains(log.String(), `msg="orphaned chunks" count=200 or_more=true dry_run=true`) {
			t.Errorf("a dry run does not tell what it would remove:\n%s", log.String())
		}
		w.sweep(t, kind)
		if left != 0 || calls != 4 {
			t.Errorf("%s: %d left after %d calls", kind, left, calls)
		}
		fails = errCursed
		if err := w.Handle(t.Context(), tick(kind, false)); !errors.Is(err, errCursed) || events.IsPermanent(err) {
			t.Errorf("%s: %v", kind, err)
		}
		fails, left = nil, 1<<40
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if err := w.Handle(ctx, tick(kind, false)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: a sweep without end returned %v", kind, err)
		}
		cancel()
	}
}

type cleaning struct {
	*session.Store
	clean, count func(before time.Time, limit int) (int, error)
}

func (c cleaning) Unreferenced(_ context.Context, before time.Time, limit int) (int, error) {
	return c.count(before, limit)
}

func (c cleaning) Clean(_ context.Context, before time.Time, limit int) (int, error) {
	return c.clean(before, limit)
}

// TestPartsThatAreNotSetUp: ticks for them are acknowledged.
func TestPartsThatAreNotSetUp(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	j := janitor.New(janitor.Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	kinds := []string{stale, orphans, "STALE_SESSIONS", "DUE_JOBS", "ORPHANED_CHUNKS", "RATE_LIMIT_BUCKETS", "DEAD_LETTERS", "EXPIRED_FILES"}
	for _, kind := range kinds {
		if err := j.Handle(t.Context(), tick(kind, false)); err != nil || !strings.Contains(log.String(), "kind="+kind) {
			t.Errorf("%s: %v; log: %s", kind, err, log.String())
		}
	}
}

func TestIdempotentSessionSweeps(t *testing.T) {
	t.Parallel()
	workertest.Idempotent(t, workertest.Case{
		Open: func(t *testing.T, fx *workertest.Effects) workertest.World {
			t.Helper()
			w := newSessionWorld(t, fx)
			w.apply(t, "old", session.Put, "1")
			w.apply(t, "older", session.Put, "1")
			w.advance(ttl)
			w.apply(t, "due", session.Enqueue, `{"callback":"c"}`)
			return workertest.World{Handle: w.Handle, State: func(ctx context.Context) (any, error) {
				state, err := w.State(ctx, "old", "older", "due")
				w.mu.Lock()
				defer w.mu.Unlock()
				slices.Sort(w.woken)
				return fmt.Sprintf("%v woken %q", state, slices.Compact(w.woken)), err
			}}
		},
		Messages: []events.Message{tick("STALE_SESSIONS", false), tick("DUE_JOBS", false), tick("ORPHANED_CHUNKS", false)},
	})
}
