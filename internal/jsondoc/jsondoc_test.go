package jsondoc

import (
	"errors"
	"testing"
)

func TestSmoke(t *testing.T) {
	d, err := New([]byte(` { "a" : 1.0 , "b":{"x":[1, 2 ,3]}, "a":2e0 } `))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{`{"b":{"y":"\u0041","x":[]}}`, `{"a":null,"c":{"n":null,"m":1}}`} {
		if err := d.Merge([]byte(p)); err != nil {
			t.Fatal(err)
		}
		got := string(d.Bytes())
		t.Log(got)
		if len(got) != d.Len() {
			t.Fatal(d.Len(), len(got))
		}
	}
	if err := d.Append("/b/x", []byte("7")); err != nil {
		t.Fatal(err)
	}
	t.Log(string(d.Bytes()))
	if err := d.Patch([]byte(`[{"op":"move","from":"/b","path":"/c/z"},{"op":"test","path":"/zz","value":1}]`)); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	t.Log(string(d.Bytes()))
	d.Rollback()
	t.Log(string(d.Bytes()))
}
