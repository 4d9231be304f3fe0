package guest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/platform/sandbox"
)

// TestCloudLog reads what a phase prints as Cloud Logging would.
func TestCloudLog(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	log := newPhaseLog(NewCloudLog(&out, sandbox.Ref{ID: "sbx-a", Fence: 7}, sandbox.PhaseBuild), sandbox.GuestTask{
		Task: sandbox.Task{Spec: sandbox.Spec{Env: map[string]string{"KEY": "s3cr3t-value"}}},
	}, buildRing)
	log.system("begin")
	w := log.stream(streamOut, nil)
	_, _ = w.Write([]byte("a <b> \"c\"\nkey s3cr3t-value\n"))
	e := log.stream(streamErr, nil)
	_, _ = e.Write([]byte("] [odd] line\n"))
	want := []cloudEntry{
		{Severity: "NOTICE", Message: "begin", Stream: "system"}, {Severity: "INFO", Message: `a <b> "c"`, Stream: "stdout"},
		{Severity: "INFO", Message: "key ***", Stream: "stdout"}, {Severity: "WARNING", Message: "] [odd] line", Stream: "stderr"},
	}
	var got []cloudEntry
	for line := range strings.Lines(out.String()) {
		var entry cloudEntry
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if len(entry.Time) < len("2026-01-01T00:00:00Z") || entry.Labels["sandbox_id"] != "sbx-a" || entry.Labels["sandbox_fence"] != "7" || entry.Labels["sandbox_phase"] != "build" {
			t.Errorf("%s lacks its time or its labels", line)
		}
		entry.Time, entry.Labels = "", nil
		got = append(got, entry)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
