package schemas

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzSplit holds the splitting of valid JSON against encoding/json.
func FuzzSplit(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[]`, ` { } `, `[ ]`, `{"a":1}`, `[1,2]`, ` { "a" : [ 1 , {"b":"]}"} ] , "c\"\\" : -1.5e3 } `,
		`["\\","\"",null,true,[[]],{}]`, `{"a":{"b":[1,2,{"c":null}]},"":""}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !json.Valid(data) {
			return
		}
		type member struct{ Key, Value string }
		var want, got []member
		dec := json.NewDecoder(bytes.NewReader(data))
		switch kindOf(data) {
		case '{', '[':
			object := kindOf(data) == '{'
			if _, err := dec.Token(); err != nil {
				t.Fatal(err)
			}
			for dec.More() {
				var m member
				if object {
					key, err := dec.Token()
					if err != nil {
						t.Fatal(err)
					}
					m.Key = key.(string)
				}
				var value json.RawMessage
				if err := dec.Decode(&value); err != nil {
					t.Fatal(err)
				}
				m.Value = string(value)
				want = append(want, m)
			}
			if object {
				eachMember(data, func(key, value []byte) { got = append(got, member{unquote(key), string(value)}) })
			} else {
				eachElement(data, func(_ int, value []byte) { got = append(got, member{Value: string(value)}) })
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-encoding/json +ours)\n%s", diff)
		}
	})
}
