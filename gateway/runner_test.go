package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/platform/sandbox"
)

func TestInstancesNeedTheKey(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) { o.APIKey = "0123456789abcdef" })
	for _, path := range []string{"/instances", "/instances/x/status"} {
		got := f.call(t, http.MethodGet, path, "")
		var out gateway.Outcome
		if err := json.Unmarshal([]byte(got.body), &out); err != nil || got.StatusCode != http.StatusUnauthorized || out.Success || out.Error == "" {
			t.Errorf("%s without the key: %d %s", path, got.StatusCode, got.body)
		}
	}
	got := f.call(t, http.MethodGet, "/instances", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer 0123456789abcdef") })
	if got.StatusCode != http.StatusOK {
		t.Errorf("with the key: %d %s", got.StatusCode, got.body)
	}
}

// TestInstanceStatusOfEachState holds what a health check every 30 s sees against what it shall do.
func TestInstanceStatusOfEachState(t *testing.T) {
	t.Parallel()
	f := start(t)
	reason := func(text string) func(*sandbox.Record) { return func(r *sandbox.Record) { r.Reason = text } }
	requested := f.sandbox(t, "requested")
	building := f.sandbox(t, "building", sandbox.Building)
	lost := f.sandbox(t, "lost", sandbox.Building, sandbox.Starting, sandbox.Ready) // nobody listens there
	stopping := f.sandbox(t, "stopping", sandbox.Building)
	f.move(t, stopping.ID, sandbox.Stopping, reason("stopped on request"))
	deleted := f.sandbox(t, "deleted", sandbox.Building, sandbox.Starting, sandbox.Ready)
	f.move(t, deleted.ID, sandbox.Stopping, reason("no traffic for 10m0s"))
	f.move(t, deleted.ID, sandbox.Deleted, nil)
	condemned := f.sandbox(t, "condemned", sandbox.Building)
	f.move(t, condemned.ID, sandbox.Building, reason("install failed"))
	failed := f.sandbox(t, "failed")
	f.move(t, failed.ID, sandbox.Failed, reason("install failed"))
	for _, c := range []struct {
		record           sandbox.Record
		pending, healthy bool
		text             string
	}{
		{requested, true, false, "requested"},
		{building, true, false, "building"},
		{lost, false, false, "does not answer"},
		{stopping, false, true, "stopped: stopped on request"},
		{deleted, false, true, "stopped: no traffic"},
		{condemned, false, false, "install failed"},
		{failed, false, false, "failed: install failed"},
	} {
		got := f.call(t, http.MethodGet, "/instances/"+c.record.ID+"/status", "")
		var status gateway.InstanceStatus
		got.decode(t, &status)
		if got.StatusCode != http.StatusOK || !status.Success || status.Pending != c.pending || status.IsHealthy != c.healthy || !strings.Contains(status.Message+status.Error, c.text) {
			t.Errorf("%s: %d %s", c.record.RequestID, got.StatusCode, got.body)
		}
	}
	if len(f.outbox.sent) != 0 {
		t.Errorf("a status published %d messages", len(f.outbox.sent))
	}
}
