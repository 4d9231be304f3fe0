package sandboxrunner_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/workers/sandboxrunner"
	"vibesdk-gcp/workers/workertest"
)

func TestAnInterruptedBuildStartsANewGeneration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := app("r1", w.CountBuild()+"; test $(wc -l < "+w.Trace()+") -gt 1 || sleep 1000")
	if err := w.Handle(t.Context(), m); err == nil {
		t.Fatal("the build ended")
	}
	before := w.await(t, "r1", func(sandbox.Record) bool { return w.Builds(t) == 1 })
	w.Restart(t)
	w.deliver(t, m)
	want := workertest.SandboxState{RequestID: "r1", State: sandbox.Ready, Fence: 2, Routed: true, Resources: []int64{2}}
	if diff := cmp.Diff(want, w.state(t)); diff != "" {
		t.Error(diff)
	}
	after := w.load(t, "r1")
	if after.Token == before.Token || after.ControlToken == before.ControlToken || after.Restarts != 1 {
		t.Errorf("generation 2 has %d restarts and old tokens: %v", after.Restarts, after.Token == before.Token)
	}
	if !after.ExpiresAt.Equal(before.ExpiresAt) {
		t.Error("the restart made its life longer")
	}
	if got := w.Builds(t); got != 2 {
		t.Errorf("%d builds ran, want one for each generation", got)
	}
}

func TestABuildThatIsAlwaysInterruptedFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := app("r1", w.CountBuild()+"; sleep 1000")
	for range 4 {
		if err := w.Handle(t.Context(), m); err == nil {
			t.Fatal("the build ended")
		}
		w.Restart(t)
	}
	w.deliver(t, m)
	got := w.state(t)
	if got.State != sandbox.Failed || got.Fence != 4 || !strings.Contains(got.Reason, "interrupted 4 times") || got.Resources != nil {
		t.Errorf("state: %+v", got)
	}
}

func TestALostPreviewIsResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver(t, app("r1", w.CountBuild()))
	before := w.load(t, "r1")
	w.deliver(t, resume("r1"))
	if diff := cmp.Diff(before, w.load(t, "r1")); diff != "" {
		t.Errorf("resuming a healthy sandbox changed it:\n%s", diff)
	}
	w.Restart(t)
	w.deliver(t, resume("r1"))
	want := workertest.SandboxState{RequestID: "r1", State: sandbox.Ready, Fence: 2, Routed: true, Resources: []int64{2}}
	if diff := cmp.Diff(want, w.state(t)); diff != "" {
		t.Error(diff)
	}
	route, err := w.Routes.Preview(t.Context(), before.ID)
	if err != nil || route.Token == before.Token {
		t.Errorf("route: %v, under the old token: %v", err, route.Token == before.Token)
	}
	if got := w.get(t, "r1"); got != "hello from r1" {
		t.Errorf("the preview answers %q", got)
	}
}

func TestAPreviewThatEndsByItselfFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver(t, app("r1", "true"))
	ended := endedPreview{w.Runtime}
	o := w.options
	o.Runtime = sandbox.NewRuntime(ended, sandbox.RuntimeOptions{})
	if err := sandboxrunner.New(o).Handle(t.Context(), resume("r1")); err != nil {
		t.Fatal(err)
	}
	rec, got := w.load(t, "r1"), w.state(t)
	if rec.State != sandbox.Failed || rec.Reason != "server keeps ending" || rec.LogTail != "segfault" || got.Routed || got.Resources != nil {
		t.Errorf("record %+v, state %+v", rec, got)
	}
}

// TestAStuckStateIsMovedOn is about a STOP for being stuck: what waits for a handler is moved on, what hangs
// fails, what stops is deleted.
func TestAStuckStateIsMovedOn(t *testing.T) {
	t.Parallel()
	var c clock
	w := newWorld(t, at(c.now))
	if err := w.Handle(t.Context(), app("r1", "echo zzz; sleep 1000")); err == nil {
		t.Fatal("the build ended")
	}
	w.printed(t, "r1", `\] zzz\n`)
	c.advance(11 * time.Minute)
	w.deliver(t, stop("r1", "STUCK"))
	rec, got := w.load(t, "r1"), w.state(t)
	if rec.State != sandbox.Failed || !strings.Contains(rec.Reason, "build timed out") || !strings.Contains(rec.LogTail, "zzz") || got.Resources != nil {
		t.Errorf("record %+v, state %+v", rec, got)
	}
}

// endedPreview reports what a runtime reports when a dev server kept ending for too long.
type endedPreview struct{ *sandbox.Runtime }

func (p endedPreview) Inspect(ctx context.Context, ref sandbox.Ref) (sandbox.Status, error) {
	st, err := p.Runtime.Inspect(ctx, ref)
	if st.Serve == sandbox.Done {
		st = sandbox.Status{Build: st.Build, Serve: sandbox.Broken, Reason: "server keeps ending", LogTail: "segfault"}
	}
	return st, err
}
