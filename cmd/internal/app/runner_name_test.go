package app_test

import (
	"strings"
	"testing"
)

func TestRunnerRenamesForGood(t *testing.T) {
	t.Parallel()
	w := start(t, config(t))
	id, _ := w.create(t, nodeApp(t))
	for _, name := range []string{"Other name", "Other name", "shop-1"} {
		w.good(t, "POST", "/instances/"+id+"/name", object{"projectName": name})
		if s, err := w.client.Sandboxes().Get(within(t), id); err != nil || s.ProjectName != name {
			t.Errorf("the sandbox is called %q, %v", s.ProjectName, err)
		}
	}
	w.bad(t, "POST", "/instances/"+id+"/name", object{"projectName": strings.Repeat("x", 101)}, "projectName")
	w.bad(t, "POST", "/instances/"+id+"/name", object{}, "projectName")
	w.good(t, "DELETE", "/instances/"+id, nil)
	w.gone(t, id)
	w.bad(t, "POST", "/instances/"+id+"/name", object{"projectName": "late"}, "Network connection lost")
}
