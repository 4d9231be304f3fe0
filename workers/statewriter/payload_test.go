package statewriter_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/schemas/gen"
	"vibesdk-gcp/workers/statewriter"
)

func byReference(id, address string) events.Message {
	return message(&gen.StateMutation{MutationId: id, SessionId: "s", Kind: gen.StateMutation_PUT, PayloadUri: address})
}

func newWorldWith(t *testing.T, payloads statewriter.Payloads) *world {
	t.Helper()
	return newWorld(t, func(o *statewriter.Options) { o.Payloads = payloads })
}

func TestPayloadsByReference(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	w := newWorldWith(t, f)
	large := `{"text":"` + strings.Repeat("x", 5<<20) + `", "n":1.0}`
	wantErrors(t, w.handle(t.Context(), put("m0", "0"), byReference("m1", f.put(t, "large", large))), "", "")
	if got := w.state(t, "s"); got.Parts["state"] != large || got.Version != 2 {
		t.Errorf("the state has %d bytes at version %d, want %d", len(got.Parts["state"]), got.Version, len(large))
	}
	// The same mutation is a duplicate whether it is by reference or not.
	small := f.put(t, "small", "7")
	wantErrors(t, w.handle(t.Context(), byReference("m2", small), put("m2", "7"), byReference("m2", small)), "", "", "")
	if got := w.state(t, "s"); got.Parts["state"] != "7" || got.Version != 3 {
		t.Errorf("after duplicates: %+v", got)
	}
}

func TestPayloadsThatCannotBeHad(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	w := newWorldWith(t, f)
	run := []events.Message{
		put("m0", "0"),
		byReference("gone", f.address("gone")),
		byReference("elsewhere", "file:///etc/hostname"),
		byReference("cloud", "gs://bucket/object"),
		byReference("large", f.put(t, "large", `"`+strings.Repeat("x", session.MaxPart)+`"`)),
		byReference("text", f.put(t, "text", "not JSON")),
		byReference("empty", f.put(t, "empty", "")),
		put("m1", "1"),
	}
	wantErrors(t, w.handle(t.Context(), run...), "", "parked: mutation gone: payload not found", "parked: mutation elsewhere: payload address refused",
		"parked: mutation cloud: payload address refused", "parked: mutation large: payload too large", "parked: mutation text: ", "parked: mutation empty: ", "")
	if got := w.state(t, "s"); got.Parts["state"] != "1" || got.Version != 2 {
		t.Errorf("the rest of the run left %+v", got)
	}
}

// TestAnImportMayBeLarger than a part.
func TestAnImportMayBeLarger(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	w := newWorldWith(t, f)
	part := `"` + strings.Repeat("x", session.MaxPart-2) + `"`
	address := f.put(t, "import", fmt.Sprintf(`{"initialized":true,"parts":{"state":%s,"full_conversations":["more"]}}`, part))
	m := message(&gen.StateMutation{MutationId: "i", SessionId: "s", Kind: gen.StateMutation_IMPORT, PayloadUri: address})
	wantErrors(t, w.handle(t.Context(), m), "")
	if got := w.state(t, "s"); got.Parts["state"] != part {
		t.Errorf("the state has %d bytes, want %d", len(got.Parts["state"]), len(part))
	}
}

// TestPayloadsOutOfReachAreReadAgain in place, without giving the run back.
func TestPayloadsOutOfReachAreReadAgain(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.fails = func(read int) error {
		if read < 4 {
			return errors.New("storage is away")
		}
		return nil
	}
	w := newWorldWith(t, f)
	wantErrors(t, w.handle(t.Context(), byReference("m0", f.put(t, "o", "7"))), "")
	if got := w.state(t, "s"); got.Parts["state"] != "7" || f.reads != 4 {
		t.Errorf("after %d reads: %+v", f.reads, got)
	}
}

// TestAPayloadThatIsLate is found when it comes between two looks.
func TestAPayloadThatIsLate(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.fails = func(read int) error {
		if read < 3 {
			return statewriter.ErrPayloadNotFound
		}
		return nil
	}
	w := newWorldWith(t, f)
	wantErrors(t, w.handle(t.Context(), byReference("m0", f.put(t, "o", "7"))), "")
}

// TestWhatIsBehindAnUnreadablePayloadWaits: what is before it is applied, what is behind it must not overtake it.
func TestWhatIsBehindAnUnreadablePayloadWaits(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	away := true
	f.fails = func(int) error {
		if away {
			return errors.New("storage is away")
		}
		return nil
	}
	w := newWorldWith(t, f)
	run := []events.Message{put("m0", `0`), byReference("m1", f.put(t, "o", `{"list":[]}`)), add("m2"), add("m3")}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	wantErrors(t, w.handle(ctx, run...), "", "again: storage is away", "again: storage is away", "again: storage is away")
	if got := w.state(t, "s"); got.Parts["state"] != "0" || got.Version != 1 {
		t.Errorf("after the first delivery: %+v", got)
	}
	away = false
	wantErrors(t, w.handle(t.Context(), run[1:]...), "", "", "")
	if got := w.state(t, "s").Parts["state"]; got != `{"list":["m2","m3"]}` {
		t.Errorf("state is %s", got)
	}
}

// TestManyLargePayloads of one run are not held in memory together.
func TestManyLargePayloads(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	w := newWorldWith(t, f)
	large := f.put(t, "large", `{"list":[],"text":"`+strings.Repeat("x", 9<<20)+`"}`)
	var run []events.Message
	want := []string{}
	for i := range 4 {
		run = append(run, byReference(fmt.Sprint("m", i), large), add(fmt.Sprint("a", i)))
		want = append(want, "", "")
	}
	wantErrors(t, w.handle(t.Context(), run...), want...)
	rec, err := w.Store.Get(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	if rec.Version != 8 || rec.Commit != 2 || !strings.HasPrefix(string(rec.Parts[session.PartState].Data), `{"list":["a3"]`) {
		t.Errorf("version %d, %d commits for 36 MB in pieces of 32: %.40s", rec.Version, rec.Commit, rec.Parts[session.PartState].Data)
	}
}
