package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"vibesdk-gcp/gateway"
)

func TestProfilesAreForThoseWhoMayDoEverything(t *testing.T) {
	t.Parallel()
	f := start(t)
	if got := f.call(t, "GET", "/debug/pprof/goroutine?debug=2", ""); got.StatusCode != http.StatusOK || !strings.Contains(got.body, "TestProfilesAreForThoseWhoMayDoEverything") {
		t.Errorf("goroutines: %d %.200s", got.StatusCode, got.body)
	}
	if got := f.call(t, "GET", "/debug/pprof/", ""); got.StatusCode != http.StatusOK || !strings.Contains(got.body, "heap") {
		t.Errorf("the list: %d %.200s", got.StatusCode, got.body)
	}
	f.call(t, "GET", "/debug/pprof/nothing", "").wantProblem(t, 404, "not-found")
	if got := f.call(t, "GET", "/debug/pprof/cmdline", ""); got.StatusCode != http.StatusNotFound {
		t.Errorf("arguments of the process: %d %s", got.StatusCode, got.body)
	}

	locked := start(t, func(o *gateway.Options) { o.APIKey = "0123456789abcdef" })
	locked.call(t, "GET", "/debug/pprof/heap", "").wantProblem(t, 401, "unauthorized")
}
