package jsondoc

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestWide: an object with an index answers as one without, also after changes were taken back.
func TestWide(t *testing.T) {
	members := make([]string, 3*wide)
	for i := range members {
		members[i] = fmt.Sprintf(`"k%d":%d`, i, i)
	}
	members[wide+1] = `"\u006b0":"twin"`
	text := "{" + strings.Join(members, ",") + "}"
	d := mustNew(t, text)
	get := func(key, want string) {
		t.Helper()
		got, err := d.Get("/" + key)
		if want == "" && errors.Is(err, ErrNotFound) {
			return
		}
		if string(got) != want || err != nil {
			t.Errorf("%s is %s, %v, want %q", key, got, err, want)
		}
	}
	get("k0", `"twin"`)
	get(fmt.Sprint("k", wide+1), "")
	for range 3 {
		for _, step := range []struct {
			patch string
			want  map[string]string
		}{
			{`{"k0":null}`, map[string]string{"k0": "", "k1": "1"}},
			{`{"new":1}`, map[string]string{"new": "1"}},
			{`{"k0":"again"}`, map[string]string{"k0": `"again"`}},
			{`{"k0":null,"new":null,"k5":[]}`, map[string]string{"k0": "", "new": "", "k5": "[]"}},
		} {
			if err := d.Merge([]byte(step.patch)); err != nil {
				t.Fatal(err)
			}
			for key, want := range step.want {
				get(key, want)
			}
		}
		if got := string(d.Bytes()); strings.Contains(got, `"k0"`) || strings.Contains(got, "twin") || len(got) != d.Len() {
			t.Errorf("%s (Len %d)", got, d.Len())
		}
		d.Rollback()
		checkText(t, d, text)
		get("k0", `"twin"`)
		get("new", "")
		get("k5", "5")
	}
}
