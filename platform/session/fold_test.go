package session

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
)

var foldTime = time.Date(2026, 3, 4, 5, 6, 7, 890_123_456, time.UTC)

// stored makes a record as a driver returns it: with tags. data alternates names and texts.
func stored(version int64, data ...string) *Record {
	r := &Record{Head: Head{ID: "s", Commit: 3, Version: version, Present: true, CreatedAt: foldTime.Add(-time.Hour)}, Parts: map[PartName]Part{}}
	for i := 0; i < len(data); i += 2 {
		r.Parts[PartName(data[i])] = Part{Data: []byte(data[i+1]), Tag: "tag of " + data[i]}
	}
	return r
}

func nothing() *Record { return &Record{Head: Head{ID: "s"}} }

// partsOf is the texts of a record, in one line.
func partsOf(r *Record) map[string]string {
	out := map[string]string{}
	for name, p := range r.Parts {
		out[string(name)] = string(p.Data)
	}
	return out
}

func pointerTo[T any](v T) *T { return &v }

// TestKinds is what each kind does to a session that is there, one that is not, and parts that are missing.
func TestKinds(t *testing.T) {
	initialized := func(r *Record) *Record { r.Initialized = true; return r }
	destroyed := &Record{Head: Head{ID: "s", Commit: 9, Version: 7}}
	for _, c := range []struct {
		name string
		base *Record
		m    Mutation
		want string
		err  error
	}{
		{"initialize", nothing(), Mutation{Kind: Initialize, Payload: []byte(" {\"a\":1.0} ")}, "map[state: {\"a\":1.0} ]", nil},
		{"initialize what was put", stored(1, "state", `{"sessionId":"x"}`, "mcp_servers", "{}"), Mutation{Kind: Initialize, Payload: []byte(`{}`)}, "map[mcp_servers:{} state:{}]", nil},
		{"initialize twice", initialized(stored(1, "state", `{}`)), Mutation{Kind: Initialize, Payload: []byte(`{"b":1}`)}, "", ErrInitialized},
		{"initialize another part", nothing(), Mutation{Kind: Initialize, Part: PartMCPServers, Payload: []byte(`{}`)}, "", ErrInvalid},
		{"initialize again after the end", destroyed, Mutation{Kind: Initialize, Payload: []byte(`[]`)}, "map[state:[]]", nil},
		{"put", stored(1, "state", `{}`), Mutation{Kind: Put, Payload: []byte("\tnull\n")}, "map[state:\tnull\n]", nil},
		{"put on nothing", nothing(), Mutation{Kind: Put, Part: PartState, Payload: []byte("3")}, "map[state:3]", nil},
		{"put a conversation", nothing(), Mutation{Kind: Put, Part: PartFullConversations, Payload: []byte(" [1]")}, "map[full_conversations: [1]]", nil},
		{"put no conversation", nothing(), Mutation{Kind: Put, Part: PartFullConversations, Payload: []byte(" {}")}, "", ErrInvalid},
		{"put servers", nothing(), Mutation{Kind: Put, Part: PartMCPServers, Payload: []byte(`{"a":{}}`)}, `map[mcp_servers:{"a":{}}]`, nil},
		{"put no servers", nothing(), Mutation{Kind: Put, Part: PartMCPServers, Payload: []byte(`[]`)}, "", ErrInvalid},
		{"put jobs", nothing(), Mutation{Kind: Put, Part: PartJobs, Payload: []byte(`[]`)}, "", ErrInvalid},
		{"put tables", nothing(), Mutation{Kind: Put, Part: PartTables, Payload: []byte(`{}`)}, "", ErrInvalid},
		{"put an unknown part", nothing(), Mutation{Kind: Put, Part: "other", Payload: []byte(`{}`)}, "", ErrInvalid},
		{"put no JSON", nothing(), Mutation{Kind: Put, Payload: []byte(`{`)}, "", ErrInvalid},
		{"put nothing", nothing(), Mutation{Kind: Put}, "", ErrInvalid},
		{"put no UTF-8", nothing(), Mutation{Kind: Put, Payload: []byte("\"\xff\"")}, "", ErrInvalid},
		{"merge", stored(1, "state", `{"a":1, "b":2}`), Mutation{Kind: Merge, Payload: []byte(`{"a":null,"c":3}`)}, `map[state:{ "b":2,"c":3}]`, nil},
		{"merge on nothing", nothing(), Mutation{Kind: Merge, Payload: []byte(`{"a":null,"c":3}`)}, `map[state:{"c":3}]`, nil},
		{"merge on a missing part", stored(1, "state", `1`), Mutation{Kind: Merge, Part: PartMCPServers, Payload: []byte(`{"c":3}`)}, `map[mcp_servers:{"c":3} state:1]`, nil},
		{"merge a conversation away", stored(1, "full_conversations", `[]`), Mutation{Kind: Merge, Part: PartFullConversations, Payload: []byte(`{}`)}, "", ErrInvalid},
		{"patch", stored(1, "state", `[1]`), Mutation{Kind: Patch, Payload: []byte(`[{"op":"add","path":"/-","value":2}]`)}, `map[state:[1,2]]`, nil},
		{"patch on nothing", nothing(), Mutation{Kind: Patch, Payload: []byte(`[]`)}, "", ErrNotFound},
		{"patch a missing part", stored(1, "state", `[1]`), Mutation{Kind: Patch, Part: PartMCPServers, Payload: []byte(`[]`)}, "", ErrNotFound},
		{"patch nowhere", stored(1, "state", `[1]`), Mutation{Kind: Patch, Payload: []byte(`[{"op":"remove","path":"/7"}]`)}, "", ErrNotFound},
		{"patch that fails its test", stored(1, "state", `[1]`), Mutation{Kind: Patch, Payload: []byte(`[{"op":"test","path":"/0","value":2}]`)}, "", ErrInvalid},
		{"patch too much", stored(1, "state", `["`+strings.Repeat("x", 1<<20)+`"]`), Mutation{Kind: Patch, Payload: []byte("[" + strings.Repeat(`{"op":"copy","from":"/0","path":"/0"},`, 99) + `{"op":"copy","from":"/0","path":"/0"}]`)}, "", ErrTooLarge},
		{"append", stored(1, "state", `{"a":[1]}`), Mutation{Kind: Append, Path: "/a", Payload: []byte(` 2 `)}, `map[state:{"a":[1,2]}]`, nil},
		{"append to what is no array", stored(1, "state", `{"a":1}`), Mutation{Kind: Append, Path: "/a", Payload: []byte(`2`)}, "", ErrInvalid},
		{"append nowhere", stored(1, "state", `{"a":1}`), Mutation{Kind: Append, Path: "/b", Payload: []byte(`2`)}, "", ErrNotFound},
		{"append by a bad path", stored(1, "state", `{"a":1}`), Mutation{Kind: Append, Path: "b", Payload: []byte(`2`)}, "", ErrInvalid},
		{"append on nothing", nothing(), Mutation{Kind: Append, Payload: []byte(`2`)}, "", ErrNotFound},
		{"append to a missing conversation", nothing(), Mutation{Kind: Append, Part: PartCompactConversations, Payload: []byte(`{"role":"user"}`)}, `map[compact_conversations:[{"role":"user"}]]`, nil},
		{"append inside a missing conversation", nothing(), Mutation{Kind: Append, Part: PartCompactConversations, Path: "/0", Payload: []byte(`1`)}, "", ErrNotFound},
		{"append to missing servers", nothing(), Mutation{Kind: Append, Part: PartMCPServers, Payload: []byte(`1`)}, "", ErrNotFound},
		{"destroy", initialized(stored(1, "state", `{}`, "jobs", "[]")), Mutation{Kind: Destroy}, `map[]`, nil},
		{"destroy nothing", nothing(), Mutation{Kind: Destroy}, `map[]`, nil},
		{"a kind of another world", nothing(), Mutation{Kind: 99, Payload: []byte(`{}`)}, "", ErrInvalid},
		{"no kind", nothing(), Mutation{Payload: []byte(`{}`)}, "", ErrInvalid},
		{"a version as expected", stored(7, "state", `1`), Mutation{Kind: Put, Expected: pointerTo[int64](7), Payload: []byte(`2`)}, `map[state:2]`, nil},
		{"another version", stored(7, "state", `1`), Mutation{Kind: Put, Expected: pointerTo[int64](6), Payload: []byte(`2`)}, "", ErrConflict},
		{"nothing as expected", nothing(), Mutation{Kind: Put, Expected: pointerTo[int64](0), Payload: []byte(`2`)}, `map[state:2]`, nil},
		{"gone as expected", destroyed, Mutation{Kind: Put, Expected: pointerTo[int64](0), Payload: []byte(`2`)}, `map[state:2]`, nil},
		{"gone, but another version", destroyed, Mutation{Kind: Put, Expected: pointerTo[int64](7), Payload: []byte(`2`)}, "", ErrConflict},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := fold(c.base, foldTime)
			_, err := f.apply(c.m, nil)
			if !errors.Is(err, c.err) {
				t.Fatalf("error is %v, want %v", err, c.err)
			}
			r := f.result()
			if err != nil {
				unchanged(t, c.base, r)
				if len(err.Error()) > 300 {
					t.Errorf("the error has %d bytes", len(err.Error()))
				}
				return
			}
			if got := fmt.Sprint(partsOf(r)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if r.Version != c.base.Version+1 || f.version() != r.Version {
				t.Errorf("version went from %d to %d", c.base.Version, r.Version)
			}
			if want := c.m.Kind != Destroy; r.Present != want {
				t.Errorf("present is %v", r.Present)
			}
			if want := c.m.Kind == Initialize; r.Initialized != want {
				t.Errorf("initialized is %v", r.Initialized)
			}
			created := c.base.CreatedAt
			if !c.base.Present && r.Present {
				created = foldTime.Truncate(time.Microsecond)
			}
			if !r.CreatedAt.Equal(created) {
				t.Errorf("created at %s, want %s", r.CreatedAt, created)
			}
		})
	}
}

// unchanged: a rejection leaves even the memory of the parts alone.
func unchanged(t *testing.T, base, r *Record) {
	t.Helper()
	if r.Head != base.Head {
		t.Errorf("head was %+v, is %+v", base.Head, r.Head)
	}
	same := func(a, b Part) bool { return a.Tag == b.Tag && string(a.Data) == string(b.Data) }
	if !maps.EqualFunc(r.Parts, base.Parts, same) {
		t.Errorf("parts were %v, are %v", partsOf(base), partsOf(r))
	}
}

// TestTags: what did not change keeps its tag, so that a driver does not write it again.
func TestTags(t *testing.T) {
	base := stored(1, "state", `{"a":1}`, "full_conversations", `[1]`, "compact_conversations", `[1]`, "mcp_servers", `{}`)
	f := fold(base, foldTime)
	for i, m := range []Mutation{
		{Kind: Merge, Payload: []byte(`{"a":2}`)},
		{Kind: Merge, Part: PartMCPServers, Payload: []byte(`{"a":2}`)},
		{Kind: Merge, Part: PartMCPServers, Payload: []byte(`{"a":null}`)},
		{Kind: Put, Part: PartCompactConversations, Payload: []byte(`[1]`)},
	} {
		if _, err := f.apply(m, nil); err != nil {
			t.Fatal(i, err)
		}
	}
	r := f.result()
	for name, want := range map[PartName]string{PartState: "", PartFullConversations: "tag of full_conversations", PartCompactConversations: "tag of compact_conversations", PartMCPServers: "tag of mcp_servers"} {
		if got := r.Parts[name].Tag; got != want {
			t.Errorf("%s has tag %q, want %q", name, got, want)
		}
	}
	if string(base.Parts[PartState].Data) != `{"a":1}` {
		t.Error("the record that the batch began with has changed")
	}
}

// TestBatch: each mutation sees what those before it did, and a rejected one in between leaves no trace.
func TestBatch(t *testing.T) {
	f := fold(nothing(), foldTime)
	payload := []byte(`{"n":[]}`)
	if _, err := f.apply(Mutation{Kind: Put, Payload: payload}, nil); err != nil {
		t.Fatal(err)
	}
	copy(payload, "XXXXXXXX")
	for i := range 100 {
		if _, err := f.apply(Mutation{Kind: Append, Path: "/n", Payload: fmt.Append(nil, i)}, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := f.apply(Mutation{Kind: Patch, Payload: []byte(`[{"op":"remove","path":"/n/0"},{"op":"add","path":"/m","value":1},{"op":"remove","path":"/o"}]`)}, nil); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
	}
	r := f.result()
	if got := string(r.Parts[PartState].Data); !strings.HasPrefix(got, `{"n":[0,1,2,`) || !strings.HasSuffix(got, `,99]}`) {
		t.Error(got)
	}
	if r.Version != 101 {
		t.Errorf("version is %d", r.Version)
	}
	if again := f.result(); fmt.Sprint(partsOf(again)) != fmt.Sprint(partsOf(r)) {
		t.Error("a second result is different")
	}
}

// TestDestroyWithinBatch: what comes after the end begins anew, and the version goes on.
func TestDestroyWithinBatch(t *testing.T) {
	f := fold(stored(5, "state", `{"a":1}`), foldTime)
	for i, m := range []Mutation{
		{ID: "1", Kind: Enqueue, Payload: []byte(`{"callback":"work"}`)},
		{ID: "2", Kind: Initialize, Payload: []byte(`{}`)},
		{ID: "3", Kind: Destroy},
		{ID: "4", Kind: Put, Payload: []byte(`{"b":1}`), Expected: pointerTo[int64](0)},
		{ID: "5", Kind: Merge, Payload: []byte(`{"c":1}`), Expected: pointerTo[int64](9)},
	} {
		if _, err := f.apply(m, nil); err != nil {
			t.Fatal(i, err)
		}
	}
	r := f.result()
	if got := fmt.Sprint(partsOf(r)); got != `map[state:{"b":1,"c":1}]` || r.Version != 10 || r.Initialized || !r.AlarmAt.IsZero() || !r.CreatedAt.Equal(foldTime.Truncate(time.Microsecond)) {
		t.Errorf("%s %+v", got, r.Head)
	}
}

// TestLimits: what would be too large is rejected alone, and measured without writing it.
func TestLimits(t *testing.T) {
	text := func(n int) []byte { return []byte(`"` + strings.Repeat("x", n-2) + `"`) }
	f := fold(nothing(), foldTime)
	put := func(name PartName, data []byte) error {
		_, err := f.apply(Mutation{Kind: Put, Part: name, Payload: data}, nil)
		return err
	}
	if err := put(PartState, text(MaxPart)); err != nil {
		t.Errorf("as large as may be: %v", err)
	}
	if err := put(PartState, text(MaxPart+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a byte more: %v", err)
	}
	if err := put(PartState, []byte(`{"a":[]}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.apply(Mutation{Kind: Append, Path: "/a", Payload: text(MaxPart - len(`{"a":[]}`))}, nil); err != nil {
		t.Errorf("grown as large as may be: %v", err)
	}
	if _, err := f.apply(Mutation{Kind: Merge, Payload: []byte(`{"b":1}`)}, nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("grown further: %v", err)
	}
	array := func(n int) []byte { return append(append([]byte("["), text(n-2)...), ']') }
	for _, name := range []PartName{PartFullConversations, PartCompactConversations} {
		if err := put(name, array(MaxPart)); err != nil {
			t.Fatal(err)
		}
	}
	rest := MaxRecord - 3*MaxPart
	server := func(n int) []byte { return append(append([]byte(`{"":`), text(n-5)...), '}') }
	if err := put(PartMCPServers, server(rest+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("all parts a byte over: %v", err)
	}
	if err := put(PartMCPServers, server(rest)); err != nil {
		t.Errorf("all parts as large as may be: %v", err)
	}
	if r := f.result(); r.Size() != MaxRecord || r.Version != 6 {
		t.Errorf("%d bytes, version %d", r.Size(), r.Version)
	}
}

// TestDamagedPart: a part that no commit of ours wrote is reported, and can still be replaced.
func TestDamagedPart(t *testing.T) {
	f := fold(stored(1, "state", `{"a":`, "jobs", `[{"id":7}]`), foldTime)
	if _, err := f.apply(Mutation{Kind: Merge, Payload: []byte(`{"b":1}`)}, nil); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "stored part state") {
		t.Error(err)
	}
	if _, err := f.apply(Mutation{Kind: Enqueue, Payload: []byte(`{"callback":"b"}`)}, nil); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "stored jobs") {
		t.Error(err)
	}
	if _, err := f.apply(Mutation{Kind: Put, Payload: []byte(`1`)}, nil); err != nil {
		t.Error(err)
	}
}
