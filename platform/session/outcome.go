package session

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// String is the word for a code in logs, metrics and answers.
func (c Code) String() string {
	switch c {
	case Applied:
		return "applied"
	case RejectedConflict:
		return "conflict"
	case RejectedInitialized:
		return "initialized"
	case RejectedNotFound:
		return "not_found"
	case RejectedInvalid:
		return "invalid"
	case RejectedTooLarge:
		return "too_large"
	default:
		return "unknown"
	}
}

// Err is the error that an outcome with this code wraps, nil for Applied.
func (c Code) Err() error {
	switch c {
	case Applied:
		return nil
	case RejectedConflict:
		return ErrConflict
	case RejectedInitialized:
		return ErrInitialized
	case RejectedNotFound:
		return ErrNotFound
	case RejectedTooLarge:
		return ErrTooLarge
	default:
		return ErrInvalid
	}
}

// codeOf is the code of a fold's error.
func codeOf(err error) Code {
	switch {
	case err == nil:
		return Applied
	case errors.Is(err, ErrConflict):
		return RejectedConflict
	case errors.Is(err, ErrInitialized):
		return RejectedInitialized
	case errors.Is(err, ErrNotFound):
		return RejectedNotFound
	case errors.Is(err, ErrTooLarge):
		return RejectedTooLarge
	default:
		return RejectedInvalid
	}
}

// rejection says why a mutation was not applied, with the words that the ring keeps.
type rejection struct {
	kind   error
	reason string
}

func (e *rejection) Error() string { return e.reason }
func (e *rejection) Unwrap() error { return e.kind }

// Outcome is what the entry says of the mutation with this id. Duplicate is not set.
func (e Entry) Outcome(mutationID string) Outcome {
	o := Outcome{MutationID: mutationID, Code: e.Code, Version: e.Version, At: e.At, Ref: e.Ref}
	if kind := e.Code.Err(); kind != nil {
		reason := e.Reason
		if reason == "" {
			reason = kind.Error()
		}
		o.Err = &rejection{kind: kind, reason: reason}
	}
	return o
}

// repeated is the outcome of a mutation whose id has the entry e already, and false when it has to be decided anew.
func (e Entry) repeated(m Mutation, sum uint32) (Outcome, bool) {
	if e.Sum != sum {
		return Outcome{
			MutationID: m.ID, Code: RejectedInvalid, Version: e.Version, At: e.At, Duplicate: true,
			Err: fmt.Errorf("%w: mutation id was decided at version %d", ErrIDReused, e.Version),
		}, true
	}
	if e.Code != Applied && m.Replay > e.Replay {
		return Outcome{}, false
	}
	o := e.Outcome(m.ID)
	o.Duplicate = true
	return o, true
}

// sum is the form in which rings remember what a mutation says. Replay is not a part of it.
func (m Mutation) sum() uint32 {
	part := m.Part
	if part == "" {
		part = PartState
	}
	h := sha256.New()
	var head [1 + 1 + 8]byte
	head[0] = byte(m.Kind)
	if m.Expected != nil {
		head[1] = 1
		binary.LittleEndian.PutUint64(head[2:], uint64(*m.Expected))
	}
	write := func(field []byte) {
		var size [8]byte
		binary.LittleEndian.PutUint64(size[:], uint64(len(field)))
		_, _ = h.Write(size[:]) // a hash never fails
		_, _ = h.Write(field)
	}
	write(head[:])
	write([]byte(part))
	write([]byte(m.Path))
	write([]byte(m.CloneOf))
	write(m.Payload)
	return binary.BigEndian.Uint32(h.Sum(nil))
}
