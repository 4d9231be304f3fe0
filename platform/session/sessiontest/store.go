package sessiontest

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"vibesdk-gcp/platform/session"
)

// quietLog keeps the warnings of drivers that fail on purpose out of the output.
var quietLog = slog.New(slog.DiscardHandler)

func (w *world) store(d session.Driver) *session.Store {
	return session.NewStore(d, session.Options{Logger: quietLog})
}

// uncached is a store that looks at what is stored before each batch, as one in another process that begins.
func (w *world) uncached(d session.Driver) *session.Store {
	return session.NewStore(d, session.Options{Logger: quietLog, CacheBytes: -1})
}

func (w *world) apply(s *session.Store, id string, ms ...session.Mutation) []session.Outcome {
	w.Helper()
	outcomes, err := s.Apply(w.Context(), id, ms)
	if err != nil {
		w.Fatalf("apply to %q: %v", id, err)
	}
	if len(outcomes) != len(ms) {
		w.Fatalf("%d outcomes of %d mutations", len(outcomes), len(ms))
	}
	for i, o := range outcomes {
		if o.MutationID != ms[i].ID {
			w.Fatalf("outcome %d is of %q, want %q", i, o.MutationID, ms[i].ID)
		}
		if (o.Code == session.Applied) != (o.Err == nil) {
			w.Fatalf("outcome %+v", o)
		}
	}
	return outcomes
}

// applied applies one mutation that must be accepted for the first time and returns the version.
func (w *world) applied(s *session.Store, id string, m session.Mutation) int64 {
	w.Helper()
	o := w.apply(s, id, m)[0]
	if o.Err != nil || o.Duplicate {
		w.Fatalf("%s: %+v, want it applied", m.ID, o)
	}
	return o.Version
}

func (w *world) rejected(s *session.Store, id string, m session.Mutation, code session.Code, err error) session.Outcome {
	w.Helper()
	o := w.apply(s, id, m)[0]
	if o.Code != code || !errors.Is(o.Err, err) || o.Duplicate {
		w.Fatalf("%s: %+v, want %v", m.ID, o, err)
	}
	return o
}

// again applies a mutation that was decided before: it must have the outcome that it had, and nothing must be written.
func (w *world) again(s *session.Store, id string, m session.Mutation, had session.Outcome) {
	w.Helper()
	before := w.head(s, id)
	o := w.apply(s, id, m)[0]
	if !o.Duplicate || o.Code != had.Code || o.Version != had.Version || !o.At.Equal(had.At) || o.Ref != had.Ref ||
		fmt.Sprint(o.Err) != fmt.Sprint(had.Err) || !errors.Is(o.Err, had.Code.Err()) {
		w.Fatalf("%s again: %+v, want the duplicate of %+v", m.ID, o, had)
	}
	if d := headDifference(before, w.head(s, id)); d != "" {
		w.Fatalf("a duplicate wrote: %s", d)
	}
}

func (w *world) head(s *session.Store, id string) session.Head {
	w.Helper()
	r, err := s.Load(w.Context(), id)
	if err != nil {
		w.Fatalf("load %q: %v", id, err)
	}
	return r.Head
}

// line adds its id to the conversation, so that what was applied can be read off.
func line(id string) session.Mutation {
	return session.Mutation{ID: id, Kind: session.Append, Part: session.PartFullConversations, Payload: []byte(fmt.Sprintf("%q", id))}
}

func put(id, state string) session.Mutation {
	return session.Mutation{ID: id, Kind: session.Put, Payload: []byte(state)}
}

// lines are the ids that were added, in order.
func (w *world) lines(s *session.Store, id string) []string {
	w.Helper()
	r, err := s.Get(w.Context(), id)
	if err != nil {
		w.Fatalf("get %q: %v", id, err)
	}
	list, err := linesOf(r)
	if err != nil {
		w.Fatal(err)
	}
	return list
}

func linesOf(r *session.Record) ([]string, error) {
	var list []string
	if p, ok := r.Parts[session.PartFullConversations]; ok {
		if err := json.Unmarshal(p.Data, &list); err != nil {
			return nil, fmt.Errorf("conversation %.200q: %w", p.Data, err)
		}
	}
	return list, nil
}

func mutationsChangeTheRecord(w *world) {
	one, two := w.store(w.open()), w.store(w.open())
	start := time.Now().Add(-time.Minute)
	outcomes := w.apply(one, "s",
		session.Mutation{ID: "begin", Kind: session.Initialize, Payload: []byte(`{"a":1, "x":1e400}`)},
		session.Mutation{ID: "merge", Kind: session.Merge, Payload: []byte(`{"b":{"c":[]}}`)},
		session.Mutation{ID: "append", Kind: session.Append, Path: "/b/c", Payload: []byte(`"é"`)},
		session.Mutation{ID: "patch", Kind: session.Patch, Payload: []byte(`[{"op":"remove","path":"/a"}]`)},
		session.Mutation{ID: "no", Kind: session.Patch, Payload: []byte(`[{"op":"remove","path":"/a"}]`)},
		line("talk"),
		session.Mutation{ID: "again", Kind: session.Initialize, Payload: []byte(`{}`)},
		session.Mutation{ID: "bad", Kind: session.Put, Payload: []byte(`{`)},
		session.Mutation{ID: "what", Kind: 99, Payload: []byte(`1`)},
	)
	codes := []session.Code{session.Applied, session.Applied, session.Applied, session.Applied, session.RejectedNotFound,
		session.Applied, session.RejectedInitialized, session.RejectedInvalid, session.RejectedInvalid}
	versions := []int64{1, 2, 3, 4, 4, 5, 5, 5, 5}
	for i, o := range outcomes {
		if o.Code != codes[i] || o.Version != versions[i] || o.Duplicate || !errors.Is(o.Err, codes[i].Err()) || o.At.Before(start) {
			w.Errorf("outcome %d is %+v, want code %s at version %d", i, o, codes[i], versions[i])
		}
	}
	r, err := two.Get(w.Context(), "s")
	if err != nil {
		w.Fatal(err)
	}
	state, _ := r.State()
	if want := `{ "x":1e400,"b":{"c":["é"]}}`; string(state) != want && string(state) != `{"x":1e400,"b":{"c":["é"]}}` {
		w.Errorf("state is %s, want %s", state, want)
	}
	if r.Version != 5 || r.Commit != 1 || !r.Initialized || !r.Present || r.Ring.Len() != 9 || !r.ExpiresAt.IsZero() {
		w.Errorf("head %+v with %d entries", r.Head, r.Ring.Len())
	}
	for i, e := range r.Ring.Entries() {
		if e.Code != codes[i] || e.Version != versions[i] || e.Commit != 1 {
			w.Errorf("entry %d is %+v", i, e)
		}
	}
	if none, err := one.Apply(w.Context(), "s", nil); len(none) != 0 || err != nil {
		w.Errorf("apply of nothing: %v, %v", none, err)
	}
	if _, err := one.Get(w.Context(), "nothing"); !errors.Is(err, session.ErrNotFound) {
		w.Errorf("get of nothing: %v", err)
	}
	if _, err := one.Load(w.Context(), "nothing"); !errors.Is(err, session.ErrNotFound) {
		w.Errorf("reading made a record: %v", err)
	}
}

func unusableIDsChangeNothing(w *world) {
	s := w.store(w.open())
	long := string(make([]byte, session.MaxID+1))
	for _, id := range []string{"", long, "a\nb", "a\x00", "\xff", "\u0085"} {
		if _, err := s.Apply(w.Context(), id, []session.Mutation{put("m", "1")}); !errors.Is(err, session.ErrInvalid) {
			w.Errorf("apply to session %q: %v, want ErrInvalid", id, err)
		}
		if _, err := s.Get(w.Context(), id); !errors.Is(err, session.ErrInvalid) {
			w.Errorf("get of session %q: %v, want ErrInvalid", id, err)
		}
		w.rejected(s, "s", put(id, "1"), session.RejectedInvalid, session.ErrInvalid)
	}
	if _, err := s.Load(w.Context(), "s"); !errors.Is(err, session.ErrNotFound) {
		w.Errorf("unusable ids of mutations were stored: %v", err)
	}
	// Beside them the others are applied.
	outcomes := w.apply(s, "s", put("", "1"), line("fine"), put(long, "1"))
	if outcomes[1].Err != nil || w.head(s, "s").Version != 1 {
		w.Errorf("beside unusable ids: %+v", outcomes[1])
	}
}

func duplicatesAreRecognised(w *world) {
	one, two := w.store(w.open()), w.uncached(w.open())
	outcomes := w.apply(one, "s", line("a"), line("b"), session.Mutation{ID: "no", Kind: session.Patch, Part: session.PartMCPServers, Payload: []byte(`[]`)})
	for _, s := range []*session.Store{one, two} {
		w.again(s, "s", line("a"), outcomes[0])
		w.again(s, "s", line("b"), outcomes[1])
		w.again(s, "s", session.Mutation{ID: "no", Kind: session.Patch, Part: session.PartMCPServers, Payload: []byte(`[]`)}, outcomes[2])
	}
	// Mixed with new ones, and twice in one batch.
	mixed := w.apply(two, "s", line("b"), line("c"), line("c"), line("a"), line("d"), line("c"))
	for i, want := range []struct {
		version   int64
		duplicate bool
	}{{2, true}, {3, false}, {3, true}, {1, true}, {4, false}, {3, true}} {
		if o := mixed[i]; o.Err != nil || o.Version != want.version || o.Duplicate != want.duplicate {
			w.Errorf("outcome %d is %+v, want version %d, duplicate %v", i, o, want.version, want.duplicate)
		}
	}
	if got := w.lines(one, "s"); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
		w.Errorf("applied were %v", got)
	}
	if n, err := one.Decided(w.Context(), "s", line("c")); err != nil || !n.Duplicate || n.Version != 3 {
		w.Errorf("Decided: %+v, %v", n, err)
	}
	if _, err := one.Decided(w.Context(), "s", line("e")); !errors.Is(err, session.ErrNotFound) {
		w.Errorf("Decided of what nobody applied: %v", err)
	}
}

// ringForgetsAtItsEdge: what is remembered and what not is exact.
func ringForgetsAtItsEdge(w *world) {
	one, two := w.store(w.open()), w.uncached(w.open())
	fill := func(id, prefix string, n, call int) {
		for done := 0; done < n; {
			k := min(call, n-done)
			ms := make([]session.Mutation, k)
			for i := range ms {
				ms[i] = put(fmt.Sprint(prefix, done+i), "1")
			}
			w.apply(one, id, ms...)
			done += k
		}
	}
	w.applied(one, "size", put("edge", `"edge"`))
	fill("size", "f", session.RingSize-1, 114)
	for _, s := range []*session.Store{one, two} {
		if o := w.apply(s, "size", put("edge", `"edge"`))[0]; !o.Duplicate || o.Version != 1 {
			w.Fatalf("the last of %d mutations is forgotten: %+v", session.RingSize, o)
		}
	}
	fill("size", "g", 1, 1)
	if o := w.apply(two, "size", put("edge", `"edge"`))[0]; o.Duplicate || o.Version != session.RingSize+2 {
		w.Fatalf("more than %d mutations are remembered: %+v", session.RingSize, o)
	}

	w.applied(one, "commits", put("edge", `"edge"`))
	fill("commits", "f", (session.RingCommits-1)*session.MaxBatch, session.MaxBatch)
	for _, s := range []*session.Store{one, two} {
		if o := w.apply(s, "commits", put("edge", `"edge"`))[0]; !o.Duplicate || o.Version != 1 {
			w.Fatalf("a mutation of the last %d commits is forgotten: %+v", session.RingCommits, o)
		}
	}
	fill("commits", "g", 1, 1)
	if o := w.apply(two, "commits", put("edge", `"edge"`))[0]; o.Duplicate {
		w.Fatalf("more than %d commits are remembered: %+v", session.RingCommits, o)
	}
}

func reusedIDsAreRefused(w *world) {
	one, two := w.store(w.open()), w.uncached(w.open())
	version := int64(0)
	first := session.Mutation{ID: "m", Kind: session.Put, Payload: []byte("[]")}
	w.applied(one, "s", first)
	other := map[string]session.Mutation{
		"payload":  {ID: "m", Kind: session.Put, Payload: []byte("[ ]")},
		"kind":     {ID: "m", Kind: session.Merge, Payload: []byte("[]")},
		"part":     {ID: "m", Kind: session.Put, Part: session.PartFullConversations, Payload: []byte("[]")},
		"path":     {ID: "m", Kind: session.Put, Path: "/a", Payload: []byte("[]")},
		"expected": {ID: "m", Kind: session.Put, Expected: &version, Payload: []byte("[]")},
		"cloneOf":  {ID: "m", Kind: session.Put, CloneOf: "t", Payload: []byte("[]")},
	}
	for field, m := range other {
		for _, s := range []*session.Store{one, two} {
			o := w.apply(s, "s", m)[0]
			if !errors.Is(o.Err, session.ErrIDReused) {
				w.Errorf("another %s under the same id: %+v, want ErrIDReused", field, o)
			}
			if o, err := s.Decided(w.Context(), "s", m); err != nil || !errors.Is(o.Err, session.ErrIDReused) {
				w.Errorf("another %s under the same id: Decided says %+v, %v", field, o, err)
			}
		}
	}
	same := first
	same.Part = session.PartState
	if o := w.apply(two, "s", same)[0]; !o.Duplicate || o.Err != nil {
		w.Errorf("the part by its name: %+v, want a duplicate", o)
	}
	if h := w.head(one, "s"); h.Commit != 1 || h.Version != 1 {
		w.Errorf("reused ids wrote: %+v", h)
	}
	batch := w.apply(one, "s", put("n", "1"), put("n", "2"))
	if batch[0].Err != nil || !errors.Is(batch[1].Err, session.ErrIDReused) {
		w.Errorf("one id twice in a batch: %+v", batch)
	}
}

func expectedIsCompared(w *world) {
	one, two := w.store(w.open()), w.store(w.open())
	at := func(m session.Mutation, version int64) session.Mutation {
		m.Expected = &version
		return m
	}
	w.rejected(one, "s", at(line("early"), 1), session.RejectedConflict, session.ErrConflict)
	if h := w.head(two, "s"); h.Present || h.Version != 0 || h.Commit != 1 || h.ExpiresAt.IsZero() {
		w.Errorf("after only a rejection: %+v", h)
	}
	if _, err := two.Get(w.Context(), "s"); !errors.Is(err, session.ErrNotFound) {
		w.Errorf("a session of only rejections is found: %v", err)
	}
	w.applied(one, "s", at(line("a"), 0))
	w.rejected(two, "s", at(line("b"), 0), session.RejectedConflict, session.ErrConflict)
	w.applied(two, "s", at(line("c"), 1))
	late := w.rejected(one, "s", at(line("d"), 1), session.RejectedConflict, session.ErrConflict)
	w.again(two, "s", at(line("d"), 1), late)
	// A rejection changes the commit, not the version.
	w.applied(one, "s", at(line("e"), 2))
	chain := w.apply(one, "s", at(line("f"), 3), at(line("g"), 4), at(line("h"), 4), at(line("i"), 5))
	for i, code := range []session.Code{session.Applied, session.Applied, session.RejectedConflict, session.Applied} {
		if chain[i].Code != code {
			w.Errorf("mutation %d of a chain: %+v", i, chain[i])
		}
	}
	if got := w.lines(two, "s"); !slices.Equal(got, []string{"a", "c", "e", "f", "g", "i"}) {
		w.Errorf("applied were %v", got)
	}
}

// rejectionsAreReconsidered only for a person who sends them again.
func rejectionsAreReconsidered(w *world) {
	one, two := w.store(w.open()), w.store(w.open())
	patch := session.Mutation{ID: "p", Kind: session.Patch, Payload: []byte(`[{"op":"test","path":"/ready","value":true},{"op":"add","path":"/n","value":1}]`)}
	w.applied(one, "s", put("begin", `{"ready":false}`))
	had := w.rejected(one, "s", patch, session.RejectedInvalid, session.ErrInvalid)
	w.again(two, "s", patch, had)
	w.applied(two, "s", put("mend", `{"ready":true}`))
	w.again(one, "s", patch, had)
	patch.Replay = 1
	w.applied(one, "s", patch)
	for replay := range 4 {
		patch.Replay = replay
		for _, s := range []*session.Store{one, two} {
			// The other store's cache remembers the rejection.
			if o := w.apply(s, "s", patch)[0]; !o.Duplicate || o.Err != nil || o.Version != 3 {
				w.Errorf("replay %d after it was applied: %+v", replay, o)
			}
		}
	}
	if r, err := two.Get(w.Context(), "s"); err != nil || string(r.Parts[session.PartState].Data) != `{"ready":true,"n":1}` || r.Version != 3 {
		w.Errorf("%+v, %v", r, err)
	}
}
