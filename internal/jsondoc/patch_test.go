package jsondoc

import (
	"errors"
	"strings"
	"testing"
)

// The examples of RFC 6902, appendix A, and the corners that it leaves to the reader.
func TestPatchExamples(t *testing.T) {
	for _, c := range []struct {
		name, doc, patch, want string
		err                    error
	}{
		{"A.1 add a member", `{"foo":"bar"}`, `[{"op":"add","path":"/baz","value":"qux"}]`, `{"foo":"bar","baz":"qux"}`, nil},
		{"A.2 add an element", `{"foo":["bar","baz"]}`, `[{"op":"add","path":"/foo/1","value":"qux"}]`, `{"foo":["bar","qux","baz"]}`, nil},
		{"A.3 remove a member", `{"baz":"qux","foo":"bar"}`, `[{"op":"remove","path":"/baz"}]`, `{"foo":"bar"}`, nil},
		{"A.4 remove an element", `{"foo":["bar","qux","baz"]}`, `[{"op":"remove","path":"/foo/1"}]`, `{"foo":["bar","baz"]}`, nil},
		{"A.5 replace", `{"baz":"qux","foo":"bar"}`, `[{"op":"replace","path":"/baz","value":"boo"}]`, `{"baz":"boo","foo":"bar"}`, nil},
		{"A.6 move a member", `{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}`, `[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]`,
			`{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}`, nil},
		{"A.7 move an element", `{"foo":["all","grass","cows","eat"]}`, `[{"op":"move","from":"/foo/1","path":"/foo/3"}]`, `{"foo":["all","cows","eat","grass"]}`, nil},
		{"A.8 test", `{"baz":"qux","foo":["a",2,"c"]}`, `[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]`, `{"baz":"qux","foo":["a",2,"c"]}`, nil},
		{"A.9 failing test", `{"baz":"qux"}`, `[{"op":"test","path":"/baz","value":"bar"}]`, "", ErrInvalid},
		{"A.10 add an object", `{"foo":"bar"}`, `[{"op":"add","path":"/child","value":{"grandchild":{}}}]`, `{"foo":"bar","child":{"grandchild":{}}}`, nil},
		{"A.11 unknown members", `{"foo":"bar"}`, `[{"op":"add","path":"/baz","value":"qux","xyz":123}]`, `{"foo":"bar","baz":"qux"}`, nil},
		{"A.12 add to nothing", `{"foo":"bar"}`, `[{"op":"add","path":"/baz/bat","value":"qux"}]`, "", ErrNotFound},
		{"A.13 op twice: the last counts", `{"foo":"bar"}`, `[{"op":"add","path":"/foo","value":1,"op":"remove"}]`, `{}`, nil},
		{"A.14 escapes", `{"/":9,"~1":10}`, `[{"op":"test","path":"/~01","value":10}]`, `{"/":9,"~1":10}`, nil},
		{"A.15 string is not number", `{"/":9,"~1":10}`, `[{"op":"test","path":"/~01","value":"10"}]`, "", ErrInvalid},
		{"A.16 add an array", `{"foo":["bar"]}`, `[{"op":"add","path":"/foo/-","value":["abc","def"]}]`, `{"foo":["bar",["abc","def"]]}`, nil},

		{"add replaces", `{"a":1,"b":2}`, `[{"op":"add","path":"/a","value":null}]`, `{"a":null,"b":2}`, nil},
		{"add at the end", `[1]`, `[{"op":"add","path":"/1","value":2}]`, `[1,2]`, nil},
		{"add behind the end", `[1]`, `[{"op":"add","path":"/2","value":2}]`, "", ErrNotFound},
		{"leading zero", `[1,2]`, `[{"op":"remove","path":"/01"}]`, "", ErrInvalid},
		{"zero", `[1,2]`, `[{"op":"remove","path":"/0"}]`, `[2]`, nil},
		{"negative", `[1,2]`, `[{"op":"remove","path":"/-1"}]`, "", ErrInvalid},
		{"huge", `[1,2]`, `[{"op":"remove","path":"/9999999999"}]`, "", ErrNotFound},
		{"more than huge", `[1,2]`, `[{"op":"remove","path":"/18446744073709551616"}]`, "", ErrInvalid},
		{"plus", `[1,2]`, `[{"op":"remove","path":"/+1"}]`, "", ErrInvalid},
		{"dash is no element", `[1,2]`, `[{"op":"remove","path":"/-"}]`, "", ErrNotFound},
		{"dash is a key", `{"-":1}`, `[{"op":"remove","path":"/-"}]`, `{}`, nil},
		{"empty key", `{"":1,"a":2}`, `[{"op":"remove","path":"/"}]`, `{"a":2}`, nil},
		{"inside a scalar", `{"a":"x"}`, `[{"op":"add","path":"/a/b","value":1}]`, "", ErrNotFound},
		{"whole value", `{"a":1}`, `[{"op":"replace","path":"","value":[1]},{"op":"add","path":"/-","value":2}]`, `[1,2]`, nil},
		{"remove all", `{"a":1}`, `[{"op":"remove","path":""}]`, "", ErrInvalid},
		{"copy whole into itself", `{"a":1}`, `[{"op":"copy","from":"","path":"/b"}]`, `{"a":1,"b":{"a":1}}`, nil},
		{"copies are apart", `{"a":{"x":1}}`, `[{"op":"copy","from":"/a","path":"/b"},{"op":"add","path":"/b/x","value":2}]`, `{"a":{"x":1},"b":{"x":2}}`, nil},
		{"move to itself", `{"a":1}`, `[{"op":"move","from":"/a","path":"/a"}]`, `{"a":1}`, nil},
		{"move nothing to itself", `{"a":1}`, `[{"op":"move","from":"/b","path":"/b"}]`, "", ErrNotFound},
		{"move into a child", `{"a":{"b":1}}`, `[{"op":"move","from":"/a","path":"/a/b"}]`, "", ErrInvalid},
		{"move beside a longer name", `{"a":1}`, `[{"op":"move","from":"/a","path":"/ab"}]`, `{"ab":1}`, nil},
		{"move whole", `{"a":1}`, `[{"op":"move","from":"","path":"/a"}]`, "", ErrInvalid},
		{"move to the top", `{"a":{"b":1}}`, `[{"op":"move","from":"/a","path":""}]`, `{"b":1}`, nil},
		{"replace nothing", `{"a":1}`, `[{"op":"replace","path":"/b","value":1}]`, "", ErrNotFound},
		{"remove nothing", `{"a":1}`, `[{"op":"remove","path":"/b"}]`, "", ErrNotFound},
		{"numbers by value", `[1.0,100,0.0,-0]`, `[{"op":"test","path":"","value":[1,1e2,-0e5,0]}]`, `[1.0,100,0.0,-0]`, nil},
		{"large numbers exactly", `9007199254740993`, `[{"op":"test","path":"","value":9007199254740992}]`, "", ErrInvalid},
		{"numbers beyond all bounds", `1e999999999`, `[{"op":"test","path":"","value":10e999999998}]`, `1e999999999`, nil},
		{"objects in any order", `{"a":1,"b":[2]}`, `[{"op":"test","path":"","value":{"b":[2.0],"\u0061":1}}]`, `{"a":1,"b":[2]}`, nil},
		{"a member more", `{"a":1,"b":2}`, `[{"op":"test","path":"","value":{"a":1}}]`, "", ErrInvalid},
		{"null is not nothing", `{"a":1}`, `[{"op":"test","path":"/b","value":null}]`, "", ErrNotFound},
		{"of twins the last counts", `{"a":1,"a":2}`, `[{"op":"test","path":"","value":{"a":2}},{"op":"test","path":"/a","value":2}]`, `{"a":1,"a":2}`, nil},

		{"not a list", `1`, `{}`, "", ErrInvalid},
		{"not an operation", `1`, `[1]`, "", ErrInvalid},
		{"no op", `1`, `[{"path":""}]`, "", ErrInvalid},
		{"unknown op", `1`, `[{"op":"ADD","path":"","value":1}]`, "", ErrInvalid},
		{"op in other letters", `1`, `[{"Op":"add","path":"","value":1}]`, "", ErrInvalid},
		{"no value", `1`, `[{"op":"add","path":""}]`, "", ErrInvalid},
		{"no path", `1`, `[{"op":"add","value":1}]`, "", ErrInvalid},
		{"no from", `1`, `[{"op":"copy","path":""}]`, "", ErrInvalid},
		{"no slash", `{"a":1}`, `[{"op":"remove","path":"a"}]`, "", ErrInvalid},
		{"bad tilde", `{"~2":1}`, `[{"op":"remove","path":"/~2"}]`, "", ErrInvalid},
		{"tilde at the end", `{"~":1}`, `[{"op":"remove","path":"/~"}]`, "", ErrInvalid},
		{"bad from", `{"~":1}`, `[{"op":"copy","from":"~","path":"/a"}]`, "", ErrInvalid},
		{"all or nothing", `{"a":1}`, `[{"op":"add","path":"/b","value":1},{"op":"remove","path":"/c"}]`, "", ErrNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := mustNew(t, c.doc)
			err := d.Patch([]byte(c.patch))
			if !errors.Is(err, c.err) {
				t.Fatalf("error is %v, want %v", err, c.err)
			}
			if err != nil {
				d.Rollback()
				c.want = c.doc
			}
			checkText(t, d, c.want)
		})
	}
}

func TestErrorsNameTheOperation(t *testing.T) {
	d := mustNew(t, `{"a":"secret"}`)
	err := d.Patch([]byte(`[{"op":"test","path":"/a","value":"secret"},{"op":"test","path":"/a","value":"secreter"}]`))
	if err == nil || !strings.Contains(err.Error(), `operation 1: invalid change: test of "/a" failed`) || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
	err = d.Patch([]byte(`[{"op":"remove","path":"/` + strings.Repeat("é", 1000) + `"}]`))
	if err == nil || len(err.Error()) > 200 {
		t.Errorf("%d bytes: %v", len(err.Error()), err)
	}
}

func TestDepth(t *testing.T) {
	deep := strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)
	if err := Check([]byte(deep)); err != nil {
		t.Error(err)
	}
	if err := Check([]byte("[" + deep + "]")); !errors.Is(err, ErrDepth) {
		t.Errorf("one level more: %v", err)
	}
	down := strings.Repeat("/0", MaxDepth-1)
	nested := `{"a":` + strings.Repeat("[", MaxDepth-1) + strings.Repeat("]", MaxDepth-1) + `,"b":{"c":{}}}`
	d := mustNew(t, nested)
	if err := d.Patch([]byte(`[{"op":"move","from":"/a","path":"/b/c/d"}]`)); !errors.Is(err, ErrDepth) {
		t.Errorf("move further down: %v", err)
	}
	d.Rollback()
	checkText(t, d, nested)
	for name, change := range map[string]func(*Doc) error{
		"append":  func(d *Doc) error { return d.Append(down, []byte("[]")) },
		"add":     func(d *Doc) error { return d.Patch([]byte(`[{"op":"add","path":"` + down + `/-","value":[]}]`)) },
		"replace": func(d *Doc) error { return d.Patch([]byte(`[{"op":"replace","path":"` + down + `","value":[[]]}]`)) },
		"copy":    func(d *Doc) error { return d.Patch([]byte(`[{"op":"copy","from":"","path":"/-"}]`)) },
	} {
		d := mustNew(t, deep)
		if err := change(d); !errors.Is(err, ErrDepth) {
			t.Errorf("%s: %v", name, err)
		}
		d.Rollback()
		checkText(t, d, deep)
	}
	d = mustNew(t, deep)
	if err := d.Append(down, []byte("1")); err != nil {
		t.Errorf("a scalar nests nothing: %v", err)
	}
	if err := Check(d.Bytes()); err != nil {
		t.Error(err)
	}
}

// TestWork: a small patch must not keep a worker busy for minutes.
func TestWork(t *testing.T) {
	big := `{"a":["` + strings.Repeat("x", 4<<20) + `"]}`
	d := mustNew(t, big)
	copies := make([]string, 100)
	for i := range copies {
		copies[i] = `{"op":"copy","from":"/a","path":"/b"}`
	}
	if err := d.Patch([]byte("[" + strings.Join(copies, ",") + "]")); !errors.Is(err, ErrWork) {
		t.Error(err)
	}
	d.Rollback()
	checkText(t, d, big)

	d = mustNew(t, "["+strings.Repeat("0,", 1<<20)+"0]")
	shifts := make([]string, 100)
	for i := range shifts {
		shifts[i] = `{"op":"remove","path":"/0"}`
	}
	if err := d.Patch([]byte("[" + strings.Join(shifts, ",") + "]")); !errors.Is(err, ErrWork) {
		t.Error(err)
	}
}
