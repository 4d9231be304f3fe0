package sandbox

import (
	"errors"
	"fmt"
	"slices"
)

// ErrUnchanged is returned by the function given to [Records.Update] to say that there is nothing to save.
var ErrUnchanged = errors.New("sandbox record is left as it is")

// next lists the arrows of the state picture, but for those to Failed.
var next = map[State][]State{
	Requested: {Building, Stopping},
	Building:  {Starting, Stopping},
	Starting:  {Ready, Stopping},
	Ready:     {Stopping},
	Stopping:  {Deleted},
}

// Terminal reports whether the state is the end of a life: Deleted or Failed.
func (s State) Terminal() bool { return s == Deleted || s == Failed }

// Valid reports whether s is one of the states.
func (s State) Valid() bool { return s.Terminal() || next[s] != nil }

// CanMove says whether a record may be replaced by another one, by the state picture and by the rules of
// generations. It is pure. The error wraps [ErrTransition]; Version, ActiveAt and UpdatedAt do not matter.
func CanMove(from, to Record) error {
	switch {
	case from.ID != to.ID || from.RequestID != to.RequestID || from.AppName != to.AppName || from.Fingerprint != to.Fingerprint || !from.CreatedAt.Equal(to.CreatedAt):
		return transition(from, to, "id, request id, app name, fingerprint and creation time never change")
	case !to.State.Valid():
		return transition(from, to, "there is no such state")
	case from.State.Terminal():
		return transition(from, to, "it has ended")
	case to.Fence == from.Fence+1:
		return canRestart(from, to)
	case to.Fence != from.Fence:
		return transition(from, to, "the fence grows one by one")
	case from.Token != to.Token || from.ControlToken != to.ControlToken:
		return transition(from, to, "tokens change only with the fence")
	case from.State == to.State || to.State == Failed || slices.Contains(next[from.State], to.State):
		return nil
	default:
		return transition(from, to, "the state picture has no such arrow")
	}
}

func canRestart(from, to Record) error {
	switch {
	case from.State == Stopping:
		return transition(from, to, "a stopping sandbox is not started again")
	case to.State != Requested:
		return transition(from, to, "a new generation starts as requested")
	case from.Token == to.Token || from.ControlToken == to.ControlToken:
		return transition(from, to, "a new generation needs new tokens")
	default:
		return nil
	}
}

func transition(from, to Record, why string) error {
	return fmt.Errorf("%w: %s from %s (fence %d) to %s (fence %d): %s", ErrTransition, from.ID, from.State, from.Fence, to.State, to.Fence, why)
}
