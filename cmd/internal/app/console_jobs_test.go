package app_test

import (
	"testing"
	"time"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/cmd/internal/cloudscheduler"
	"vibesdk-gcp/internal/testenv/schedulerfake"
)

// TestConsolePausesJobsOfCloudScheduler is about a gateway that fires nothing itself, as on Google Cloud.
func TestConsolePausesJobsOfCloudScheduler(t *testing.T) {
	t.Parallel()
	fake := schedulerfake.Start(t)
	c := config(t)
	admin, reader := scoped(t, &c, "admin"), scoped(t, &c, "metrics:read")
	c.Scheduler = app.SchedulerConfig{Project: "p", Location: "europe-west1", TopicPrefix: "prod-", Endpoint: fake.Addr, Timeout: patient}
	naming := cloudscheduler.Naming{Project: "p", Location: "europe-west1", Prefix: "prod-", TopicPrefix: "prod-"}
	w := start(t, c, app.RoleGateway)
	v := w.visitor(t)
	v.signIn(t, admin)
	v.get(t, "/schedules").has(t, 200, "Cloud Scheduler fires them", "there is no job for it", `badge bad">failed`, "!not known")
	v.post(t, "/schedules/due-jobs/pause").has(t, 409, "The schedule was left as it is", "there is no such job")

	service, err := cloudscheduler.Open(t.Context(), naming, fake.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	entries, err := app.LoadSchedules("")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range cloudscheduler.Compare(naming, entries, nil) {
		if err := service.Settle(within(t), d, false); err != nil {
			t.Fatal(err)
		}
	}
	state := func(want schedulerpb.Job_State) {
		t.Helper()
		if got := fake.Jobs()[naming.Job("due-jobs")].GetState(); got != want {
			t.Errorf("the job is %s, want %s", got, want)
		}
	}
	// To an account that may not see whole jobs the service does not show what they publish.
	fake.Change(naming.Job("expired-files"), func(j *schedulerpb.Job) { j.GetPubsubTarget().Data = nil })
	v.get(t, "/schedules").has(t, 200, "Pause due-jobs", "Run due-jobs now", `badge good">runs`, "!there is no job", "!not known", "!Resume due-jobs", "!failed")
	for range 2 { // a second click on a page that is old
		v.post(t, "/schedules/due-jobs/pause").leads(t, "/console/schedules?done=paused")
		state(schedulerpb.Job_PAUSED)
	}
	v.get(t, "/schedules?done=paused").has(t, 200, "The schedule is paused", "Resume due-jobs", "!Pause due-jobs", "Pause stale-sandboxes")
	v.post(t, "/schedules/due-jobs/resume").leads(t, "/console/schedules?done=resumed")
	state(schedulerpb.Job_ENABLED)
	v.post(t, "/schedules/none/pause").has(t, 404, "There is no such schedule")

	// What became of it, as Cloud Scheduler says.
	last := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	fake.Change(naming.Job("stale-sandboxes"), func(j *schedulerpb.Job) {
		j.LastAttemptTime = timestamppb.New(last)
		j.Status = &status.Status{Code: int32(codes.PermissionDenied), Message: "project-number-7"}
	})
	fake.Change(naming.Job("stale-sessions"), func(j *schedulerpb.Job) { j.Schedule = "0 0 1 1 *" })
	v.get(t, "/schedules").has(t, 200, "2026-03-04 05:06:07 UTC", "it could not publish: PermissionDenied", "!project-number-7", "differs from the schedule file in cron")
	fake.Change(naming.Job("due-jobs"), func(j *schedulerpb.Job) { j.Description = "made by hand" })
	v.get(t, "/schedules").has(t, 200, "the job of its name was not made from the schedule file")
	v.post(t, "/schedules/due-jobs/pause").has(t, 409, "was not made from the schedule file")
	state(schedulerpb.Job_ENABLED)

	// An account without the rights: the page says so, and still publishes, which goes another way.
	fake.Fail("PauseJob", codes.PermissionDenied, false)
	v.post(t, "/schedules/stale-sandboxes/pause").has(t, 409, "the account of this gateway may not do that", "!injected")
	fake.Fail("ListJobs", codes.PermissionDenied, false)
	v.get(t, "/schedules").has(t, 200, "It does not say now how they stand: the account of this gateway may not do that", "not known", "!Pause ", "Run due-jobs now", "!injected")
	v.post(t, "/schedules/due-jobs/run").leads(t, "/console/schedules?done=published")

	few := w.visitor(t)
	few.signIn(t, reader)
	few.get(t, "/schedules").has(t, 200, "stale-sandboxes", "!Pause ", "!Run ")
	few.post(t, "/schedules/stale-sandboxes/pause").has(t, 403, "It needs the scope admin")
}
