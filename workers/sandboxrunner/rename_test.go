package sandboxrunner_test

import "testing"

func TestRename(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver(t, app("r1", w.CountBuild()))
	id := w.load(t, "r1").ID
	rename := message(map[string]any{"requestId": "n1", "action": "RENAME", "sandboxId": id, "projectName": "another"})
	for range 2 {
		w.deliver(t, rename)
		if got := w.load(t, "r1").ProjectName; got != "another" {
			t.Errorf("the name is %q", got)
		}
	}
	w.deliver(t, app("r1", w.CountBuild())) // a duplicate of the first request takes nothing back
	if got := w.load(t, "r1").ProjectName; got != "another" {
		t.Errorf("after a duplicate the name is %q", got)
	}
	w.deliver(t, stop("r1", "USER"))
	before := w.load(t, "r1")
	w.deliver(t, message(map[string]any{"requestId": "n2", "action": "RENAME", "sandboxId": id, "projectName": "late"}))
	if after := w.load(t, "r1"); after != before {
		t.Errorf("an ended sandbox was renamed: %+v", after)
	}
}
