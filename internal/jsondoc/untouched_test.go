package jsondoc

import (
	"strings"
	"testing"
)

// TestUntouchedBytesStay is the promise of the package comment, case by case.
func TestUntouchedBytesStay(t *testing.T) {
	pretty := "{\n  \"b\" : 1.50 ,\n  \"a\\u0062\": \"\\u00e9\\/\",\n  \"b\": [ 1 , 2e+0 ],\n  \"z\": { }\n}\n"
	for _, c := range []struct {
		name, doc string
		change    func(*Doc) error
		want      string
	}{
		{"nothing", pretty, func(*Doc) error { return nil }, pretty},
		{"an empty merge", pretty, merge(`{}`), pretty},
		{"a test", pretty, patch(`[{"op":"test","path":"/z","value":{}},{"op":"test","path":"/b/1","value":2}]`), pretty},
		{"a member more", pretty, merge(`{"new" : [ 1 ]}`), strings.Replace(pretty, "{ }\n}", "{ }\n,\"new\":[ 1 ]}", 1)},
		{"a value replaced", pretty, merge(`{"ab": 1E5 }`), strings.Replace(pretty, `"\u00e9\/"`, "1E5", 1)},
		{"the last of twins replaced", pretty, merge(`{"b":0}`), strings.Replace(pretty, "[ 1 , 2e+0 ]", "0", 1)},
		{"an escaped key removed", pretty, merge(`{"ab":null}`), strings.Replace(pretty, "\n  \"a\\u0062\": \"\\u00e9\\/\",", "", 1)},
		{"twins removed", `{ "a":1, "b":2, "a":3 }`, merge(`{"a":null}`), `{ "b":2}`},
		{"an element appended", pretty, appended("/b", ` 3 `), strings.Replace(pretty, "2e+0 ]", "2e+0 ,3]", 1)},
		{"an element inserted", pretty, patch(`[{"op":"add","path":"/b/0","value":0}]`), strings.Replace(pretty, "[ 1 ", "[0, 1 ", 1)},
		{"an element replaced", pretty, patch(`[{"op":"replace","path":"/b/0","value":0}]`), strings.Replace(pretty, "[ 1 ", "[ 0 ", 1)},
		{"into the empty", pretty, merge(`{"z":{"x":1}}`), strings.Replace(pretty, "{ }", `{"x":1}`, 1)},
		{"everything out", `[ 1 ]`, patch(`[{"op":"remove","path":"/0"}]`), `[]`},
		{"appended to the empty", `[ ]`, appended("", "1"), `[1]`},
		{"the key of a merge as it was spelled", `{}`, merge(`{"\u0061":1}`), `{"\u0061":1}`},
		{"the value of a merge as it was spelled", `{}`, merge(`{"a": { "b" : 1.0, "b":2 } }`), `{"a":{ "b" : 1.0, "b":2 }}`},
		{"white space outside", " \t{}\r\n", merge(`{"a":1}`), " \t{\"a\":1}\r\n"},
		{"lone surrogates are different keys", `{"\ud800":1,"\ud801":2}`, merge(`{"\ud801":null}`), `{"\ud800":1}`},
		{"lone surrogates in paths", `{}`, patch(`[{"op":"add","path":"/\ud801","value":1}]`), `{"\ud801":1}`},
		{"surrogate pairs", `{"😀":1}`, patch(`[{"op":"replace","path":"/\ud83d\ude00","value":2}]`), `{"😀":2}`},
		{"removed and back: comes last", `{"a":1,"b":2}`, patch(`[{"op":"remove","path":"/a"},{"op":"add","path":"/a","value":1}]`), `{"b":2,"a":1}`},
		{"moved in its bytes", `{"a": [ 1.0 ] ,"b":{}}`, patch(`[{"op":"move","from":"/a","path":"/b/c"}]`), `{"b":{"c":[ 1.0 ]}}`},
		{"set", `{"a" : 1 }`, func(d *Doc) error { return d.Set("", "a", []byte(`"x"`)) }, `{"a" : "x" }`},
		{"delete nothing", `{"a" : 1 }`, func(d *Doc) error { return d.Delete("", "b") }, `{"a" : 1 }`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := mustNew(t, c.doc)
			if err := c.change(d); err != nil {
				t.Fatal(err)
			}
			checkText(t, d, c.want)
			d.Rollback()
			checkText(t, d, c.doc)
		})
	}
}

func merge(text string) func(*Doc) error { return func(d *Doc) error { return d.Merge([]byte(text)) } }
func patch(text string) func(*Doc) error { return func(d *Doc) error { return d.Patch([]byte(text)) } }
func appended(path, text string) func(*Doc) error {
	return func(d *Doc) error { return d.Append(path, []byte(text)) }
}

// TestDamagedText: what a store gives back should be what was checked, but it must not bring the process down when it is not.
func TestDamagedText(t *testing.T) {
	for _, text := range []string{"", " ", "{", "[", `{]`, `["]`, `{"a":1,}`, `[1,]`, `{"a":1}"b":2}`, `[1]2]`, `{"a" 1}`, `[1 2]`, "nul", `{"a":[1,}]}`, `[,]`, `{,}`, `{"a":1"b"}`} {
		for _, change := range []func(*Doc) error{merge(`{"a":{"b":1}}`), patch(`[{"op":"add","path":"/a/0","value":1}]`), patch(`[{"op":"add","path":"/0","value":1}]`), appended("", "1"), appended("/a", "1")} {
			d, err := New([]byte(text))
			if err != nil {
				continue
			}
			before := string(d.Bytes())
			if change(d) != nil {
				d.Rollback()
				checkText(t, d, before)
			}
		}
	}
}
