package gateway_test

import (
	"net/http"
	"strconv"
	"testing"

	"vibesdk-gcp/platform/sandbox"
)

func TestSandboxEventsGoOnWhereTheCallerWas(t *testing.T) {
	t.Parallel()
	f := start(t)
	r := f.sandbox(t, "one", sandbox.Building)
	path := "/v1/sandboxes/" + r.ID + "/events"
	next, resp := f.logEvents(t, path, strconv.FormatInt(r.Version, 10))
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	r = f.move(t, r.ID, sandbox.Starting, nil)
	if e, ok := next(); !ok || e.name != "sandbox" || e.id != strconv.FormatInt(r.Version, 10) {
		t.Errorf("the first event is %+v, %v; want that of version %d", e, ok, r.Version)
	}
	f.move(t, r.ID, sandbox.Stopping, nil)
	r = f.move(t, r.ID, sandbox.Deleted, func(r *sandbox.Record) { r.Reason = "asked for" })
	if got := f.call(t, "GET", path, "", header("Last-Event-ID", strconv.FormatInt(r.Version, 10))); got.StatusCode != http.StatusNoContent {
		t.Errorf("with nothing to come: %s, want 204", got.Status)
	}
	for _, id := range []string{"x", "-1", "1.5"} {
		f.call(t, "GET", path, "", header("Last-Event-ID", id)).wantProblem(t, 400, "invalid")
	}
}
