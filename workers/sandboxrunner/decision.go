package sandboxrunner

import (
	"fmt"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

// step is the next thing to do for a sandbox.
type step string

const (
	nothing   step = "nothing"   // the message has done its work
	look      step = "look"      // something is under way in the runtime: look again
	hold      step = "hold"      // nothing before the instant given
	build     step = "build"     // trigger the build of this generation
	serve     step = "serve"     // trigger the preview of this generation
	publish   step = "publish"   // publish the route, then Ready
	restart   step = "restart"   // begin a new generation
	condemn   step = "condemn"   // write down why the sandbox fails
	bury      step = "bury"      // remove everything, then Failed
	stop      step = "stop"      // write down why the sandbox ends
	dismantle step = "dismantle" // remove everything, then Deleted
)

const (
	// maxRestarts is how many generations a sandbox may lose early in its life; one more is granted for each
	// restartEvery that it has lived.
	maxRestarts  = 3
	restartEvery = 10 * time.Minute
	// holdWithin is how near an end must be for the message to wait for it. It is longer than the janitor's period plus
	// the time a tick may take, so that every end is seen in time by one of the two.
	holdWithin = 90 * time.Second
)

// decision is a step with what it needs to know.
type decision struct {
	step step
	// reason is for the owner of the app: why the sandbox fails or ends.
	reason string
	// logTail goes with condemn. It is empty when the runtime had none ready, as with a phase that hangs.
	logTail string
	// phase is what hangs, for its log to be read.
	phase sandbox.Phase
	// until goes with hold.
	until time.Time
}

// watched tells whether the decision about a record depends on what the runtime says.
func watched(r sandbox.Record) bool {
	return r.Reason == "" && (r.State == sandbox.Building || r.State == sandbox.Starting || r.State == sandbox.Ready)
}

// decide says what comes next, given the record, what the runtime knows about its present generation (for a
// record that is [watched]) and the time. It is pure.
func decide(r sandbox.Record, st sandbox.Status, now time.Time) decision {
	switch {
	case r.State.Terminal():
		return decision{step: nothing}
	case r.State == sandbox.Stopping:
		return decision{step: dismantle}
	case r.Reason != "":
		return decision{step: bury}
	}
	if why, due := ending(r, now); due {
		return decision{step: stop, reason: why}
	}
	switch r.State {
	case sandbox.Requested:
		if late(r, now) {
			reason := "timed out: the runtime took no work in time"
			if r.Waiting != "" {
				reason = "timed out while " + r.Waiting
			}
			return decision{step: condemn, reason: reason}
		}
		return decision{step: build}
	case sandbox.Building:
		return decidePhase(r, st, now, sandbox.PhaseBuild, st.Build, serve)
	case sandbox.Starting:
		return decidePhase(r, st, now, sandbox.PhaseServe, st.Serve, publish)
	case sandbox.Ready:
		return decideReady(r, st, now)
	default:
		return decision{step: condemn, reason: fmt.Sprintf("state %q is not known", r.State)}
	}
}

// decidePhase is the decision while a phase is under way; then is the step after its success.
func decidePhase(r sandbox.Record, st sandbox.Status, now time.Time, phase sandbox.Phase, progress sandbox.Progress, then step) decision {
	switch {
	case progress == sandbox.Done && r.Waiting != "" && late(r, now):
		return decision{step: condemn, reason: "timed out while " + r.Waiting}
	case progress == sandbox.Done:
		return decision{step: then}
	case progress == sandbox.Running && late(r, now):
		after := r.PhaseDeadline.Sub(r.UpdatedAt).Round(time.Second)
		return decision{step: condemn, reason: fmt.Sprintf("%s timed out after %s", phase, after), phase: phase}
	case progress == sandbox.Running:
		return decision{step: look}
	case progress == sandbox.Broken && !st.Interrupted:
		return broken(st, string(phase)+" failed")
	default:
		return lost(r, now, string(phase))
	}
}

func decideReady(r sandbox.Record, st sandbox.Status, now time.Time) decision {
	switch {
	case st.Serve == sandbox.Broken && !st.Interrupted:
		return broken(st, "the preview ended")
	case st.Serve == sandbox.Broken, st.Serve == sandbox.Absent:
		return lost(r, now, "preview")
	}
	if at, _ := r.DueAt(); !at.IsZero() && at.Before(now.Add(holdWithin)) {
		return decision{step: hold, until: at}
	}
	return decision{step: nothing}
}

// broken is the decision about an app that failed by itself.
func broken(st sandbox.Status, otherwise string) decision {
	d := decision{step: condemn, reason: st.Reason, logTail: st.LogTail}
	if d.reason == "" {
		d.reason = otherwise
	}
	return d
}

// lost is the decision about a generation that was lost through no fault of the app: begin anew, unless that
// happens too often. Three times at once may be a machine that restarts; more is more likely this sandbox's
// doing. Long lives are granted more.
func lost(r sandbox.Record, now time.Time, what string) decision {
	allowed := maxRestarts + int(max(now.Sub(r.CreatedAt), 0)/restartEvery)
	if r.Restarts >= allowed {
		return decision{step: condemn, reason: fmt.Sprintf("the %s was interrupted %d times", what, r.Restarts+1)}
	}
	return decision{step: restart}
}

// ending reports whether the record's life is over, and why in words. A phase that takes too long is not an end.
func ending(r sandbox.Record, now time.Time) (string, bool) {
	r.PhaseDeadline = time.Time{}
	switch why, due := r.Due(now); {
	case !due:
		return "", false
	case why == sandbox.DueIdle:
		return fmt.Sprintf("no traffic for %s", r.Idle), true
	default:
		return fmt.Sprintf("time to live of %s is over", r.TTL), true
	}
}

// late reports whether the present state lasts beyond its deadline.
func late(r sandbox.Record, now time.Time) bool {
	return !r.PhaseDeadline.IsZero() && !now.Before(r.PhaseDeadline)
}
