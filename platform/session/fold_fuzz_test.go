package session

import (
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vibesdk-gcp/internal/jsondoc"
)

// mutations draws mutations that often fit to each other.
var mutations = rapid.Custom(func(t *rapid.T) Mutation {
	id := rapid.SampledFrom([]string{"a", "b", "c", "d"})
	sample := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	m := Mutation{ID: fmt.Sprint(rapid.IntRange(0, 50).Draw(t, "mutation")), Kind: Kind(rapid.IntRange(1, 14).Draw(t, "kind"))}
	switch m.Kind {
	case Initialize, Put:
		m.Payload = []byte(sample("text", `{"a":{"b":[1]}}`, `[]`, ` {"a" : 1.0} `, `null`, `{"metadata":{}}`, `{`))
	case Merge:
		m.Payload = []byte(sample("text", `{"a":{"b":null}}`, `{"a":{"b":[2]},"c":1}`, `[]`, `{"a":null}`, `nope`))
	case Patch:
		m.Payload = []byte(sample("text", `[{"op":"add","path":"/a","value":{"b":[]}}]`, `[{"op":"remove","path":"/a/b"},{"op":"remove","path":"/c"}]`, `[{"op":"copy","from":"","path":"/a"}]`, `{}`))
	case Append:
		m.Path, m.Payload = sample("path", "", "/a/b", "/x", "x"), []byte(sample("text", `1`, `{"k":[]}`, `]`))
	case Clone:
		m.CloneOf = sample("source", "source", "none", "")
	case Schedule:
		m.Payload = fmt.Appendf(nil, `{"id":%q,"callback":"c",%s}`, id.Draw(t, "id"), sample("when", `"delaySeconds":1`, `"cron":"* * * * *"`, `"intervalSeconds":2`, `"at":"2026-03-04T05:06:08Z"`, `"cron":"x"`))
	case Enqueue:
		m.Payload = fmt.Appendf(nil, `{"id":%q,"callback":"c","retry":{"maxAttempts":2}}`, id.Draw(t, "id"))
	case Cancel:
		m.Payload = fmt.Appendf(nil, `{"id":%q}`, id.Draw(t, "id"))
	case Dequeue:
		m.Payload = []byte(sample("which", `{"id":"a"}`, `{"callback":"c"}`, `{"all":true}`, `{}`))
	case Import:
		m.Payload = []byte(sample("import", `{"initialized":true,"parts":{"state":1}}`, `{"parts":{"jobs":[]}}`, `{"parts":{"jobs":[{}]}}`))
	case StartJob:
		m.Payload = fmt.Appendf(nil, `{"id":%q,"run":%d,"holder":%q,"until":"2026-03-04T06:00:00Z"}`, id.Draw(t, "id"), rapid.IntRange(1, 3).Draw(t, "run"), id.Draw(t, "holder"))
	default:
		m.Payload = fmt.Appendf(nil, `{"id":%q,"run":%d,"holder":%q,"error":%q}`, id.Draw(t, "id"), rapid.IntRange(1, 3).Draw(t, "run"), id.Draw(t, "holder"), sample("error", "", "x"))
	}
	if m.Kind >= Put && m.Kind <= Append {
		m.Part = PartName(sample("part", "", "state", "state", "full_conversations", "mcp_servers", "jobs", "other"))
	}
	if rapid.IntRange(0, 4).Draw(t, "expects") == 0 {
		m.Expected = pointerTo(int64(rapid.IntRange(0, 4).Draw(t, "expected")))
	}
	return m
})

// TestFoldAddsUp: a batch is what its mutations are one by one, each as a batch of its own; what is applied leaves valid JSON and counts
// one version; what is rejected changes nothing.
func TestFoldAddsUp(t *testing.T) { rapid.Check(t, foldAddsUp) }

func FuzzFoldAddsUp(f *testing.F) { f.Fuzz(rapid.MakeFuzz(foldAddsUp)) }

func foldAddsUp(t *rapid.T) {
	source := stored(3, "state", `{"metadata":{"agentId":"x"},"cloudflareToken":"t"}`)
	source.Initialized = true
	whole, single := fold(nothing(), foldTime), nothing()
	for _, m := range rapid.SliceOfN(mutations, 1, 25).Draw(t, "mutations") {
		var from *Record
		if m.CloneOf == "source" {
			from = source
		}
		f := fold(single, foldTime)
		ref, err := whole.apply(m, from)
		refSingle, errSingle := f.apply(m, from)
		if ref != refSingle || fmt.Sprint(err) != fmt.Sprint(errSingle) {
			t.Fatalf("%d %s: %q, %v; alone: %q, %v", m.Kind, m.Payload, ref, err, refSingle, errSingle)
		}
		next := f.result()
		if err != nil {
			if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrInitialized) && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrTooLarge) {
				t.Fatalf("%d %s: %v is no error of the contract", m.Kind, m.Payload, err)
			}
			if next.Head != single.Head || !maps.Equal(partsOf(next), partsOf(single)) {
				t.Fatalf("%d %s was rejected: %+v became %+v", m.Kind, m.Payload, single, next)
			}
		} else if next.Version != single.Version+1 {
			t.Fatalf("version went from %d to %d", single.Version, next.Version)
		}
		for name, p := range next.Parts {
			if err := jsondoc.Check(p.Data); err != nil {
				t.Fatalf("%s: %s: %v", name, p.Data, err)
			}
		}
		if !next.Present && (len(next.Parts) > 0 || next.Initialized || !next.AlarmAt.IsZero()) {
			t.Fatalf("not present, but %+v", next)
		}
		ready, err := next.Ready(foldTime.Add(1e6 * time.Hour))
		if err != nil || len(ready) > 0 && !next.AlarmAt.Equal(ready[0].ReadyAt()) || len(ready) == 0 && !next.AlarmAt.IsZero() {
			t.Fatalf("alarm at %s for %+v, %v", next.AlarmAt, ready, err)
		}
		single = next
	}
	if r := whole.result(); r.Head != single.Head || !maps.Equal(partsOf(r), partsOf(single)) {
		t.Fatalf("the batch gives %+v %v, one by one %+v %v", r.Head, partsOf(r), single.Head, partsOf(single))
	}
}

// FuzzApply: nothing that can be in a mutation makes the fold panic or leave something else than JSON.
func FuzzApply(f *testing.F) {
	for kind := range uint8(16) {
		f.Add(kind, "state", "/a", []byte(`{"a":[1],"id":"a","callback":"c","delaySeconds":1,"run":1,"holder":"h"}`), []byte(`[{"id":"a"}]`))
	}
	f.Add(uint8(Import), "", "", []byte(`{"parts":{"jobs":[{"id":"a","type":"cron","cron":"* * * * *","callback":"c","due":"2026-01-01T00:00:00Z","run":1}]}}`), []byte(`[]`))
	f.Add(uint8(Patch), "state", "", []byte(`[{"op":"move","from":"/a","path":"/0"}]`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, kind uint8, part, path string, payload, jobs []byte) {
		base := stored(1, "state", `{"a":[{"b":1}]}`, "full_conversations", "[]", "jobs", string(jobs))
		batch := fold(base, foldTime)
		m := Mutation{ID: path, Kind: Kind(kind), Part: PartName(part), Path: path, Payload: payload, CloneOf: path, Expected: pointerTo[int64](1)}
		_, err := batch.apply(m, base)
		r := batch.result()
		if err != nil {
			r.AlarmAt = base.AlarmAt // stored jobs that no fold wrote have any alarm
			if r.Head != base.Head || !maps.Equal(partsOf(r), partsOf(base)) && jsondoc.Check(jobs) == nil {
				t.Fatalf("rejected with %v, but %v", err, partsOf(r))
			}
			return
		}
		for name, p := range r.Parts {
			if string(p.Data) != string(base.Parts[name].Data) && jsondoc.Check(p.Data) != nil {
				t.Fatalf("%s: %q", name, p.Data)
			}
		}
	})
}
