package checkup_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/internal/checkup"
)

func TestElse(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]checkup.Finding{{Subject: "s", Status: checkup.OK, Detail: "fine: 1"}}, checkup.About("s").Else("fine: %d", 1)); diff != "" {
		t.Error(diff)
	}
	f := checkup.About("s")
	f.Skip("not here")
	want := []checkup.Finding{{Subject: "s", Status: checkup.Skipped, Detail: "not here"}}
	if diff := cmp.Diff(want, f.Else("fine")); diff != "" {
		t.Error(diff)
	}
	f.Warn("do", "odd %s", "one")
	want = append(want, checkup.Finding{Subject: "s", Status: checkup.Warn, Detail: "odd one", Fix: "do"})
	if diff := cmp.Diff(want, f.Else("fine")); diff != "" {
		t.Error(diff)
	}
}

func TestWorst(t *testing.T) {
	t.Parallel()
	list := []checkup.Finding{}
	for _, c := range []struct{ add, want checkup.Status }{
		{checkup.Skipped, checkup.OK}, {checkup.OK, checkup.OK}, {checkup.Warn, checkup.Warn}, {checkup.Fail, checkup.Fail}, {checkup.OK, checkup.Fail},
	} {
		list = append(list, checkup.Finding{Status: c.add})
		if got := checkup.Worst(list); got != c.want {
			t.Errorf("%+v: %s, want %s", list, got, c.want)
		}
	}
}
