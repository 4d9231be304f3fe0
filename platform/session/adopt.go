package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// Adopt stores a record that was loaded from another store, as it is there: its version, the outcomes of its mutations, its times and
// every byte of its parts, so that callers who knew it there go on with it here. Tombstones are adopted like sessions. It returns the
// record as it is stored here, and false when it was there already.
//
// What is stored here under the same id is replaced if its version is smaller, or the same and updated earlier: an older copy. ErrConflict when it went on
// here, which is a larger version, or the same version with something else in it; and then nothing changes. ErrInvalid when the record
// breaks a rule, ErrTooLarge when it is over a limit. Any other error leaves open whether it was stored, and adopting it again is safe.
//
// Mutations of the session must be stopped at its old home before it is loaded there for the last time: what is applied there
// later is lost here.
func (s *Store) Adopt(ctx context.Context, from *Record) (stored *Record, changed bool, err error) {
	if err := checkRecord(from); err != nil {
		return nil, false, err
	}
	pause := jitter(2*time.Millisecond, 200*time.Millisecond)
	for {
		here, err := s.driver.Load(ctx, from.ID, nil)
		switch {
		case errors.Is(err, ErrNotFound):
			here = &Record{Head: Head{ID: from.ID}}
		case err != nil:
			return nil, false, fmt.Errorf("adopt session: %w", err)
		case here.Version > from.Version:
			return nil, false, fmt.Errorf("adopt session: %w: version %d is stored, the other has %d", ErrConflict, here.Version, from.Version)
		case here.Version == from.Version && here.Ring.Len() > 0: // an empty record of version 0 says nothing
			if d := contentDifference(here, from); d != "" {
				return nil, false, fmt.Errorf("adopt session: %w: version %d is stored with something else in it: %s", ErrConflict, here.Version, d)
			}
			// What was only refused there since the last copy has left the version alone.
			if !from.UpdatedAt.After(here.UpdatedAt) || Difference(here, from) == "" {
				return here, false, nil
			}
		}
		next := &Record{Head: from.Head, Ring: from.Ring.movedTo(here.Commit + 1), Parts: make(map[PartName]Part, len(from.Parts)), Tag: here.Tag}
		next.Commit = here.Commit + 1
		for name, p := range from.Parts {
			next.Parts[name] = Part{Data: p.Data} // its tag is of the other driver
		}
		stored, err := s.driver.Commit(ctx, next)
		s.cache.drop(from.ID)
		switch {
		case err == nil:
			return stored, true, nil
		case !errors.Is(err, ErrConflict):
			return nil, false, fmt.Errorf("adopt session: %w", err)
		}
		if err := sleep(ctx, pause.NextBackOff()); err != nil { // somebody writes to it here
			return nil, false, fmt.Errorf("adopt session: %w", err)
		}
	}
}

// checkRecord holds a record against the limits that the fold keeps for those that it makes.
func checkRecord(r *Record) error {
	if err := checkID("session id", r.ID); err != nil {
		return err
	}
	if r.Version < 0 || !r.Present && len(r.Parts) > 0 {
		return fmt.Errorf("%w: a record with version %d, present %t and %d parts", ErrInvalid, r.Version, r.Present, len(r.Parts))
	}
	for name, p := range r.Parts {
		if _, ok := partRules[name]; !ok {
			return fmt.Errorf("%w: part %q is none", ErrInvalid, shorten(string(name), 40))
		}
		if len(p.Data) > MaxPart {
			return fmt.Errorf("%w: part %s is %d bytes, the limit is %d", ErrTooLarge, name, len(p.Data), MaxPart)
		}
	}
	if n := r.Size(); n > MaxRecord {
		return fmt.Errorf("%w: the session is %d bytes, the limit is %d", ErrTooLarge, n, MaxRecord)
	}
	return nil
}

// Difference says in which way two copies of a session differ for whoever uses it, and nothing when they do not: what is in its
// parts and the outcomes that are remembered. Times of expiry, counts of commits and tags belong to the store, and do not count.
func Difference(a, b *Record) string {
	if d := contentDifference(a, b); d != "" {
		return d
	}
	if a.Ring.Len() != b.Ring.Len() {
		return fmt.Sprintf("%d and %d remembered mutations", a.Ring.Len(), b.Ring.Len())
	}
	others := b.Ring.Entries()
	for i, e := range a.Ring.Entries() {
		if e.Commit = others[i].Commit; e != others[i] {
			return fmt.Sprintf("remembered mutation %d", i)
		}
	}
	return ""
}

func contentDifference(a, b *Record) string {
	switch {
	case a.Version != b.Version:
		return fmt.Sprintf("versions %d and %d", a.Version, b.Version)
	case a.Present != b.Present:
		return fmt.Sprintf("present %t and %t", a.Present, b.Present)
	case a.Initialized != b.Initialized:
		return fmt.Sprintf("initialized %t and %t", a.Initialized, b.Initialized)
	}
	for name, p := range a.Parts {
		if other, ok := b.Parts[name]; !ok || !bytes.Equal(p.Data, other.Data) {
			return "part " + string(name)
		}
	}
	for name := range b.Parts {
		if _, ok := a.Parts[name]; !ok {
			return "part " + string(name)
		}
	}
	return ""
}

// movedTo is the ring as if one commit had decided all that it remembers.
func (r Ring) movedTo(commit int64) Ring {
	entries := r.Entries()
	for i := range entries {
		entries[i].Commit = commit
	}
	var moved Ring
	moved.body, moved.last = appendRuns(nil, ringMark{}, entries)
	moved.size = len(entries)
	return moved
}
