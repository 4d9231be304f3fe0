package sessiontest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"vibesdk-gcp/platform/session"
)

// world is what one case works with.
type world struct {
	*testing.T
	f    Features
	open func() session.Driver
}

var allParts = []session.PartName{
	session.PartState, session.PartFullConversations, session.PartCompactConversations,
	session.PartMCPServers, session.PartJobs, session.PartTables,
}

// epoch is the time at which the records of this suite begin.
var epoch = time.Date(2026, 7, 14, 9, 26, 53, 589_793_000, time.UTC)

// texts are the parts of a record, by name.
type texts map[session.PartName]string

// beginning is a record that is not stored yet.
func beginning(id string, parts texts) *session.Record {
	r := &session.Record{
		Head:  session.Head{ID: id, Commit: 1, Version: 1, Present: true, CreatedAt: epoch, UpdatedAt: epoch},
		Parts: map[session.PartName]session.Part{},
	}
	for name, text := range parts {
		r.Parts[name] = session.Part{Data: []byte(text)}
	}
	return r
}

// after is the next commit of a record, with some parts replaced.
func after(r *session.Record, parts texts) *session.Record {
	next := *r
	next.Commit++
	next.Version++
	next.UpdatedAt = epoch.Add(time.Duration(next.Commit) * time.Second)
	next.Parts = maps.Clone(r.Parts)
	for name, text := range parts {
		next.Parts[name] = session.Part{Data: []byte(text)}
	}
	return &next
}

func without(r *session.Record, name session.PartName) *session.Record {
	next := *r
	next.Parts = maps.Clone(r.Parts)
	delete(next.Parts, name)
	return &next
}

// commit stores next, which must succeed, and checks what the driver returned.
func (w *world) commit(d session.Driver, next *session.Record) *session.Record {
	w.Helper()
	given := copyOf(next)
	stored, err := d.Commit(w.Context(), next)
	if err != nil {
		w.Fatalf("commit %d of %q: %v", next.Commit, next.ID, err)
	}
	w.same("what Commit returned", given, stored)
	w.same("what Commit was given, afterwards,", given, next)
	for name, p := range stored.Parts {
		if p.Tag == "" {
			w.Fatalf("part %s has no tag after its commit", name)
		}
	}
	return stored
}

func (w *world) load(d session.Driver, id string, known *session.Record) *session.Record {
	w.Helper()
	var before *session.Record
	if known != nil {
		before = copyOf(known)
	}
	r, err := d.Load(w.Context(), id, known)
	if err != nil {
		w.Fatalf("load %q: %v", id, err)
	}
	if known != nil {
		w.same("known, after a load,", before, known)
	}
	for name, p := range r.Parts {
		if p.Tag == "" {
			w.Fatalf("part %s has no tag after a load", name)
		}
	}
	return r
}

// conflicts is a commit that must not happen: it must fail with ErrConflict and leave what is stored alone.
func (w *world) conflicts(d session.Driver, next, stored *session.Record) {
	w.Helper()
	if _, err := d.Commit(w.Context(), next); !errors.Is(err, session.ErrConflict) {
		w.Fatalf("commit %d of %q on another state: %v, want ErrConflict", next.Commit, next.ID, err)
	}
	if stored == nil {
		w.absent(d, next.ID)
		return
	}
	w.same("what is stored after a conflict", stored, w.load(d, stored.ID, nil))
}

func (w *world) absent(d session.Driver, id string) {
	w.Helper()
	if r, err := d.Load(w.Context(), id, nil); !errors.Is(err, session.ErrNotFound) {
		w.Fatalf("load %q: %v, %v; want ErrNotFound", id, r, err)
	}
}

func (w *world) same(what string, want, got *session.Record) {
	w.Helper()
	if d := difference(want, got); d != "" {
		w.Fatalf("%s of %q: %s", what, want.ID, d)
	}
}

// difference says in what two records differ; tags do not count.
func difference(want, got *session.Record) string {
	if got == nil {
		return "no record"
	}
	if d := headDifference(want.Head, got.Head); d != "" {
		return d
	}
	if w, g := want.Ring.Entries(), got.Ring.Entries(); !slices.Equal(w, g) {
		return fmt.Sprintf("the ring has %d entries %.500v, want %d: %.500v", len(g), g, len(w), w)
	}
	for name, p := range want.Parts {
		g, ok := got.Parts[name]
		if !ok {
			return fmt.Sprintf("part %s is missing", name)
		}
		if !bytes.Equal(p.Data, g.Data) {
			return fmt.Sprintf("part %s has %d bytes %.100q, want %d: %.100q", name, len(g.Data), g.Data, len(p.Data), p.Data)
		}
	}
	for name := range got.Parts {
		if _, ok := want.Parts[name]; !ok {
			return fmt.Sprintf("part %s is there", name)
		}
	}
	return ""
}

func headDifference(want, got session.Head) string {
	a, b := want, got
	for _, h := range []*session.Head{&a, &b} {
		for _, at := range []*time.Time{&h.CreatedAt, &h.UpdatedAt, &h.ExpiresAt, &h.AlarmAt} {
			*at = at.UTC()
		}
	}
	if a != b {
		return fmt.Sprintf("the head is %+v, want %+v", b, a)
	}
	return ""
}

// copyOf is a copy that shares nothing with r.
func copyOf(r *session.Record) *session.Record {
	c := *r
	c.Parts = maps.Clone(r.Parts)
	for name, p := range c.Parts {
		p.Data = bytes.Clone(p.Data)
		c.Parts[name] = p
	}
	return &c
}
