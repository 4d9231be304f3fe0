package sandboxrunner

import (
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// record is one minute old at now, in the given state, with 30 minutes to live.
func record(state sandbox.State, change ...func(*sandbox.Record)) sandbox.Record {
	r := sandbox.Record{
		ID: sandbox.IDFor("r"), RequestID: "r", State: state, Fence: 1, Version: 3,
		Token: sandbox.NewToken(), ControlToken: sandbox.NewControlToken(),
		TTL: 30 * time.Minute, Idle: 10 * time.Minute,
		CreatedAt: t0.Add(-time.Minute), UpdatedAt: t0.Add(-30 * time.Second), ExpiresAt: t0.Add(29 * time.Minute),
	}
	switch state {
	case sandbox.Ready:
		r.Endpoint, r.ReadyAt, r.ActiveAt = "127.0.0.1:1", r.UpdatedAt, r.UpdatedAt
	case sandbox.Deleted, sandbox.Failed:
		r.Reason, r.EndedAt = "over", r.UpdatedAt
	case sandbox.Stopping:
		r.Reason, r.PhaseDeadline = "stopped on request", t0.Add(time.Minute)
	default:
		r.PhaseDeadline = t0.Add(time.Minute)
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

func overdue(r *sandbox.Record)   { r.PhaseDeadline = t0 }
func expired(r *sandbox.Record)   { r.ExpiresAt = t0 }
func condemned(r *sandbox.Record) { r.Reason = "build failed" }
func waiting(r *sandbox.Record)   { r.Waiting = "waiting: full" }
func idle(r *sandbox.Record)      { r.ActiveAt = t0.Add(-r.Idle) }
func short(r *sandbox.Record)     { r.ExpiresAt = t0.Add(holdWithin - time.Second) }
func old(r *sandbox.Record)       { r.CreatedAt, r.TTL = t0.Add(-2*restartEvery), time.Hour }
func restarts(n int) func(*sandbox.Record) {
	return func(r *sandbox.Record) { r.Restarts = n }
}

func TestDecide(t *testing.T) {
	t.Parallel()
	const (
		absent, running, done, broken = sandbox.Absent, sandbox.Running, sandbox.Done, sandbox.Broken
	)
	failed := sandbox.Status{Build: broken, Reason: "build command exited with status 2", LogTail: "oops"}
	for _, tt := range []struct {
		name   string
		record sandbox.Record
		status sandbox.Status
		want   step
		reason string
	}{
		{"requested", record(sandbox.Requested), sandbox.Status{}, build, ""},
		{"requested after a restart", record(sandbox.Requested, restarts(3)), sandbox.Status{}, build, ""},
		{"requested too long", record(sandbox.Requested, overdue), sandbox.Status{}, condemn, "timed out: the runtime took no work in time"},
		{"requested, waiting for a quota too long", record(sandbox.Requested, overdue, waiting), sandbox.Status{}, condemn, "timed out while waiting: full"},
		{"requested and expired", record(sandbox.Requested, expired, overdue), sandbox.Status{}, stop, "time to live of 30m0s is over"},

		{"build runs", record(sandbox.Building), sandbox.Status{Build: running}, look, ""},
		{"build done", record(sandbox.Building), sandbox.Status{Build: done}, serve, ""},
		{"build done, late", record(sandbox.Building, overdue), sandbox.Status{Build: done}, serve, ""},
		{"build done, waiting for a quota", record(sandbox.Building, waiting), sandbox.Status{Build: done}, serve, ""},
		{"build done, waiting for a quota too long", record(sandbox.Building, waiting, overdue), sandbox.Status{Build: done}, condemn, "timed out while waiting: full"},
		{"build failed", record(sandbox.Building), failed, condemn, failed.Reason},
		{"build failed without a word", record(sandbox.Building), sandbox.Status{Build: broken}, condemn, "build failed"},
		{"build timed out", record(sandbox.Building, overdue), sandbox.Status{Build: running}, condemn, "build timed out after 30s"},
		{"build interrupted", record(sandbox.Building), sandbox.Status{Build: broken, Interrupted: true}, restart, ""},
		{"build interrupted, late", record(sandbox.Building, overdue), sandbox.Status{Build: broken, Interrupted: true}, restart, ""},
		{"build vanished", record(sandbox.Building), sandbox.Status{}, restart, ""},
		{"build interrupted again", record(sandbox.Building, restarts(2)), sandbox.Status{Build: broken, Interrupted: true}, restart, ""},
		{"build interrupted too often", record(sandbox.Building, restarts(3)), sandbox.Status{Build: broken, Interrupted: true}, condemn, "the build was interrupted 4 times"},
		{"build interrupted often in a long life", record(sandbox.Building, restarts(4), old), sandbox.Status{}, restart, ""},
		{"build interrupted too often in a long life", record(sandbox.Building, restarts(5), old), sandbox.Status{}, condemn, "the build was interrupted 6 times"},
		{"building and expired", record(sandbox.Building, expired), sandbox.Status{Build: done}, stop, "time to live of 30m0s is over"},
		{"building and condemned", record(sandbox.Building, condemned), sandbox.Status{Build: running}, bury, ""},
		{"building, condemned and expired", record(sandbox.Building, condemned, expired), sandbox.Status{}, bury, ""},

		{"starts", record(sandbox.Starting), sandbox.Status{Build: done, Serve: running}, look, ""},
		{"answers", record(sandbox.Starting), sandbox.Status{Build: done, Serve: done, Endpoint: "127.0.0.1:1"}, publish, ""},
		{"answers late", record(sandbox.Starting, overdue), sandbox.Status{Build: done, Serve: done, Endpoint: "127.0.0.1:1"}, publish, ""},
		{"never answers", record(sandbox.Starting, overdue), sandbox.Status{Build: done, Serve: running}, condemn, "serve timed out after 30s"},
		{"server broken", record(sandbox.Starting), sandbox.Status{Build: done, Serve: broken, Reason: "exit 127"}, condemn, "exit 127"},
		{"server interrupted", record(sandbox.Starting), sandbox.Status{Build: done, Serve: broken, Interrupted: true}, restart, ""},
		{"server vanished", record(sandbox.Starting), sandbox.Status{Build: done}, restart, ""},
		{"starting and condemned", record(sandbox.Starting, condemned), sandbox.Status{Build: done, Serve: done}, bury, ""},

		{"ready", record(sandbox.Ready), sandbox.Status{Build: done, Serve: done}, nothing, ""},
		{"ready, server restarts", record(sandbox.Ready), sandbox.Status{Build: done, Serve: running}, nothing, ""},
		{"ready, end is near", record(sandbox.Ready, short), sandbox.Status{Build: done, Serve: done}, hold, ""},
		{"ready, short idle time", record(sandbox.Ready, func(r *sandbox.Record) { r.Idle = time.Minute }), sandbox.Status{Build: done, Serve: done}, hold, ""},
		{"ready and expired", record(sandbox.Ready, expired), sandbox.Status{Build: done, Serve: done}, stop, "time to live of 30m0s is over"},
		{"ready and idle", record(sandbox.Ready, idle), sandbox.Status{Build: done, Serve: done}, stop, "no traffic for 10m0s"},
		{"ready, idle and lost", record(sandbox.Ready, idle), sandbox.Status{}, stop, "no traffic for 10m0s"},
		{"preview broken", record(sandbox.Ready), sandbox.Status{Build: done, Serve: broken, Reason: "it keeps ending"}, condemn, "it keeps ending"},
		{"preview interrupted", record(sandbox.Ready), sandbox.Status{Build: done, Serve: broken, Interrupted: true}, restart, ""},
		{"preview vanished", record(sandbox.Ready), sandbox.Status{}, restart, ""},
		{"preview lost too often", record(sandbox.Ready, restarts(3)), sandbox.Status{}, condemn, "the preview was interrupted 4 times"},
		{"ready and condemned", record(sandbox.Ready, condemned), sandbox.Status{Build: done, Serve: done}, bury, ""},

		{"stopping", record(sandbox.Stopping), sandbox.Status{Build: running}, dismantle, ""},
		{"stopping too long", record(sandbox.Stopping, overdue), sandbox.Status{}, dismantle, ""},
		{"stopping and expired", record(sandbox.Stopping, expired), sandbox.Status{}, dismantle, ""},
		{"deleted", record(sandbox.Deleted), sandbox.Status{}, nothing, ""},
		{"failed", record(sandbox.Failed), sandbox.Status{}, nothing, ""},
		{"from a newer release", record("paused"), sandbox.Status{}, condemn, `state "paused" is not known`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := decide(tt.record, tt.status, t0)
			if got.step != tt.want || got.reason != tt.reason {
				t.Errorf("decided %s %q, want %s %q", got.step, got.reason, tt.want, tt.reason)
			}
		})
	}
}

func TestDecideKeepsTheEvidence(t *testing.T) {
	t.Parallel()
	d := decide(record(sandbox.Building), sandbox.Status{Build: sandbox.Broken, Reason: "why", LogTail: "tail"}, t0)
	if d.reason != "why" || d.logTail != "tail" || d.phase != "" {
		t.Errorf("broken build: %+v", d)
	}
	d = decide(record(sandbox.Starting, overdue), sandbox.Status{Build: sandbox.Done, Serve: sandbox.Running}, t0)
	if d.phase != sandbox.PhaseServe {
		t.Errorf("hanging server: log of phase %q, want that of serve", d.phase)
	}
	if d = decide(record(sandbox.Ready, short), sandbox.Status{Serve: sandbox.Done}, t0); !d.until.Equal(t0.Add(holdWithin - time.Second)) {
		t.Errorf("held until %s", d.until)
	}
}

// TestDecideExhaustively holds every combination of what a decision depends on against the rules that must hold for
// all of them.
func TestDecideExhaustively(t *testing.T) {
	t.Parallel()
	progresses := []sandbox.Progress{sandbox.Absent, sandbox.Running, sandbox.Done, sandbox.Broken}
	twists := map[string]func(*sandbox.Record){
		"": func(*sandbox.Record) {}, "overdue": overdue, "expired": expired, "condemned": condemned, "idle": idle, "short": short,
		"restarted": restarts(2), "restarted too often": restarts(3),
	}
	count := 0
	for _, state := range []sandbox.State{sandbox.Requested, sandbox.Building, sandbox.Starting, sandbox.Ready, sandbox.Stopping, sandbox.Deleted, sandbox.Failed} {
		for _, first := range twists {
			for _, second := range twists {
				for _, b := range progresses {
					for _, s := range progresses {
						for _, interrupted := range []bool{false, true} {
							count++
							st := sandbox.Status{Build: b, Serve: s, Interrupted: interrupted, Endpoint: "127.0.0.1:1"}
							checkRules(t, record(state, first, second), st)
						}
					}
				}
			}
		}
	}
	t.Logf("%d combinations", count)
}

func checkRules(t *testing.T, r sandbox.Record, st sandbox.Status) {
	t.Helper()
	d := decide(r, st, t0)
	must := func(ok bool, rule string) {
		if !ok {
			t.Errorf("%s: decided %+v for %+v with status %+v", rule, d, r, st)
		}
	}
	if !watched(r) {
		must(d == decide(r, sandbox.Status{}, t0), "a record that is not watched does not depend on the runtime")
	}
	live := !r.State.Terminal() && r.State != sandbox.Stopping && r.Reason == ""
	next := r
	switch d.step {
	case nothing, hold, look:
		must(!d.until.IsZero() == (d.step == hold), "hold has a time")
		must(d.step != hold || d.until.After(t0), "hold is for the future")
		must(d.step != look || !late(r, t0), "what is late is not looked at for ever")
		must(d.step == look || r.State.Terminal() || r.State == sandbox.Ready, "only what is ready or ended is done with")
		return
	case build:
		must(live && r.State == sandbox.Requested, "only what is requested is built")
		next.State = sandbox.Building
	case serve:
		must(live && r.State == sandbox.Building && st.Build == sandbox.Done, "only what is built is served")
		next.State = sandbox.Starting
	case publish:
		must(live && r.State == sandbox.Starting && st.Serve == sandbox.Done, "only what answers is published")
		next.State = sandbox.Ready
	case restart:
		must(live && r.Restarts < maxRestarts, "restarts are counted")
		next.Fence, next.State, next.Token, next.ControlToken = r.Fence+1, sandbox.Requested, sandbox.NewToken(), sandbox.NewControlToken()
	case condemn:
		must(live && d.reason != "", "who fails is told why")
		next.Reason = d.reason
	case stop:
		_, due := r.Due(t0)
		must(live && due && d.reason != "", "only what is due ends")
		must(strings.HasPrefix(d.reason, "no traffic") || strings.HasPrefix(d.reason, "time to live"), "being late is no end")
		next.State, next.Reason = sandbox.Stopping, d.reason
	case bury:
		must(!r.State.Terminal() && r.State != sandbox.Stopping && r.Reason != "", "only the condemned are buried")
		next.State = sandbox.Failed
	case dismantle:
		must(r.State == sandbox.Stopping, "only what stops is dismantled")
		next.State = sandbox.Deleted
	default:
		must(false, "the step is known")
	}
	if err := sandbox.CanMove(r, next); err != nil {
		t.Errorf("decided %+v for %+v: %v", d, r, err)
	}
}
