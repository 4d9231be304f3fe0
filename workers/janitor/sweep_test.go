package janitor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/workers/janitor"
	"vibesdk-gcp/workers/workertest"
)

// TestASandboxEndsWhenItIsDueAndNotBefore runs the way of an expiry: sweep, delayed message, runner.
func TestASandboxEndsWhenItIsDueAndNotBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// Run in the past, so that the life of ten minutes, too long for the runner to wait for, ends in two seconds.
	const back = 10*time.Minute - 2*time.Second
	w.advance(-back)
	rec := w.ready(t, "r1", map[string]any{"ttlSeconds": 600})
	w.advance(back)
	w.consume(t)
	w.sweep(t, stale)
	w.sweep(t, stale)
	if want := []string{fmt.Sprintf("stop-%s-1-expired-%d", rec.ID, rec.ExpiresAt.Unix())}; !cmp.Equal(want, w.outbox.requests()) {
		t.Errorf("requests %q, want %q", w.outbox.requests(), want)
	}
	if now, err := w.Records.Load(t.Context(), rec.ID); err != nil || now.State != sandbox.Ready && time.Now().Before(rec.ExpiresAt) {
		t.Errorf("before its end it is %s (%v)", now.State, err)
	}
	got := w.await(t, rec.ID, func(r sandbox.Record) bool { return r.State == sandbox.Deleted })
	if got.EndedAt.Before(rec.ExpiresAt) || !strings.Contains(got.Reason, "time to live") {
		t.Errorf("ended at %s because %q, was due at %s", got.EndedAt, got.Reason, rec.ExpiresAt)
	}
	if refs := w.refs(t); len(refs) > 0 {
		t.Errorf("left: %v", refs)
	}
}

func TestNothingIsAskedOfWhatIsNotDue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.stored(t, "far")
	w.stored(t, "near", func(r *sandbox.Record) { r.ExpiresAt = w.now().Add(50 * time.Second) })
	w.stored(t, "stuck", func(r *sandbox.Record) { r.PhaseDeadline = w.now().Add(-time.Second) })
	w.stored(t, "ended", func(r *sandbox.Record) { r.State, r.Reason = sandbox.Failed, "no" })
	w.sweep(t, stale)
	var got []string
	for _, id := range w.outbox.requests() {
		got = append(got, strings.Split(id, "-")[2]+" "+strings.Split(id, "-")[4])
	}
	want := []string{"near expired", "stuck stuck"}
	for i, name := range []string{"near", "stuck"} {
		want[i] = strings.Replace(want[i], name, strings.TrimPrefix(sandbox.IDFor(name), "sbx-"), 1)
	}
	if !cmp.Equal(map[string]bool{want[0]: true, want[1]: true}, set(got)) {
		t.Errorf("asked for %q, want %q", got, want)
	}
}

func set(list []string) map[string]bool {
	s := map[string]bool{}
	for _, e := range list {
		s[e] = true
	}
	return s
}

// TestSweepsReadAllPages needs more records than fit on a page.
func TestSweepsReadAllPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const count = 450
	for i := range count {
		w.stored(t, fmt.Sprint(i), func(r *sandbox.Record) { r.ExpiresAt = w.now() })
	}
	w.sweep(t, stale)
	if got := len(w.outbox.requests()); got != count {
		t.Errorf("%d requests for %d records", got, count)
	}
}

func TestOrphansAreRemovedAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alive := w.ready(t, "alive", nil)
	stranger := sandbox.Ref{ID: sandbox.IDFor("stranger"), Fence: 3}
	w.build(t, stranger)
	failed := w.stored(t, "failed", func(r *sandbox.Record) { r.State, r.Reason = sandbox.Failed, "no" })
	w.build(t, failed.Ref())
	building := w.stored(t, "building")
	w.build(t, building.Ref())
	newer := w.stored(t, "newer", func(r *sandbox.Record) { r.Fence = 2 })
	w.build(t, sandbox.Ref{ID: newer.ID, Fence: 1})
	w.build(t, newer.Ref())

	if err := w.Handle(t.Context(), tick(orphans, true)); err != nil {
		t.Fatal(err)
	}
	if got := len(w.refs(t)); got != 6 {
		t.Errorf("%d of 6 generations are left after a dry run", got)
	}
	w.sweep(t, orphans)
	want := map[sandbox.Ref]bool{alive.Ref(): true, building.Ref(): true, newer.Ref(): true}
	got := map[sandbox.Ref]bool{}
	for _, ref := range w.refs(t) {
		got[ref] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	resp, err := http.Get("http://" + alive.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if reqs := w.outbox.requests(); len(reqs) > 0 {
		t.Errorf("requests %q though all records are in order", reqs)
	}
}

func TestALostPreviewIsResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := w.ready(t, "r1", nil)
	w.Restart(t)
	w.run()
	w.consume(t)
	after := janitor.New(janitor.Options{Records: w.Records, Runtime: w.Runtime, Routes: w.Routes, Publisher: w.outbox, Now: w.now, Logger: slog.New(slog.DiscardHandler)})
	for range 3 { // the requests of the second and third sweep come late
		if err := after.Handle(t.Context(), tick(orphans, false)); err != nil {
			t.Fatal(err)
		}
	}
	got := w.await(t, rec.ID, func(r sandbox.Record) bool { return r.State == sandbox.Ready && r.Fence > 1 })
	if got.Fence != 2 || got.Restarts != 1 {
		t.Errorf("fence %d after %d restarts", got.Fence, got.Restarts)
	}
	resp, err := http.Get("http://" + got.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
}

// TestAForgottenRecordIsResumed is about a record whose message is lost.
func TestAForgottenRecordIsResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := w.stored(t, "r1")
	w.consume(t)
	w.sweep(t, orphans)
	if reqs := w.outbox.requests(); len(reqs) > 0 {
		t.Errorf("requests %q for a record that just began", reqs)
	}
	w.advance(time.Minute)
	w.sweep(t, orphans)
	w.await(t, rec.ID, func(r sandbox.Record) bool { return r.State == sandbox.Ready })
}

// TestAStuckRecordFails is about a record that nobody could move in time.
func TestAStuckRecordFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.advance(-10 * time.Minute) // the bus's clock cannot be moved, so the record is from the past
	rec := w.stored(t, "r1")
	w.advance(10 * time.Minute)
	w.consume(t)
	w.sweep(t, orphans)
	if reqs := w.outbox.requests(); len(reqs) > 0 {
		t.Errorf("requests %q though the record is beyond its deadline", reqs)
	}
	w.sweep(t, stale)
	got := w.await(t, rec.ID, func(r sandbox.Record) bool { return r.State.Terminal() })
	if got.State != sandbox.Failed || !strings.Contains(got.Reason, "timed out") {
		t.Errorf("%s because %q", got.State, got.Reason)
	}
}

func TestADryRunChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.stored(t, "due", func(r *sandbox.Record) { r.ExpiresAt = w.now() })
	w.stored(t, "forgotten")
	w.build(t, sandbox.Ref{ID: sandbox.IDFor("stranger"), Fence: 1})
	w.advance(5 * time.Minute)
	for _, kind := range []string{stale, orphans} {
		if err := w.Handle(t.Context(), tick(kind, true)); err != nil {
			t.Error(err)
		}
	}
	if reqs, refs := w.outbox.requests(), w.refs(t); len(reqs) > 0 || len(refs) != 1 {
		t.Errorf("requests %q, resources %v", reqs, refs)
	}
}

// TestOneFailureDoesNotStopTheSweep lets the removal of one orphan and the look at one record fail.
func TestOneFailureDoesNotStopTheSweep(t *testing.T) {
	t.Parallel()
	cursed := sandbox.IDFor("cursed")
	w := newWorld(t, func(o *janitor.Options) {
		o.Runtime = sandbox.NewRuntime(cursedRuntime{o.Runtime, map[string]bool{cursed: true, sandbox.IDFor("dark"): true}}, sandbox.RuntimeOptions{})
	})
	w.build(t, sandbox.Ref{ID: cursed, Fence: 1})
	for i := range 20 {
		w.build(t, sandbox.Ref{ID: sandbox.IDFor(fmt.Sprint("orphan", i)), Fence: 1})
		w.stored(t, fmt.Sprint("forgotten", i))
	}
	w.stored(t, "dark")
	w.advance(time.Minute)
	err := w.Handle(t.Context(), tick(orphans, false))
	if !errors.Is(err, errCursed) || strings.Count(err.Error(), errCursed.Error()) != 2 || events.IsPermanent(err) {
		t.Errorf("sweep returned %v, want both failures", err)
	}
	if diff := cmp.Diff([]sandbox.Ref{{ID: cursed, Fence: 1}}, w.refs(t)); diff != "" {
		t.Error(diff)
	}
	if got := len(w.outbox.requests()); got != 20 {
		t.Errorf("%d of 20 forgotten records are resumed", got)
	}
}

var errCursed = errors.New("cursed")

type cursedRuntime struct {
	*sandbox.Runtime
	ids map[string]bool
}

func (c cursedRuntime) Delete(ctx context.Context, ref sandbox.Ref) error {
	if c.ids[ref.ID] {
		return errCursed
	}
	return c.Runtime.Delete(ctx, ref)
}

func (c cursedRuntime) Inspect(ctx context.Context, ref sandbox.Ref) (sandbox.Status, error) {
	if c.ids[ref.ID] {
		return sandbox.Status{}, errCursed
	}
	return c.Runtime.Inspect(ctx, ref)
}

// TestManyFailuresAreCounted keeps the error of a sweep to a text that people can read.
func TestManyFailuresAreCounted(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{}
	w := newWorld(t, func(o *janitor.Options) {
		o.Runtime = sandbox.NewRuntime(cursedRuntime{o.Runtime, ids}, sandbox.RuntimeOptions{})
	})
	for i := range 50 {
		ids[w.stored(t, fmt.Sprint(i)).ID] = true
	}
	err := w.Handle(t.Context(), tick(orphans, false))
	if err == nil || strings.Count(err.Error(), errCursed.Error()) != 20 || !strings.Contains(err.Error(), "and 30 more") {
		t.Errorf("sweep returned %v", err)
	}
}

func TestASweepEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.stored(t, "due", func(r *sandbox.Record) { r.ExpiresAt = w.now() })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, kind := range []string{stale, orphans} {
		if err := w.Handle(ctx, tick(kind, false)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestTicksThatAreNotValid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, data := range []string{"", "{}", `{"kind":"DUST"}`, `{"kind":0}`, `[1]`} {
		if err := w.Handle(t.Context(), events.Message{Data: []byte(data)}); !events.IsPermanent(err) {
			t.Errorf("%q: %v, want a permanent error", data, err)
		}
	}
}

func TestIdempotent(t *testing.T) {
	t.Parallel()
	workertest.Idempotent(t, workertest.Case{
		Open: func(t *testing.T, fx *workertest.Effects) workertest.World {
			t.Helper()
			w := newWorldOn(t, workertest.NewSandboxes(t, fx))
			w.outbox.fx = fx
			w.build(t, sandbox.Ref{ID: sandbox.IDFor("stranger"), Fence: 1})
			w.stored(t, "forgotten", func(r *sandbox.Record) { r.CreatedAt = r.CreatedAt.Add(-2 * time.Minute) })
			due := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
			w.stored(t, "due", func(r *sandbox.Record) { r.ExpiresAt = due })
			return workertest.World{Handle: w.Handle, State: func(ctx context.Context) (any, error) {
				state, err := w.State(ctx)
				return fmt.Sprintf("%+v, requests %q", state, w.outbox.requests()), err
			}}
		},
		Messages: []events.Message{tick(stale, false), tick(orphans, false)},
	})
}
