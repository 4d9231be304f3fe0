package session

import (
	"testing"
	"time"
)

func TestFoldSmoke(t *testing.T) {
	base := &Record{Head: Head{ID: "s1"}}
	f := fold(base, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	for _, m := range []Mutation{
		{ID: "1", Kind: Initialize, Payload: []byte(`{"a":1}`)},
		{ID: "2", Kind: Merge, Payload: []byte(`{"b":{"c":null,"d":[]}}`)},
		{ID: "3", Kind: Append, Path: "/b/d", Payload: []byte(`7`)},
		{ID: "4", Kind: Schedule, Payload: []byte(`{"callback":"tick","cron":"* * * * *"}`)},
		{ID: "5", Kind: Enqueue, Payload: []byte(`{"callback":"work","payload":{"x":1.0}}`)},
		{ID: "6", Kind: Patch, Payload: []byte(`[{"op":"remove","path":"/zz"}]`)},
	} {
		ref, err := f.apply(m, nil)
		t.Log(m.ID, ref, err)
	}
	r := f.result()
	for n, p := range r.Parts {
		t.Log(n, string(p.Data))
	}
	t.Log(r.Head)
}
