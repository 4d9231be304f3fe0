package jsondoc

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestWalks(t *testing.T) {
	text := ` [ {"a" : 1 , "\u0062":"x","a":2} , { } ,{"c":[{}]}] `
	var got []string
	err := Array([]byte(text), func(value []byte) error {
		got = append(got, string(value))
		return Object(value, func(key string, value []byte) error {
			got = append(got, key+"="+string(value))
			return nil
		})
	})
	want := `{"a" : 1 , "\u0062":"x","a":2} a=1 b="x" a=2 { } {"c":[{}]} c=[{}]`
	if err != nil || strings.Join(got, " ") != want {
		t.Errorf("got  %s, %v\nwant %s", strings.Join(got, " "), err, want)
	}
	got = nil
	err = Rows([]byte(text), func(key, value []byte) error {
		got = append(got, fmt.Sprintf("%s=%s", key, value))
		return nil
	}, func(text []byte) error {
		got = append(got, string(text))
		return nil
	})
	want = `a=1 b="x" a=2 {"a" : 1 , "\u0062":"x","a":2} { } c=[{}] {"c":[{}]}`
	if err != nil || strings.Join(got, " ") != want {
		t.Errorf("got  %s, %v\nwant %s", strings.Join(got, " "), err, want)
	}
}

// TestWalksOfOthers: what is not what a walk is over is an error and no panic, and fn's error ends the walk.
func TestWalksOfOthers(t *testing.T) {
	for _, text := range []string{"", " ", "1", "[", "{", "[1", "[{", `[{"a"`, `[{"a":1`, "[1]]", "{}}", "[{}]x", "[{},]", "[{}{}]", "[,]", "{,}", `{"a":1}}`, `[{"a":1,}]`, "[1 2]", `{"a":1 "b":2}`} {
		array := Array([]byte(text), func([]byte) error { return nil })
		object := Object([]byte(text), func(string, []byte) error { return nil })
		rows := Rows([]byte(text), func(_, _ []byte) error { return nil }, func([]byte) error { return nil })
		for name, err := range map[string]error{"array": array, "object": object, "rows": rows} {
			if !errors.Is(err, ErrSyntax) {
				t.Errorf("%s over %s: %v", name, text, err)
			}
		}
	}
	enough := errors.New("enough")
	for _, err := range []error{
		Array([]byte("[1,2]"), func([]byte) error { return enough }),
		Object([]byte(`{"a":1}`), func(string, []byte) error { return enough }),
		Rows([]byte(`[{"a":1}]`), func(_, _ []byte) error { return enough }, nil),
		Rows([]byte(`[{}]`), nil, func([]byte) error { return enough }),
	} {
		if !errors.Is(err, enough) {
			t.Error(err)
		}
	}
}
