package jsondoc

import "testing"

// The examples of RFC 7396, appendix A. What our output has besides meaning is in untouched_test.go.
func TestMergeExamples(t *testing.T) {
	for _, c := range []struct{ target, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		// Beyond the appendix.
		{`null`, `{"a":{"b":null,"c":[null,{"d":null}]}}`, `{"a":{"c":[null,{"d":null}]}}`},
		{`{"a":1}`, `{}`, `{"a":1}`},
		{`{"a":{"x":1}}`, `{"a":{"x":2},"a":{"y":3}}`, `{"a":{"x":1,"y":3}}`},
		{`{"a":1}`, `{"a":2,"a":null}`, `{}`},
		{`{"a":1}`, `{"a":null,"a":2}`, `{"a":2}`},
		{`{}`, `{"a":{"x":null,"x":1}}`, `{"a":{"x":1}}`},
	} {
		d := mustNew(t, c.target)
		if err := d.Merge([]byte(c.patch)); err != nil {
			t.Errorf("%s + %s: %v", c.target, c.patch, err)
		}
		checkText(t, d, c.want)
	}
}

func mustNew(t testing.TB, text string) *Doc {
	t.Helper()
	if err := Check([]byte(text)); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	d, err := New([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return d
}

func checkText(t testing.TB, d *Doc, want string) {
	t.Helper()
	got := string(d.Bytes())
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if d.Len() != len(got) {
		t.Errorf("Len is %d, the text has %d bytes: %s", d.Len(), len(got), got)
	}
}
