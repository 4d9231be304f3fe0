package sessiontest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"vibesdk-gcp/platform/session"
)

func nothingIsNotFound(w *world) {
	d := w.open()
	w.absent(d, "nothing")
	w.commit(d, beginning("something", texts{session.PartState: "{}"}))
	w.absent(d, "nothing")
	if _, err := d.Load(w.Context(), "nothing", beginning("nothing", nil)); !errors.Is(err, session.ErrNotFound) {
		w.Errorf("load of nothing with a known record: %v, want ErrNotFound", err)
	}
}

func everyFieldComesBack(w *world) {
	one, two := w.open(), w.open()
	full := beginning("full", nil)
	full.Version = 1<<53 + 1 // more than a float64 holds
	full.Initialized = true
	full.CreatedAt = time.Date(1999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	full.UpdatedAt = epoch.Add(time.Microsecond)
	full.ExpiresAt = time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	full.AlarmAt = epoch.Add(7 * time.Microsecond)
	full.Ring = session.NewRing(entries(3000))
	for i, name := range allParts {
		full.Parts[name] = session.Part{Data: []byte(fmt.Sprintf(`[%d, %q]`, i, name))}
	}
	stored := w.commit(one, full)
	w.same("the full record", full, w.load(two, "full", nil))

	// Everything back to nothing: a driver must not leave what was there before.
	bare := &session.Record{Head: session.Head{ID: "full", Commit: 2, Version: full.Version + 1, UpdatedAt: epoch}, Tag: stored.Tag}
	stored = w.commit(one, bare)
	w.same("the bare record", bare, w.load(two, "full", nil))

	// And on from there, on the other handle.
	again := after(stored, texts{session.PartState: "null", session.PartTables: `""`})
	again.Present = true
	w.commit(two, again)
	w.same("the record begun again", again, w.load(one, "full", stored))
}

// entries fills a ring beyond its usual size.
func entries(n int) []session.Entry {
	random := rand.New(rand.NewPCG(1, 2))
	list := make([]session.Entry, n)
	for i := range list {
		list[i] = session.Entry{
			Hash: random.Uint64(), Sum: random.Uint32(), Kind: session.Kind(1 + i%14), Code: session.Code(1 + i%6),
			Commit: 1, Version: int64(i/6) + 1, At: epoch, Replay: i % 2, Ref: strings.Repeat("é", i%5), Reason: strings.Repeat("why ", i%7),
		}
	}
	return list
}

// awkward are JSON texts that a store which parses them would change.
var awkward = map[string]string{
	"unknown fields":      `{"b":1,"a":{"$date":"x","__proto__":null},"toString":[]}`,
	"numbers":             `[1e400, 1.0, 1, -0, 0e0, 12345678901234567890.123, 1E+2, 0.1000]`,
	"duplicate keys":      `{"a":1,"a":2,"a":1}`,
	"escapes":             `{"\u0061":"\u00e9\uD83D\uDE00\/\b\u0000"}`,
	"html":                `"<a href='x'>&amp;</a>"`,
	"line separators":     "\"\u2028\u2029\"",
	"whitespace":          " \t\r\n{ \"a\" :\n[ ] }\n ",
	"empty key":           `{"":{"":""}}`,
	"nested arrays":       strings.Repeat("[", 200) + strings.Repeat("]", 200),
	"arrays in arrays":    `[[1,[2,[3]]],[[]]]`,
	"null":                `null`,
	"a word":              `true`,
	"a string":            `""`,
	"lone surrogate":      `"\ud800"`,
	"dots and slashes":    `{"a.b":{"c/d":1,"~0":2,"$x":3,"__name__":4}}`,
	"field path spelling": "{\"`a`\":1,\"a[0]\":2,\"*\":3}",
	"unicode":             `{"日本語":"\u65e5本語 🏳️‍🌈 ` + "\u0301" + `"}`,
	"long key":            `{"` + strings.Repeat("k", 2000) + `":1}`,
}

func everyByteComesBack(w *world) {
	one, two := w.open(), w.open()
	for name, text := range awkward {
		r := beginning("bytes of "+name, nil)
		for _, part := range allParts {
			r.Parts[part] = session.Part{Data: []byte(text)}
		}
		w.commit(one, r)
		w.same(name, r, w.load(two, r.ID, nil))
	}
}

// ids are texts that differ, if only a little, and that a store may take for a path, a pattern or a reserved word.
func ids() []string {
	list := []string{
		"a", "A", "b", ".", "..", "...", "a.", "a/b", "a//b", "/", "//", "a/", "/a", "../a", "%2F", "a%2Fb", "%", "%%", "a%", "%41",
		"__x__", "__", "____", "_", "__id7__", " ", "  ", "a ", " a", "a b", "user@example.com", "a:b", "a;b", "a,b", "a\\b", "a'b", `a"b`, "a`b",
		"a?b", "a#b", "a&b=c", "a*b", "a_b", "axb", "a-b", "a~b", "~", "a+b", "a|b", "[a]", "{a}", "(a)", "<a>", "$a", "^a", "!a", "null", "0", "00", "-1", "1e3",
		"é", "e\u0301", "ß", "ss", "İ", "i", "I", "日本語", "日本", "🏳️‍🌈", "🏳", "\u200b", "a\u200b", "\ufeff", "\u00a0", "\u2028", "\U0010ffff", "\uffff",
		"constructor", "__proto__", "toString",
		strings.Repeat("x", session.MaxID), strings.Repeat("x", session.MaxID-1), strings.Repeat("x", session.MaxID-1) + "y",
		strings.Repeat("/", session.MaxID), strings.Repeat(".", session.MaxID), strings.Repeat("é", session.MaxID/2), strings.Repeat("🏳", session.MaxID/4),
		strings.Repeat("%", session.MaxID), strings.Repeat("_", session.MaxID),
	}
	return list
}

func everyIDIsItsOwn(w *world) {
	one, two := w.open(), w.open()
	for _, id := range ids() {
		w.absent(one, id)
		w.commit(one, beginning(id, texts{session.PartState: fmt.Sprintf("%q", id)}))
	}
	for _, id := range ids() {
		r := w.load(two, id, nil)
		w.same("id", beginning(id, texts{session.PartState: fmt.Sprintf("%q", id)}), r)
		w.commit(two, after(r, nil))
	}
	want := map[string]bool{}
	for _, id := range ids() {
		want[id] = true
	}
	for _, limit := range []int{1000, 7} {
		seen := map[string]bool{}
		for _, h := range w.pages(one, session.Query{Limit: limit}) {
			if !want[h.ID] || seen[h.ID] {
				w.Errorf("pages of %d: %q is listed, and was before: %v", limit, h.ID, seen[h.ID])
			}
			seen[h.ID] = true
		}
		if len(seen) != len(want) {
			w.Errorf("pages of %d list %d of %d ids", limit, len(seen), len(want))
		}
	}
	if err := one.Remove(w.Context(), "a", 2); err != nil {
		w.Fatal(err)
	}
	for _, id := range ids()[1:] {
		if r := w.load(two, id, nil); r.Commit != 2 {
			w.Errorf("%q has commit %d after another was removed", id, r.Commit)
		}
	}
}

// text is a JSON string of n to n+20 bytes that is told apart by its seed, and hard to compress.
func text(seed uint64, n int) string {
	random := rand.New(rand.NewPCG(seed, 99))
	b := make([]byte, 1, n+20)
	b[0] = '"'
	for len(b) < n {
		b = strconv.AppendUint(b, random.Uint64(), 36)
	}
	return string(append(b, '"'))
}

func largeRecordsComeBack(w *world) {
	one, two := w.open(), w.open()
	state := w.commit(one, beginning("large", texts{session.PartState: text(1, 5<<20)}))
	w.same("a state of 5 MiB", state, w.load(two, "large", nil))

	// A large part that nobody touches costs the others nothing and stays.
	small := w.commit(one, after(state, texts{session.PartMCPServers: "{}"}))
	w.same("a small part beside a large one", small, w.load(two, "large", state))

	whole := w.commit(two, after(small, texts{
		session.PartState: text(2, 10<<20-100), session.PartFullConversations: text(3, 10<<20-100), session.PartCompactConversations: text(4, 10<<20-100),
	}))
	w.same("a record of 30 MiB", whole, w.load(one, "large", small))
	w.same("a record of 30 MiB", whole, w.load(two, "large", nil))

	back := w.commit(one, after(without(without(whole, session.PartFullConversations), session.PartCompactConversations), texts{session.PartState: "1"}))
	w.same("a record that became small", back, w.load(two, "large", whole))
}

// oversizeIsRefusedOrStored gives a driver more than the store ever would.
func oversizeIsRefusedOrStored(w *world) {
	d := w.open()
	stored := w.commit(d, beginning("oversize", texts{session.PartState: "1"}))
	next := after(stored, texts{
		session.PartState: text(1, 11<<20), session.PartFullConversations: text(2, 11<<20),
		session.PartCompactConversations: text(3, 11<<20), session.PartTables: text(4, 11<<20),
	})
	switch _, err := d.Commit(w.Context(), next); {
	case err == nil:
		w.same("an oversized record", next, w.load(d, "oversize", nil))
	case errors.Is(err, session.ErrTooLarge):
		w.same("what is stored after a refusal", stored, w.load(d, "oversize", nil))
		w.commit(d, after(stored, texts{session.PartState: "2"}))
	default:
		w.Fatalf("a record of 44 MiB: %v, want ErrTooLarge or none", err)
	}
}
