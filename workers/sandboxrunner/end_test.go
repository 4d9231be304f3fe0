package sandboxrunner_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/workers/sandboxrunner"
	"vibesdk-gcp/workers/workertest"
)

// deleted is the state of a sandbox that is gone completely.
func deleted(requestID, reason string) workertest.SandboxState {
	return workertest.SandboxState{RequestID: requestID, State: sandbox.Deleted, Fence: 1, Reason: reason}
}

func TestStopRemovesEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver(t, app("r1", w.CountBuild()))
	rec := w.load(t, "r1")
	w.deliver(t, stop("r1", "USER"))
	if diff := cmp.Diff(deleted("r1", "stopped on request"), w.state(t)); diff != "" {
		t.Error(diff)
	}
	if _, err := w.Routes.Preview(t.Context(), rec.ID); !errors.Is(err, deployment.ErrNotFound) {
		t.Errorf("route: %v", err)
	}
	if conn, err := net.Dial("tcp", rec.Endpoint); err == nil {
		_ = conn.Close()
		t.Error("the preview still listens")
	}
	before := w.load(t, "r1")
	w.deliver(t, stop("r1", "USER"))
	w.deliver(t, app("r1", w.CountBuild()))
	w.deliver(t, resume("r1"))
	if diff := cmp.Diff(before, w.load(t, "r1")); diff != "" {
		t.Errorf("a later message changed the record:\n%s", diff)
	}
	if got := w.Builds(t); got != 1 {
		t.Errorf("%d builds ran", got)
	}
}

func TestStopDuringTheBuildWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := app("r1", w.CountBuild()+"; sleep 1000")
	var wg sync.WaitGroup
	defer wg.Wait()
	for range 3 {
		wg.Go(func() { w.deliver(t, m) })
	}
	w.await(t, "r1", func(r sandbox.Record) bool { return r.State == sandbox.Building && w.Builds(t) == 1 })
	w.deliver(t, stop("r1", "USER"))
	wg.Wait()
	if diff := cmp.Diff(deleted("r1", "stopped on request"), w.state(t)); diff != "" {
		t.Error(diff)
	}
}

// TestStopRacingRun stops sandboxes at all moments of their beginning.
func TestStopRacingRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var wg sync.WaitGroup
	for i := range 12 {
		id := "r" + string(rune('a'+i))
		begun := make(chan struct{})
		wg.Go(func() {
			close(begun)
			w.deliver(t, app(id, "true"))
		})
		wg.Go(func() {
			<-begun
			w.await(t, id, func(sandbox.Record) bool { return true })
			time.Sleep(time.Duration(i) * 7 * time.Millisecond) // another moment for each
			w.deliver(t, stop(id, "USER"))
		})
	}
	wg.Wait()
	all, err := w.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 12 {
		t.Errorf("there are %d sandboxes", len(all))
	}
	for _, got := range all {
		if diff := cmp.Diff(deleted(got.RequestID, "stopped on request"), got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestStopOfAnUnknownSandbox(t *testing.T) {
	t.Parallel()
	var c clock
	w := newWorld(t, at(c.now))
	m := stop("r1", "USER")
	w.deliver(t, m)
	m.Time = c.now()
	if err := w.Handle(t.Context(), m); err == nil || !strings.Contains(err.Error(), "again in") {
		t.Errorf("a fresh request: %v, want it again: the sandbox may be requested by the next message", err)
	}
	m.Time = c.now().Add(24 * time.Hour)
	w.deliver(t, m)
	w.deliver(t, resume("r1"))
}

// TestStopThatOvertakesItsRun is about a topic without order.
func TestStopThatOvertakesItsRun(t *testing.T) {
	t.Parallel()
	var c clock
	w := newWorld(t, at(c.now))
	m := stop("r1", "USER")
	m.Time = c.now() // it stays fresh
	var wg sync.WaitGroup
	wg.Go(func() { w.deliver(t, m) })
	w.deliver(t, app("r1", "true"))
	wg.Wait()
	if diff := cmp.Diff(deleted("r1", "stopped on request"), w.state(t)); diff != "" {
		t.Error(diff)
	}
}

// clock is a time that tests move.
type clock struct{ atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(1_900_000_000, 0).Add(time.Duration(c.Load())) }
func (c *clock) advance(d time.Duration) { c.Add(int64(d)) }

func TestEndsThatAreNotDueAnyMore(t *testing.T) {
	t.Parallel()
	var c clock
	w := newWorld(t, at(c.now))
	w.deliver(t, app("r1", "true"))
	for _, reason := range []string{"EXPIRED", "IDLE", "STUCK"} {
		w.deliver(t, stop("r1", reason))
	}
	c.advance(9 * time.Minute)
	w.Records.Touch(sandbox.IDFor("r1"), c.now())
	c.advance(9 * time.Minute)
	w.deliver(t, stop("r1", "IDLE"))
	if got := w.load(t, "r1"); got.State != sandbox.Ready {
		t.Errorf("the sandbox is %s (%s)", got.State, got.Reason)
	}
	c.advance(time.Minute)
	w.deliver(t, stop("r1", "IDLE"))
	if diff := cmp.Diff(deleted("r1", "no traffic for 10m0s"), w.state(t)); diff != "" {
		t.Error(diff)
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	var c clock
	w := newWorld(t, at(c.now))
	w.deliver(t, app("r1", "true", map[string]any{"ttlSeconds": 3600, "idleSeconds": 7200}))
	c.advance(time.Hour - time.Microsecond)
	w.deliver(t, stop("r1", "EXPIRED"))
	if got := w.load(t, "r1"); got.State != sandbox.Ready {
		t.Errorf("a microsecond before its end the sandbox is %s", got.State)
	}
	c.advance(time.Microsecond)
	w.deliver(t, stop("r1", "EXPIRED"))
	if diff := cmp.Diff(deleted("r1", "time to live of 1h0m0s is over"), w.state(t)); diff != "" {
		t.Error(diff)
	}
}

// TestShortLivesEndByThemselves needs no janitor: the message of the request waits for the end.
func TestShortLivesEndByThemselves(t *testing.T) {
	t.Parallel()
	var c clock
	w := newWorld(t, at(c.now))
	for _, tt := range []struct{ id, field, reason string }{
		{"r1", "ttlSeconds", "time to live of 5s is over"}, {"r2", "idleSeconds", "no traffic for 5s"},
	} {
		m := app(tt.id, "true", map[string]any{tt.field: 5})
		err := w.Handle(t.Context(), m)
		for range 100 {
			if err == nil || strings.Contains(err.Error(), "again in 5s") {
				break
			}
			err = w.Handle(t.Context(), m)
		}
		if err == nil || w.load(t, tt.id).State != sandbox.Ready {
			t.Fatalf("%s: %v; record %+v", tt.id, err, w.load(t, tt.id))
		}
		c.advance(5 * time.Second)
		w.deliver(t, m)
		if got := w.load(t, tt.id); got.State != sandbox.Deleted || got.Reason != tt.reason {
			t.Errorf("%s: %s %q, want it gone: %s", tt.id, got.State, got.Reason, tt.reason)
		}
	}
}

func TestExpiryDuringTheBuild(t *testing.T) {
	t.Parallel()
	var c clock
	w := newWorld(t, at(c.now))
	m := app("r1", w.CountBuild()+"; sleep 1000", map[string]any{"ttlSeconds": 5})
	if err := w.Handle(t.Context(), m); err == nil {
		t.Fatal("the build ended")
	}
	c.advance(5 * time.Second)
	w.deliver(t, m)
	if diff := cmp.Diff(deleted("r1", "time to live of 5s is over"), w.state(t)); diff != "" {
		t.Error(diff)
	}
}

// TestAFailingRemovalIsRetried proves that a route is never left behind a sandbox that is half gone.
func TestAFailingRemovalIsRetried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver(t, app("r1", "true"))
	broken := undeletable{w.Runtime}
	o := w.options
	o.Runtime = sandbox.NewRuntime(broken, sandbox.RuntimeOptions{})
	failing := sandboxrunner.New(o)
	if err := failing.Handle(t.Context(), stop("r1", "USER")); !errors.Is(err, errDiskOnFire) {
		t.Fatalf("handler returned %v", err)
	}
	got := w.state(t)
	if got.State != sandbox.Stopping || got.Routed {
		t.Errorf("after the failure: %+v, want it stopping and without route", got)
	}
	w.deliver(t, stop("r1", "USER"))
	if diff := cmp.Diff(deleted("r1", "stopped on request"), w.state(t)); diff != "" {
		t.Error(diff)
	}
}

var errDiskOnFire = errors.New("disk on fire")

type undeletable struct{ sandbox.RuntimeDriver }

func (undeletable) Delete(context.Context, sandbox.Ref) error { return errDiskOnFire }
