package sandbox_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vibesdk-gcp/platform/sandbox"
)

var states = []sandbox.State{
	sandbox.Requested, sandbox.Building, sandbox.Starting, sandbox.Ready, sandbox.Stopping, sandbox.Deleted, sandbox.Failed,
}

// TestStatePicture lists every arrow of the picture in the package comment; all other pairs are refused.
func TestStatePicture(t *testing.T) {
	t.Parallel()
	arrows := map[sandbox.State][]sandbox.State{
		sandbox.Requested: {sandbox.Requested, sandbox.Building, sandbox.Stopping, sandbox.Failed},
		sandbox.Building:  {sandbox.Building, sandbox.Starting, sandbox.Stopping, sandbox.Failed},
		sandbox.Starting:  {sandbox.Starting, sandbox.Ready, sandbox.Stopping, sandbox.Failed},
		sandbox.Ready:     {sandbox.Ready, sandbox.Stopping, sandbox.Failed},
		sandbox.Stopping:  {sandbox.Stopping, sandbox.Deleted, sandbox.Failed},
	}
	for _, from := range states {
		for _, to := range append(states, "", "running") {
			err := sandbox.CanMove(record(from, 1), record(to, 1))
			if want := slices.Contains(arrows[from], to); want != (err == nil) {
				t.Errorf("%s → %s: %v", from, to, err)
			}
			if err != nil && !errors.Is(err, sandbox.ErrTransition) {
				t.Errorf("%s → %s: %v is no ErrTransition", from, to, err)
			}
		}
	}
}

func TestNewGeneration(t *testing.T) {
	t.Parallel()
	for _, from := range states {
		next := record(sandbox.Requested, 2)
		next.Token, next.ControlToken = "t2", "c2"
		err := sandbox.CanMove(record(from, 1), next)
		if want := !from.Terminal() && from != sandbox.Stopping; want != (err == nil) {
			t.Errorf("%s → new generation: %v", from, err)
		}
	}
	for name, change := range map[string]func(*sandbox.Record){
		"the old token":           func(r *sandbox.Record) { r.Token = "t" },
		"the old control token":   func(r *sandbox.Record) { r.ControlToken = "c" },
		"a later state":           func(r *sandbox.Record) { r.State = sandbox.Building },
		"a fence that jumps":      func(r *sandbox.Record) { r.Fence = 3 },
		"a fence that goes back":  func(r *sandbox.Record) { r.Fence = 0 },
		"another id":              func(r *sandbox.Record) { r.ID = "x" },
		"another request":         func(r *sandbox.Record) { r.RequestID = "x" },
		"another app":             func(r *sandbox.Record) { r.AppName = "x" },
		"another fingerprint":     func(r *sandbox.Record) { r.Fingerprint = "x" },
		"another time of birth":   func(r *sandbox.Record) { r.CreatedAt = r.CreatedAt.Add(1) },
		"new tokens, same fence":  func(r *sandbox.Record) { r.Fence, r.State = 1, sandbox.Ready },
		"one new token, no fence": func(r *sandbox.Record) { r.Fence, r.State, r.ControlToken = 1, sandbox.Ready, "c" },
	} {
		next := record(sandbox.Requested, 2)
		next.Token, next.ControlToken = "t2", "c2"
		change(&next)
		if err := sandbox.CanMove(record(sandbox.Ready, 1), next); !errors.Is(err, sandbox.ErrTransition) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMovesOnlyGrow walks at random: whatever is allowed makes (fence, state) larger or leaves it, in lexicographic
// order, and every walk can still come to an end.
func TestMovesOnlyGrow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := record(sandbox.Requested, 1)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			to := record(rapid.SampledFrom(states).Draw(t, "state"), at.Fence+rapid.Int64Range(-1, 2).Draw(t, "fence"))
			to.Token, to.ControlToken = at.Token, at.ControlToken
			if to.Fence != at.Fence {
				to.Token, to.ControlToken = sandbox.NewToken(), sandbox.NewControlToken()
			}
			if sandbox.CanMove(at, to) != nil {
				continue
			}
			before, after := slices.Index(states, at.State), slices.Index(states, to.State)
			if to.Fence < at.Fence || to.Fence == at.Fence && after < before {
				t.Fatalf("%s of fence %d may become %s of fence %d", at.State, at.Fence, to.State, to.Fence)
			}
			if at.State.Terminal() {
				t.Fatalf("%s is not the end", at.State)
			}
			at = to
		}
		failed := at
		failed.State = sandbox.Failed
		if err := sandbox.CanMove(at, failed); (err == nil) == at.State.Terminal() {
			t.Fatalf("%s → failed: %v", at.State, err)
		}
	})
}

func record(s sandbox.State, fence int64) sandbox.Record {
	return sandbox.Record{ID: "id", RequestID: "r", Fingerprint: "f", State: s, Fence: fence, Token: "t", ControlToken: "c", CreatedAt: epoch}
}

var epoch = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
