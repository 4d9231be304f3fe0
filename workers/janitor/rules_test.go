package janitor

import (
	"testing"
	"time"

	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/schemas"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestOrphaned(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fence int64
		rec   sandbox.Record
		known bool
		want  string
	}{
		{"no record", 1, sandbox.Record{}, false, "there is no record"},
		{"older generation", 1, sandbox.Record{Fence: 2, State: sandbox.Ready}, true, "the sandbox is at fence 2"},
		{"older generation of an ended sandbox", 1, sandbox.Record{Fence: 2, State: sandbox.Deleted}, true, "the sandbox is at fence 2"},
		{"deleted", 2, sandbox.Record{Fence: 2, State: sandbox.Deleted}, true, "the sandbox is deleted"},
		{"failed", 2, sandbox.Record{Fence: 2, State: sandbox.Failed}, true, "the sandbox is failed"},
		{"requested", 2, sandbox.Record{Fence: 2, State: sandbox.Requested}, true, ""},
		{"building", 2, sandbox.Record{Fence: 2, State: sandbox.Building}, true, ""},
		{"ready", 2, sandbox.Record{Fence: 2, State: sandbox.Ready}, true, ""},
		{"stopping", 2, sandbox.Record{Fence: 2, State: sandbox.Stopping}, true, ""},
		{"newer than its record", 3, sandbox.Record{Fence: 2, State: sandbox.Ready}, true, ""},
		{"newer than its ended record", 3, sandbox.Record{Fence: 2, State: sandbox.Deleted}, true, ""},
	} {
		if got := orphaned(sandbox.Ref{ID: sandbox.IDFor("r"), Fence: tt.fence}, tt.rec, tt.known); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestLost(t *testing.T) {
	t.Parallel()
	fresh := func(state sandbox.State) sandbox.Record {
		return sandbox.Record{State: state, UpdatedAt: t0.Add(-quiet + 1), ExpiresAt: t0.Add(time.Hour), PhaseDeadline: t0.Add(time.Minute)}
	}
	still := func(state sandbox.State) sandbox.Record {
		r := fresh(state)
		r.UpdatedAt = t0.Add(-quiet)
		return r
	}
	due := func(state sandbox.State) sandbox.Record {
		r := still(state)
		r.PhaseDeadline, r.ExpiresAt = t0, t0
		return r
	}
	running, done, gone := sandbox.Status{Build: sandbox.Running}, sandbox.Status{Build: sandbox.Done, Serve: sandbox.Done}, sandbox.Status{}
	starting := sandbox.Status{Build: sandbox.Done, Serve: sandbox.Running}
	broken := sandbox.Status{Build: sandbox.Done, Serve: sandbox.Broken, Interrupted: true}
	for _, tt := range []struct {
		name string
		rec  sandbox.Record
		st   sandbox.Status
		want string
	}{
		{"just requested", fresh(sandbox.Requested), gone, ""},
		{"requested and forgotten", still(sandbox.Requested), gone, "it does not move"},
		{"requested and due", due(sandbox.Requested), gone, ""},
		{"building", fresh(sandbox.Building), running, ""},
		{"building for long", still(sandbox.Building), running, "it does not move"},
		{"building nothing", fresh(sandbox.Building), gone, "its resources are gone"},
		{"building nothing and due", due(sandbox.Building), gone, ""},
		{"starting", fresh(sandbox.Starting), starting, ""},
		{"starting nothing", fresh(sandbox.Starting), sandbox.Status{Build: sandbox.Done}, "its resources are gone"},
		{"starting for long", still(sandbox.Starting), starting, "it does not move"},
		{"ready", fresh(sandbox.Ready), done, ""},
		{"ready for long", still(sandbox.Ready), done, ""},
		{"ready and restarting", still(sandbox.Ready), starting, ""},
		{"ready and gone", fresh(sandbox.Ready), gone, "its resources are gone"},
		{"ready and broken", fresh(sandbox.Ready), broken, "its preview ended"},
		{"ready, gone and due", due(sandbox.Ready), gone, ""},
		{"stopping", fresh(sandbox.Stopping), gone, ""},
		{"stopping and forgotten", still(sandbox.Stopping), done, "it does not move"},
	} {
		if got := lost(tt.rec, tt.st, t0); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestRequestsAreValidAndDependOnWhatIsAsked(t *testing.T) {
	t.Parallel()
	rec := sandbox.Record{ID: sandbox.IDFor("r"), Fence: 7, Version: 9}
	ids := map[string]bool{}
	for why := range reasons {
		for _, due := range []time.Time{t0, t0.Add(time.Second)} {
			req := stopRequest(rec, due, why)
			if _, err := schemas.EncodeSandboxRequest(req); err != nil {
				t.Errorf("stop because %s: %v", why, err)
			}
			if again := stopRequest(rec, due, why); again.GetRequestId() != req.GetRequestId() {
				t.Errorf("request ids %s and %s for the same end", req.GetRequestId(), again.GetRequestId())
			}
			ids[req.GetRequestId()] = true
		}
	}
	req := resumeRequest(rec)
	if _, err := schemas.EncodeSandboxRequest(req); err != nil {
		t.Errorf("resume: %v", err)
	}
	ids[req.GetRequestId()] = true
	if len(ids) != 7 {
		t.Errorf("%d request ids for 7 different requests: %v", len(ids), ids)
	}
}
