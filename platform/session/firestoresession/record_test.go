package firestoresession_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/platform/session"
)

var epoch = time.Date(2026, 7, 14, 9, 26, 53, 589_793_000, time.UTC)

// noise is a JSON text that the fastest compression leaves as it is.
func noise(seed uint64, size int) []byte {
	random := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	b.WriteByte('"')
	for b.Len() < size-1 {
		fmt.Fprintf(&b, "%016x", random.Uint64())
	}
	return []byte(b.String()[:size-1] + `"`)
}

func beginning(id string, parts map[session.PartName][]byte) *session.Record {
	return after(&session.Record{Head: session.Head{ID: id, Present: true, CreatedAt: epoch}}, parts)
}

// after is the next commit of a record, with some parts replaced; nil removes one.
func after(r *session.Record, parts map[session.PartName][]byte) *session.Record {
	next := *r
	next.Commit++
	next.Version++
	next.UpdatedAt = epoch.Add(time.Duration(next.Commit) * time.Second)
	next.Parts = maps.Clone(r.Parts)
	if next.Parts == nil {
		next.Parts = map[session.PartName]session.Part{}
	}
	for name, data := range parts {
		if delete(next.Parts, name); data != nil {
			next.Parts[name] = session.Part{Data: data}
		}
	}
	return &next
}

func commit(t testing.TB, d session.Driver, next *session.Record) *session.Record {
	t.Helper()
	stored, err := d.Commit(t.Context(), next)
	if err != nil {
		t.Fatalf("commit %d of %q: %v", next.Commit, next.ID, err)
	}
	return stored
}

func load(t testing.TB, d session.Driver, id string) *session.Record {
	t.Helper()
	r, err := d.Load(t.Context(), id, nil)
	if err != nil {
		t.Fatalf("load %q: %v", id, err)
	}
	return r
}

func equal(t testing.TB, what string, want, got *session.Record) {
	t.Helper()
	if want.Head != got.Head {
		t.Errorf("%s: the head is %+v, want %+v", what, got.Head, want.Head)
	}
	if len(want.Parts) != len(got.Parts) {
		t.Errorf("%s: %d parts, want %d", what, len(got.Parts), len(want.Parts))
	}
	for name, p := range want.Parts {
		if string(got.Parts[name].Data) != string(p.Data) {
			t.Errorf("%s: part %s is %.50q, want %.50q", what, name, got.Parts[name].Data, p.Data)
		}
	}
}
