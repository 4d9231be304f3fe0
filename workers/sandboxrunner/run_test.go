package sandboxrunner_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/workers/sandboxrunner"
	"vibesdk-gcp/workers/workertest"
)

func TestRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver(t, app("r1", w.CountBuild()))
	want := workertest.SandboxState{RequestID: "r1", State: sandbox.Ready, Fence: 1, Routed: true, Resources: []int64{1}}
	if diff := cmp.Diff(want, w.state(t)); diff != "" {
		t.Error(diff)
	}
	if got := w.get(t, "r1"); got != "hello from r1" {
		t.Errorf("the preview answers %q", got)
	}
	rec := w.load(t, "r1")
	if rec.Endpoint == "" || rec.ReadyAt.IsZero() || rec.ActiveAt.IsZero() || !rec.PhaseDeadline.IsZero() {
		t.Errorf("record is not complete: %+v", rec)
	}
}

// TestOneRequestIsOneSandbox delivers twenty duplicates at once, then once more, then after a restart.
func TestOneRequestIsOneSandbox(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := app("r1", w.CountBuild()+"; sleep 0.1")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { w.deliver(t, m) })
	}
	wg.Wait()
	w.deliver(t, m)
	if got := w.Builds(t); got != 1 {
		t.Errorf("%d builds ran", got)
	}
	want := workertest.SandboxState{RequestID: "r1", State: sandbox.Ready, Fence: 1, Routed: true, Resources: []int64{1}}
	if diff := cmp.Diff(want, w.state(t)); diff != "" {
		t.Error(diff)
	}
}

func TestAnotherRequestUnderTheSameIDIsParked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver(t, app("r1", w.CountBuild()))
	before := w.load(t, "r1")
	parked := w.try(t, app("r1", "true"))
	if parked == nil || strings.Count(parked.Error(), `"r1"`) != 2 || !strings.Contains(parked.Error(), before.Fingerprint[:12]) {
		t.Errorf("parked with %v, want both requests named", parked)
	}
	if diff := cmp.Diff(before, w.load(t, "r1")); diff != "" {
		t.Errorf("the record was changed:\n%s", diff)
	}
}

func TestAFailedBuildEndsWithReasonAndLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := app("r1", w.CountBuild()+"; echo the disk is made of cheese; exit 3")
	w.deliver(t, m)
	rec := w.load(t, "r1")
	if rec.State != sandbox.Failed || !strings.Contains(rec.Reason, "3") || !strings.Contains(rec.LogTail, "the disk is made of cheese") {
		t.Errorf("record: %s, reason %q, log %q", rec.State, rec.Reason, rec.LogTail)
	}
	if got := w.state(t); got.Routed || got.Resources != nil {
		t.Errorf("something is left: %+v", got)
	}
	w.deliver(t, m)
	if got := w.Builds(t); got != 1 {
		t.Errorf("%d builds ran: the duplicate of a failed request must do nothing", got)
	}
	if diff := cmp.Diff(rec, w.load(t, "r1")); diff != "" {
		t.Errorf("the duplicate changed the record:\n%s", diff)
	}
}

func TestADevServerThatNeverAnswersTimesOut(t *testing.T) {
	t.Parallel()
	rec := timedOut(t, func(d *sandboxrunner.Defaults, limit time.Duration) { d.StartTimeout = limit },
		app("r1", "", map[string]any{"staticDir": nil, "devCommand": "echo warming up; sleep 1000"}), "warming up")
	if !strings.Contains(rec.Reason, "timed out") {
		t.Errorf("reason %q", rec.Reason)
	}
}

func TestABuildThatNeverEndsTimesOut(t *testing.T) {
	t.Parallel()
	rec := timedOut(t, func(d *sandboxrunner.Defaults, limit time.Duration) { d.BuildTimeout = limit },
		app("r1", "echo counting sheep; sleep 1000"), "counting sheep")
	if !strings.Contains(rec.Reason, "timed out") && !strings.Contains(rec.Reason, "deadline") {
		t.Errorf("reason %q", rec.Reason)
	}
}

// timedOut lets an app reach a limit that it cannot keep, and returns the record. The limit is short, and longer when a slow machine
// does not get as far as to print the words within it.
func timedOut(t *testing.T, limits func(*sandboxrunner.Defaults, time.Duration), m events.Message, words string) sandbox.Record {
	t.Helper()
	for limit := 3 * time.Second; ; limit *= 4 {
		w := newWorld(t, func(o *sandboxrunner.Options) { limits(&o.Defaults, limit) })
		w.deliver(t, m)
		rec := w.load(t, "r1")
		if rec.State != sandbox.Failed {
			t.Fatalf("the record is %s, reason %q", rec.State, rec.Reason)
		}
		if strings.Contains(rec.LogTail, words) {
			return rec
		}
		if limit > time.Minute/2 {
			t.Fatalf("within %s it printed %q", limit, rec.LogTail)
		}
	}
}

// TestAHandlerDoesNotWaitForABuild looks at one call of the handler while a build runs.
func TestAHandlerDoesNotWaitForABuild(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	err := w.Handle(t.Context(), app("r1", "sleep 1000"))
	if err == nil || events.IsPermanent(err) || !strings.Contains(err.Error(), "again in ") || !strings.Contains(err.Error(), "building") {
		t.Errorf("handler returned %v, want a request to be called again", err)
	}
	if rec := w.load(t, "r1"); rec.State != sandbox.Building {
		t.Errorf("record is %s", rec.State)
	}
	w.deliver(t, stop("r1", "USER"))
}

func TestRequestsThatAreNotValid(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		m         events.Message
		requestID string // of the failed record; empty means that there must be none
		project   string
		reason    string
	}{
		"two ways to serve": {app("r1", "", map[string]any{"devCommand": "x"}), "r1", "shop", "staticDir"},
		"no JSON":           {events.Message{ID: "m-1", Data: []byte("{")}, "m-1", "", "JSON"},
		"bad request id":    {app("r 1", ""), "m-r 1", "shop", "requestId"},
		"stop without id":   {message(map[string]any{"requestId": "s", "action": "STOP"}), "", "", ""},
		"unknown action":    {app("r1", "", map[string]any{"action": "DANCE"}), "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for range 2 {
				if parked := w.try(t, tt.m); parked == nil {
					t.Error("the message was not parked")
				}
			}
			list, err := w.Records.List(t.Context(), sandbox.Query{})
			if err != nil {
				t.Fatal(err)
			}
			if tt.requestID == "" {
				if len(list) > 0 {
					t.Errorf("there is a record: %+v", list)
				}
				return
			}
			if len(list) != 1 {
				t.Fatalf("there are %d records", len(list))
			}
			rec := list[0]
			if rec.State != sandbox.Failed || rec.RequestID != tt.requestID || rec.ProjectName != tt.project || !strings.Contains(rec.Reason, tt.reason) {
				t.Errorf("record: %+v", rec)
			}
		})
	}
}
