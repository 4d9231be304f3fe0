package jsondoc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"pgregory.net/rapid"
)

// keys are few, so that paths meet; more than wide of them, so that indexes are built.
var keys = func() []string {
	out := []string{"a", "b", "c", "", "~", "/", "é", "0", "-"}
	for i := range 20 {
		out = append(out, fmt.Sprint("k", i))
	}
	return out
}()

var (
	blanks   = rapid.SampledFrom([]string{"", "", "", " ", "\n  "})
	scalars  = rapid.SampledFrom([]string{`null`, `true`, `false`, `0`, `1`, `1.0`, `-2e3`, `""`, `"x"`, `"\u0041\n"`, `"é😀"`, `"\ud83d\ude00"`})
	keyTexts = rapid.Custom(func(t *rapid.T) string {
		key := rapid.SampledFrom(keys).Draw(t, "key")
		if key == "a" && rapid.Bool().Draw(t, "escaped") {
			return `"\u0061"`
		}
		return string(Quote(key))
	})
)

// texts draws JSON with white space, odd spellings and, if twins, members with the same key.
func texts(depth int, twins bool) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		kind := rapid.IntRange(0, 3).Draw(t, "kind")
		if depth == 0 || kind == 0 {
			return scalars.Draw(t, "scalar")
		}
		most := 4
		if rapid.IntRange(0, 9).Draw(t, "wide") == 0 {
			most = 2 * wide
		}
		n := rapid.IntRange(0, most).Draw(t, "n")
		var b strings.Builder
		seen := map[string]bool{}
		open, closing := "{", "}"
		if kind == 1 {
			open, closing = "[", "]"
		}
		b.WriteString(open + blanks.Draw(t, "ws"))
		first := true
		for range n {
			key := ""
			if kind != 1 {
				key = keyTexts.Draw(t, "key")
				same := unquote([]byte(key))
				if seen[same] && !twins {
					continue
				}
				seen[same] = true
				key += blanks.Draw(t, "ws") + ":" + blanks.Draw(t, "ws")
			}
			if !first {
				b.WriteString(",")
			}
			first = false
			b.WriteString(blanks.Draw(t, "ws") + key + texts(depth-1, twins).Draw(t, "value") + blanks.Draw(t, "ws"))
		}
		return b.String() + closing
	})
}

var pointers = rapid.Custom(func(t *rapid.T) string {
	var b strings.Builder
	for range rapid.IntRange(0, 3).Draw(t, "length") {
		token := rapid.SampledFrom(append([]string{"0", "1", "2", "-", "a", "a", "b"}, keys...)).Draw(t, "token")
		b.WriteString("/" + strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1"))
	}
	return b.String()
})

// patches draws patches of up to n operations.
func patches(n int, twins bool) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		ops := make([]string, rapid.IntRange(1, n).Draw(t, "n"))
		for i := range ops {
			op := rapid.SampledFrom([]string{"add", "add", "remove", "replace", "move", "copy", "test"}).Draw(t, "op")
			path, from := string(Quote(pointers.Draw(t, "path"))), string(Quote(pointers.Draw(t, "from")))
			ops[i] = fmt.Sprintf(`{"op":%q,"path":%s,"from":%s,"value":%s}`, op, path, from, texts(2, twins).Draw(t, "value"))
		}
		return "[" + strings.Join(ops, ",") + "]"
	})
}

// TestChangesAddUp: a document that is changed again and again, with changes taken back in between, is at each step what
// a new document with the same text becomes. Thus no laziness, index or length shows.
func TestChangesAddUp(t *testing.T) { rapid.Check(t, changesAddUp) }

func FuzzChangesAddUp(f *testing.F) { f.Fuzz(rapid.MakeFuzz(changesAddUp)) }

func changesAddUp(t *rapid.T) {
	text := texts(4, true).Draw(t, "doc")
	if rapid.Bool().Draw(t, "wide") {
		text = wideTexts.Draw(t, "doc")
	}
	d, committed := mustNew2(t, text), text
	for range rapid.IntRange(1, 12).Draw(t, "steps") {
		var change func(*Doc) error
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			m := texts(3, true).Draw(t, "merge")
			change = func(d *Doc) error { return d.Merge([]byte(m)) }
		case 1:
			p := patches(4, true).Draw(t, "patch")
			change = func(d *Doc) error { return d.Patch([]byte(p)) }
		default:
			path, v := pointers.Draw(t, "path"), texts(1, true).Draw(t, "value")
			change = func(d *Doc) error { return d.Append(path, []byte(v)) }
		}
		fresh := mustNew2(t, text)
		err, want := change(d), change(fresh)
		if fmt.Sprint(err) != fmt.Sprint(want) {
			t.Fatalf("error %v, of a new document %v", err, want)
		}
		if err != nil {
			d.Rollback()
			text = committed
		} else {
			next := fresh.Bytes()
			if Check(next) != nil || len(next) != fresh.Len() {
				t.Fatalf("%s became %s (Len %d)", text, next, fresh.Len())
			}
			text = string(next)
		}
		if got := string(d.Bytes()); got != text || d.Len() != len(text) {
			t.Fatalf("got  %s (Len %d)\nwant %s", got, d.Len(), text)
		}
		switch rapid.IntRange(0, 3).Draw(t, "then") {
		case 0:
			d.Rollback()
			text = committed
		case 1:
			d.Commit()
			committed = text
		}
	}
}

// wideTexts draws objects that get an index, some with twins, with arrays for the patches to work on.
var wideTexts = rapid.Custom(func(t *rapid.T) string {
	members := []string{}
	for i, key := range rapid.Permutation(keys).Draw(t, "keys")[:wide+3] {
		members = append(members, string(Quote(key))+":"+rapid.SampledFrom([]string{"1", "[]", "[1,2]", `{"a":{}}`}).Draw(t, "value"))
		if i < 3 && rapid.Bool().Draw(t, "twin") {
			members = append(members, `"a":"twin"`, `"\u0062":[3]`)
		}
	}
	return "{" + strings.Join(members, ",") + "}"
})

func mustNew2(t *rapid.T, text string) *Doc {
	d, err := New([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return d
}

// TestMergeLikeOthers compares merges with another implementation of RFC 7396.
func TestMergeLikeOthers(t *testing.T) { rapid.Check(t, mergeLikeOthers) }

func FuzzMergeLikeOthers(f *testing.F) { f.Fuzz(rapid.MakeFuzz(mergeLikeOthers)) }

func mergeLikeOthers(t *rapid.T) {
	text, patch := texts(4, false).Draw(t, "doc"), texts(4, false).Draw(t, "patch")
	d := mustNew2(t, text)
	if err := d.Merge([]byte(patch)); err != nil {
		t.Fatal(err)
	}
	want := naiveMerge(decode(t, text), decode(t, patch))
	encoded, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if !sameLoosely(t, d.Bytes(), encoded) {
		t.Fatalf("%s + %s\ngot  %s\nwant %s", text, patch, d.Bytes(), encoded)
	}
	// The library takes objects only, and keeps nulls of patches that replace what is not an object.
	if text[0] != '{' || patch[0] != '{' || strings.Contains(patch, "null") {
		return
	}
	theirs, err := jsonpatch.MergePatch([]byte(text), []byte(patch))
	if err != nil {
		t.Fatal(err)
	}
	if !sameLoosely(t, d.Bytes(), theirs) {
		t.Fatalf("%s + %s\ngot    %s\ntheirs %s", text, patch, d.Bytes(), theirs)
	}
}

// naiveMerge is the pseudo code of RFC 7396, section 2.
func naiveMerge(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	object, ok := target.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	for key, value := range changes {
		if value == nil {
			delete(object, key)
		} else {
			object[key] = naiveMerge(object[key], value)
		}
	}
	return object
}

func decode(t *rapid.T, text string) (v any) {
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// sameLoosely compares by a way of its own: decoded by the standard library and encoded again with sorted keys.
func sameLoosely(t *rapid.T, a, b []byte) bool {
	x, err := json.Marshal(decode(t, string(a)))
	if err != nil {
		t.Fatal(err)
	}
	y, err := json.Marshal(decode(t, string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(x, y)
}

// TestPatchLikeOthers compares patches with another implementation of RFC 6902, one operation at a time.
func TestPatchLikeOthers(t *testing.T) { rapid.Check(t, patchLikeOthers) }

func FuzzPatchLikeOthers(f *testing.F) { f.Fuzz(rapid.MakeFuzz(patchLikeOthers)) }

func patchLikeOthers(t *rapid.T) {
	text, patch := texts(3, false).Draw(t, "doc"), patches(1, false).Draw(t, "patch")
	if text[0] != '{' && text[0] != '[' {
		t.Skip("the library takes containers only")
	}
	theirs, err := jsonpatch.DecodePatch([]byte(patch))
	if err != nil {
		t.Fatal(err)
	}
	path, _ := theirs[0].Path()
	from, _ := theirs[0].From()
	kind := theirs[0].Kind()
	switch {
	case path == "" || from == "" && (kind == "move" || kind == "copy"):
		t.Skip("the library has its own ideas of the whole value")
	case strings.Contains(path+"/", "//") || strings.Contains(from+"/", "//"):
		t.Skip("the library takes an empty key for the container itself")
	case kind == "test":
		t.Skip("the library compares spellings of numbers, and takes what is missing for null")
	case kind == "move" && strings.HasPrefix(path, from+"/"):
		t.Skip("the library does not refuse a move into a child")
	}
	options := jsonpatch.NewApplyOptions()
	options.SupportNegativeIndices = false
	want, theirErr := theirs.ApplyWithOptions([]byte(text), options)
	d := mustNew2(t, text)
	err = d.Patch([]byte(patch))
	if (err == nil) != (theirErr == nil) {
		t.Fatalf("%s + %s: error %v, theirs %v", text, patch, err, theirErr)
	}
	if err == nil && !sameLoosely(t, d.Bytes(), want) {
		t.Fatalf("%s + %s\ngot    %s\ntheirs %s", text, patch, d.Bytes(), want)
	}
}

func TestEqualAsDecoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := texts(3, true).Draw(t, "a")
		b := texts(3, true).Draw(t, "b")
		if rapid.Bool().Draw(t, "respelled") {
			v, err := json.Marshal(decode(t, a))
			if err != nil {
				t.Fatal(err)
			}
			b = string(v)
		}
		if got, want := Equal([]byte(a), []byte(b)), sameLoosely(t, []byte(a), []byte(b)); got != want {
			t.Fatalf("%s = %s is %v, want %v", a, b, got, want)
		}
	})
}

func TestNumbersByValue(t *testing.T) {
	number := rapid.StringMatching(`-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,4})?([eE][+-]?[0-9]{1,2})?`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		if rapid.Bool().Draw(t, "shifted") {
			mantissa, exponent, _ := strings.Cut(strings.ToLower(a), "e")
			e := 0
			fmt.Sscan(exponent, &e)
			b = fmt.Sprintf("%se%d", strings.Replace(mantissa, ".", "", 1), e)
			if _, fraction, ok := strings.Cut(mantissa, "."); ok {
				b = fmt.Sprintf("%se%d", strings.Replace(mantissa, ".", "", 1), e-len(fraction))
			}
		}
		x, okX := new(big.Rat).SetString(a)
		y, okY := new(big.Rat).SetString(b)
		if !okX || !okY {
			t.Fatal(a, b)
		}
		if got, want := equalNumbers(a, b), x.Cmp(y) == 0; got != want {
			t.Fatalf("%s = %s is %v, want %v", a, b, got, want)
		}
	})
}

func FuzzCheck(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-0.5e+7,"\u00e9\n",true,false,null]}`, `01`, `1.`, `-`, `"\x"`, "\"\x01\"", `[1,]`, `{"a"}`, ` [ ] `, "\"\xff\"", `{"a":1}}`, `truex`, `1e`, `"\u00e"`, `"\u00eg"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		err := Check(text)
		if want := json.Valid(text) && utf8.Valid(text); (err == nil) != want && bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) <= MaxDepth {
			t.Fatalf("%q: %v, the standard library says %v", text, err, want)
		}
		// Not only what was checked comes in here.
		d, newErr := New(text)
		if newErr != nil {
			return
		}
		for _, change := range []func(*Doc) error{merge(`{"a":{"b":{"c":null,"d":1}}}`), patch(`[{"op":"move","from":"/a","path":"/0"}]`), appended("/a/b", "1")} {
			if changeErr := change(d); changeErr != nil {
				d.Rollback()
				if got := d.Bytes(); !bytes.Equal(got, text) {
					t.Fatalf("%q became %q by a change that failed", text, got)
				}
			} else if err == nil && Check(d.Bytes()) != nil && !bytes.Contains(text, []byte("[[[")) {
				t.Fatalf("%q became %q", text, d.Bytes())
			}
			d.Rollback()
		}
	})
}

func FuzzQuote(f *testing.F) {
	f.Add("a\"\\\n\x00\x7f\u2028\xed\xa0\x80\xff😀")
	f.Fuzz(func(t *testing.T, s string) {
		quoted := Quote(s)
		if !json.Valid(quoted) || !utf8.Valid(quoted) {
			t.Fatalf("%q became %q", s, quoted)
		}
		back, err := Unquote(quoted)
		if err != nil || utf8.ValidString(s) && back != s {
			t.Fatalf("%q became %q became %q: %v", s, quoted, back, err)
		}
		var standard string
		if err := json.Unmarshal(quoted, &standard); err != nil || utf8.ValidString(s) && standard != s {
			t.Fatalf("%q became %q for the standard library: %v", s, standard, err)
		}
	})
}
