package doctor

import (
	"bytes"
	"context"
	"errors"
	"time"

	scheduler "cloud.google.com/go/scheduler/apiv1"
	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/api/iterator"

	"vibesdk-gcp/internal/checkup"
	"vibesdk-gcp/internal/schedule"
)

// Schedules looks at the job of Cloud Scheduler of each schedule. prefix stands before the names of jobs,
// topicPrefix before those of topics.
func Schedules(ctx context.Context, p Place, prefix, topicPrefix string, entries []schedule.Entry) []checkup.Finding {
	f := checkup.About("schedules")
	if !p.known(f) {
		return f.Else("")
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	client, err := scheduler.NewCloudSchedulerClient(ctx, p.options()...)
	if err != nil {
		f.Skip("cannot connect to Cloud Scheduler: %v", err)
		return f.Else("")
	}
	defer func() { _ = client.Close() }() // everything was read
	jobs := map[string]*schedulerpb.Job{}
	for it := client.ListJobs(ctx, &schedulerpb.ListJobsRequest{Parent: p.parent()}); ; {
		job, err := it.Next()
		if errors.Is(err, iterator.Done) {
			break
		}
		if err != nil {
			return unread(f, err, "roles/cloudscheduler.viewer")
		}
		jobs[job.GetName()] = job
	}
	var found []checkup.Finding
	for _, e := range entries {
		about := checkup.About("schedule " + prefix + e.Name)
		judge(about, jobs[p.parent()+"/jobs/"+prefix+e.Name], e, "projects/"+p.Project+"/topics/"+topicPrefix+e.Topic, time.Now())
		found = append(found, about.Else("%s %s", e.Cron, e.TimeZone)...)
	}
	return found
}

func judge(f *checkup.Findings, job *schedulerpb.Job, e schedule.Entry, topic string, now time.Time) {
	target := job.GetPubsubTarget()
	switch {
	case job == nil:
		f.Fail(terraform, "has no job: its sweep never runs")
		return
	case target.GetTopicName() != topic:
		f.Fail(terraform, "publishes to %q, want %s", target.GetTopicName(), topic)
	case !bytes.Equal(target.GetData(), []byte(e.Payload)):
		f.Fail(terraform, "publishes %.100q, want %s", target.GetData(), e.Payload)
	}
	if job.GetSchedule() != e.Cron || job.GetTimeZone() != e.TimeZone {
		f.Warn(terraform, "fires at %q in %s, want %q in %s", job.GetSchedule(), job.GetTimeZone(), e.Cron, e.TimeZone)
	}
	switch job.GetState() {
	case schedulerpb.Job_PAUSED, schedulerpb.Job_DISABLED:
		f.Warn("gcloud scheduler jobs resume "+job.GetName(), "is %s: its sweep does not run", job.GetState())
	case schedulerpb.Job_UPDATE_FAILED:
		f.Fail(terraform, "its last update failed")
	case schedulerpb.Job_ENABLED, schedulerpb.Job_STATE_UNSPECIFIED: // as it should be
	}
	if code := job.GetStatus().GetCode(); code != 0 {
		f.Fail("may its service agent publish to "+topic+"?", "its last attempt failed with code %d: %s", code, job.GetStatus().GetMessage())
	}
	if due := job.GetScheduleTime(); due != nil && job.GetState() == schedulerpb.Job_ENABLED && now.Sub(due.AsTime()) > time.Hour {
		f.Fail("", "was due at %s and did not fire", due.AsTime().Format(time.RFC3339))
	}
}
