package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/cmd/internal/cloudscheduler"
	"vibesdk-gcp/internal/testenv/schedulerfake"
)

const schedulesParent = "projects/p/locations/europe-west1"

// schedulesWorld is a fake Cloud Scheduler and the commands that work on it.
type schedulesWorld struct {
	*schedulerfake.Server
	file string // "" is the one built in
}

func newSchedules(t *testing.T) *schedulesWorld {
	t.Helper()
	return &schedulesWorld{Server: schedulerfake.Start(t)}
}

func (w *schedulesWorld) do(t *testing.T, args ...string) (string, error) {
	t.Helper()
	flags := []string{"--project", "p", "--location", "europe-west1", "--endpoint", w.Addr}
	if w.file != "" {
		flags = append(flags, "--file", w.file)
	}
	return vibectl(t, "", "", slices.Concat([]string{"schedules"}, args, flags)...)
}

func (w *schedulesWorld) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := w.do(t, args...)
	if err != nil {
		t.Fatalf("schedules %v: %v\n%s", args, err, out)
	}
	return out
}

// drift returns what diff says, one line each, and holds its exit status.
func (w *schedulesWorld) drift(t *testing.T) []string {
	t.Helper()
	out, err := w.do(t, "diff", "-o", "json")
	var drifts []cloudscheduler.Drift
	if jsonErr := json.Unmarshal([]byte(out), &drifts); jsonErr != nil {
		t.Fatalf("%v: %v\n%s", jsonErr, err, out)
	}
	if len(drifts) == 0 != (err == nil) || err != nil && !errors.Is(err, errDrift) {
		t.Errorf("%d differences, and the error is %v", len(drifts), err)
	}
	lines := []string{}
	for _, d := range drifts {
		line := d.Name + " " + d.Kind
		for _, f := range d.Fields {
			line += fmt.Sprintf(" %s(%s→%s)", f.Field, f.Cloud, f.File)
		}
		lines = append(lines, line)
	}
	return lines
}

// write makes a schedule file; each line is "name cron payload-kind".
func (w *schedulesWorld) write(t *testing.T, lines ...string) {
	t.Helper()
	text := "schedules:\n"
	for _, line := range lines {
		f := strings.Split(line, "|")
		text += fmt.Sprintf("  - {name: %s, description: about %s, cron: %q, timeZone: Etc/UTC, topic: cleanup-ticks, payload: '{\"kind\":%q}'}\n", f[0], f[0], f[1], f[2])
	}
	w.file = filepath.Join(t.TempDir(), "schedules.yaml")
	if err := os.WriteFile(w.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSchedulesAreApplied(t *testing.T) {
	t.Parallel()
	w := newSchedules(t)
	entries, err := app.LoadSchedules("")
	if err != nil {
		t.Fatal(err)
	}
	if got := w.drift(t); len(got) != len(entries) || !strings.HasSuffix(got[0], " missing") {
		t.Errorf("drift of nothing: %q", got)
	}
	if out := w.must(t, "apply", "--dry-run"); !strings.Contains(out, "would create") || len(w.Jobs()) != 0 {
		t.Errorf("dry run made %d jobs:\n%s", len(w.Jobs()), out)
	}
	w.must(t, "apply")
	for _, e := range entries {
		job := w.Jobs()[schedulesParent+"/jobs/vibesdk-"+e.Name]
		if job.GetSchedule() != e.Cron || job.GetTimeZone() != e.TimeZone || string(job.GetPubsubTarget().GetData()) != e.Payload ||
			job.GetPubsubTarget().GetTopicName() != "projects/p/topics/vibesdk-"+e.Topic {
			t.Errorf("%s became %v", e.Name, job)
		}
	}
	if got := w.drift(t); len(got) > 0 {
		t.Errorf("drift after apply: %q", got)
	}
	w.Writes()
	if out := w.must(t, "apply"); out != "nothing to do\n" || len(w.Writes()) > 0 {
		t.Errorf("a second apply did something:\n%s", out)
	}
	if out := w.must(t, "list"); strings.Count(out, "enabled") != len(entries) || !strings.Contains(out, "NEXT") {
		t.Errorf("list:\n%s", out)
	}
}

func TestSchedulesShowDrift(t *testing.T) {
	t.Parallel()
	w := newSchedules(t)
	w.write(t, "a|* * * * *|DUE_JOBS", "b|*/5 * * * *|STALE_SESSIONS", "c|0 3 * * *|STALE_SANDBOXES", "d|1 * * * *|DUE_JOBS", "e|2 * * * *|DUE_JOBS")
	w.must(t, "apply")
	w.Change(schedulesParent+"/jobs/vibesdk-a", func(j *schedulerpb.Job) { j.Schedule = "0 0 * * *"; j.RetryConfig.RetryCount = 0 })
	w.Change(schedulesParent+"/jobs/vibesdk-b", func(j *schedulerpb.Job) { j.State = schedulerpb.Job_PAUSED })
	w.Remove(schedulesParent + "/jobs/vibesdk-c")
	w.Change(schedulesParent+"/jobs/vibesdk-d", func(j *schedulerpb.Job) {
		j.GetPubsubTarget().Data = []byte("{}")
		j.GetPubsubTarget().Attributes = map[string]string{"k": "v"}
		j.TimeZone = "Asia/Tokyo"
	})
	w.Change(schedulesParent+"/jobs/vibesdk-e", func(j *schedulerpb.Job) { j.State = schedulerpb.Job_UPDATE_FAILED })
	w.write(t, "a|* * * * *|DUE_JOBS", "c|0 3 * * *|STALE_SANDBOXES", "d|1 * * * *|DUE_JOBS", "e|2 * * * *|DUE_JOBS", "f|3 * * * *|DUE_JOBS")
	want := []string{
		"a changed cron(0 0 * * *→* * * * *) retries(0 within 30s, after 2s to 10s, 2 doublings→3 within 30s, after 2s to 10s, 2 doublings)",
		"b extra",
		"c missing",
		`d changed timeZone(Asia/Tokyo→Etc/UTC) payload({}→{"kind":"DUE_JOBS"}) attributes(map[k:v]→)`,
		"e stopped",
		"f missing",
	}
	if diff := cmp.Diff(want, w.drift(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.Writes()
	w.must(t, "apply")
	if diff := cmp.Diff([]string{
		"UpdateJob vibesdk-a", "DeleteJob vibesdk-b", "CreateJob vibesdk-c", "UpdateJob vibesdk-d", "UpdateJob vibesdk-e", "CreateJob vibesdk-f",
	}, w.Writes()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := w.drift(t); len(got) > 0 {
		t.Errorf("drift after apply: %q", got)
	}
}

// TestOtherJobsAreLeftAlone: one without the prefix, one with it and without the mark, and one that took a name of ours.
func TestOtherJobsAreLeftAlone(t *testing.T) {
	t.Parallel()
	w := newSchedules(t)
	w.write(t, "a|* * * * *|DUE_JOBS", "b|* * * * *|DUE_JOBS", "gone|* * * * *|DUE_JOBS", "other|* * * * *|DUE_JOBS")
	w.must(t, "apply")
	w.Change(schedulesParent+"/jobs/vibesdk-b", func(j *schedulerpb.Job) { j.Description = "made by hand"; j.Schedule = "0 0 1 1 *" })
	w.Change(schedulesParent+"/jobs/vibesdk-other", func(j *schedulerpb.Job) { j.Description = "made by hand" })
	w.write(t, "a|* * * * *|DUE_JOBS", "b|* * * * *|DUE_JOBS")
	if diff := cmp.Diff([]string{"b foreign", "gone extra"}, w.drift(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	out, err := w.do(t, "apply")
	if err == nil || !strings.Contains(err.Error(), "adopt b: it was not made from the schedule file") || !strings.Contains(out, "gone") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, command := range [][]string{{"pause", "b"}, {"resume", "b"}, {"run", "b"}, {"pause", "other"}} {
		if _, err := w.do(t, command...); !errors.Is(err, cloudscheduler.ErrNotOurs) {
			t.Errorf("%v: %v", command, err)
		}
	}
	w.must(t, "pause", "--all")
	jobs := w.Jobs()
	if _, ok := jobs[schedulesParent+"/jobs/vibesdk-gone"]; ok {
		t.Error("what the file does not have any more is still there")
	}
	for name, state := range map[string]schedulerpb.Job_State{"a": schedulerpb.Job_PAUSED, "b": schedulerpb.Job_ENABLED, "other": schedulerpb.Job_ENABLED} {
		if got := jobs[schedulesParent+"/jobs/vibesdk-"+name].GetState(); got != state {
			t.Errorf("%s is %s", name, got)
		}
	}
	if jobs[schedulesParent+"/jobs/vibesdk-b"].GetSchedule() != "0 0 1 1 *" || len(w.Published()) > 0 {
		t.Error("a job of somebody else was changed or run")
	}
	w.must(t, "apply", "--adopt")
	if got := w.drift(t); !cmp.Equal(got, []string{"a stopped"}) {
		t.Errorf("after adopting: %q", got)
	}
}

func TestSchedulesArePausedResumedAndRun(t *testing.T) {
	t.Parallel()
	w := newSchedules(t)
	w.write(t, "a|* * * * *|DUE_JOBS", "b|* * * * *|STALE_SESSIONS")
	w.must(t, "apply")
	w.must(t, "pause", "a")
	w.must(t, "pause", "a") // again is no error
	if diff := cmp.Diff([]string{"a stopped"}, w.drift(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if out := w.must(t, "apply"); !strings.Contains(out, "left paused") {
		t.Errorf("apply:\n%s", out)
	}
	if w.Jobs()[schedulesParent+"/jobs/vibesdk-a"].GetState() != schedulerpb.Job_PAUSED {
		t.Error("apply resumed what a person paused")
	}
	w.must(t, "run", "a") // also while it is paused
	if diff := cmp.Diff([]schedulerfake.Published{{Topic: "projects/p/topics/vibesdk-cleanup-ticks", Data: `{"kind":"DUE_JOBS"}`}}, w.Published()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.must(t, "apply", "--resume")
	w.must(t, "resume", "a")
	if got := w.drift(t); len(got) > 0 {
		t.Errorf("%q", got)
	}
	out, err := w.do(t, "pause", "nosuch", "b")
	if err == nil || !strings.Contains(err.Error(), "nosuch") || w.Jobs()[schedulesParent+"/jobs/vibesdk-b"].GetState() != schedulerpb.Job_PAUSED {
		t.Errorf("one that is not there kept it from the other: %v\n%s", err, out)
	}
	w.Topics("projects/p/topics/other")
	if _, err := w.do(t, "run", "b"); err == nil || !strings.Contains(err.Error(), "could not publish: NotFound") {
		t.Errorf("run without a topic: %v", err)
	}
	if out := w.must(t, "list"); !strings.Contains(out, "NotFound") {
		t.Errorf("list does not show how it went:\n%s", out)
	}
}

// TestApplyAfterLostAnswers: a call fails before or after its effect; the same command again ends in the same state.
func TestApplyAfterLostAnswers(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"CreateJob", "UpdateJob", "DeleteJob"} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s after=%t", method, after), func(t *testing.T) {
				t.Parallel()
				w := newSchedules(t)
				w.write(t, "changed|* * * * *|DUE_JOBS", "extra|* * * * *|DUE_JOBS")
				w.must(t, "apply")
				w.write(t, "changed|0 * * * *|DUE_JOBS", "one|1 * * * *|DUE_JOBS", "two|2 * * * *|DUE_JOBS")
				w.Fail(method, codes.Internal, after)
				if _, err := w.do(t, "apply"); err == nil || !strings.Contains(err.Error(), "injected") {
					t.Errorf("the failure was not told: %v", err)
				}
				// Of the four jobs three are settled already: one that failed did not keep it from the others.
				if got := w.drift(t); len(got) > 1 || after && len(got) > 0 {
					t.Errorf("left: %q", got)
				}
				w.must(t, "apply")
				if got := w.drift(t); len(got) > 0 {
					t.Errorf("drift in the end: %q", got)
				}
			})
		}
	}
}

// TestSchedulesFollowTheSettings: what vibed is told of its installation holds for vibectl as well, and needs no flags.
func TestSchedulesFollowTheSettings(t *testing.T) {
	fake := schedulerfake.Start(t)
	for name, value := range map[string]string{
		"PUBSUB_PROJECT": "p", "PUBSUB_PREFIX": "prod-", "SCHEDULER_LOCATION": "europe-west1", "SCHEDULER_EMULATOR_HOST": fake.Addr,
	} {
		t.Setenv(name, value)
	}
	if out, err := vibectl(t, "", "", "schedules", "apply"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	entries, err := app.LoadSchedules("")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if topic := fake.Jobs()[schedulesParent+"/jobs/prod-"+e.Name].GetPubsubTarget().GetTopicName(); topic != "projects/p/topics/prod-"+e.Topic {
			t.Errorf("the job of %s publishes to %q", e.Name, topic)
		}
	}
	fake.Change(schedulesParent+"/jobs/prod-due-jobs", func(j *schedulerpb.Job) { j.State = schedulerpb.Job_PAUSED })
	out, _ := vibectl(t, "127.0.0.1:1", "", "doctor") // there is no gateway, which is not what this is about
	for _, want := range []string{"ok +schedule prod-stale-sandboxes", "WARN +schedule prod-due-jobs +is PAUSED"} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("the doctor does not say %q:\n%s", want, out)
		}
	}
}

func TestManySchedules(t *testing.T) {
	t.Parallel()
	w := newSchedules(t)
	lines := make([]string, 0, 620)
	for i := range 620 { // more than a page
		lines = append(lines, fmt.Sprintf("s%03d|* * * * *|DUE_JOBS", i))
	}
	w.write(t, lines...)
	w.must(t, "apply")
	if got := w.drift(t); len(got) > 0 || len(w.Jobs()) != len(lines) {
		t.Errorf("%d jobs, drift %d", len(w.Jobs()), len(got))
	}
}

func TestSchedulesRefuseBeforeTheyAsk(t *testing.T) {
	t.Parallel()
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	body := "schedules:\n  - {name: a, description: a, cron: '* * * * *', timeZone: Etc/UTC, topic: cleanup-ticks, payload: '{\"kind\":\"STALE_SANDBOX\"}'}\n" +
		"  - {name: b, description: b, cron: '* * * * *', timeZone: Etc/UTC, topic: clean-up, payload: '{}'}\n"
	if err := os.WriteFile(bad, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"no project":   {[]string{"diff", "--location", "europe-west1"}, []string{"--project"}},
		"no location":  {[]string{"diff", "--project", "p"}, []string{"--location"}},
		"no prefix":    {[]string{"diff", "--project", "p", "--location", "europe-west1", "--prefix", ""}, []string{"--prefix"}},
		"no such file": {[]string{"apply", "--project", "p", "--location", "europe-west1", "--file", "/no/such"}, []string{"/no/such"}},
		"bad payload and topic": {
			[]string{"apply", "--project", "p", "--location", "europe-west1", "--file", bad},
			[]string{"schedule a: payload", "kind", `schedule b: there is no topic "clean-up"`},
		},
		"no names":      {[]string{"pause"}, []string{"name schedules"}},
		"names and all": {[]string{"run", "a", "--all"}, []string{"name schedules"}},
	} {
		// Nothing listens at the endpoint: what is refused must be so before.
		_, err := vibectl(t, "", "", append([]string{"schedules", "--endpoint", "127.0.0.1:1"}, c.args...)...)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v does not say %q", name, err, want)
			}
		}
	}
}

// TestInvalidJobsAreTold is what the service says of a file that only it finds wrong.
func TestInvalidJobsAreTold(t *testing.T) {
	t.Parallel()
	w := newSchedules(t)
	w.write(t, "a|* * * * *|DUE_JOBS", "b|* * * * *|DUE_JOBS")
	w.Fail("CreateJob", codes.InvalidArgument, false)
	out, err := w.do(t, "apply", "-o", "json")
	if err == nil || !strings.Contains(err.Error(), "InvalidArgument") {
		t.Errorf("%v", err)
	}
	var results []done
	if err := json.Unmarshal([]byte(out), &results); err != nil || len(results) != 2 || results[0].Error == "" || results[1].Error != "" {
		t.Errorf("%v: %s", err, out)
	}
}

// TestTerraformMakesTheSameJobs holds infra/gcp/modules/schedule against want: both make jobs from one file, and neither may see the
// other's as drift.
func TestTerraformMakesTheSameJobs(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("../../infra/gcp/modules/schedule/main.tf")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := app.LoadSchedules("")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(body)), " ")
	retry := cloudscheduler.Naming{}.Want(entries[0]).GetRetryConfig()
	seconds := func(d *durationpb.Duration) string { return fmt.Sprintf("%ds", int(d.AsDuration()/time.Second)) }
	for _, want := range []string{
		`name = "${var.prefix}${each.key}"`,
		`description = "${each.value.description}` + cloudscheduler.OwnMark + `"`,
		"schedule = each.value.cron", "time_zone = each.value.timeZone",
		fmt.Sprintf("retry_count = %d", retry.GetRetryCount()),
		fmt.Sprintf("max_doublings = %d", retry.GetMaxDoublings()),
		fmt.Sprintf("min_backoff_duration = %q", seconds(retry.GetMinBackoffDuration())),
		fmt.Sprintf("max_backoff_duration = %q", seconds(retry.GetMaxBackoffDuration())),
		fmt.Sprintf("max_retry_duration = %q", seconds(retry.GetMaxRetryDuration())),
		"data = base64encode(each.value.payload)",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the module does not say %s", want)
		}
	}
}
