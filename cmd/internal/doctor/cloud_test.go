package doctor_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"vibesdk-gcp/cmd/internal/doctor"
	"vibesdk-gcp/internal/checkup"
	"vibesdk-gcp/internal/schedule"
)

// cloud is what Cloud Run and Cloud Scheduler answer.
type cloud struct {
	job  *runpb.Job
	jobs []*schedulerpb.Job
	err  error
}

type jobServer struct {
	runpb.UnimplementedJobsServer
	*cloud
}

type scheduleServer struct {
	schedulerpb.UnimplementedCloudSchedulerServer
	*cloud
}

func (c jobServer) GetJob(_ context.Context, in *runpb.GetJobRequest) (*runpb.Job, error) {
	if in.GetName() != "projects/p/locations/europe-west1/jobs/vibesdk-sandbox-job" {
		return nil, status.Error(codes.NotFound, in.GetName())
	}
	return c.job, c.err
}

// ListJobs answers one job a page, as a service may.
func (c scheduleServer) ListJobs(_ context.Context, in *schedulerpb.ListJobsRequest) (*schedulerpb.ListJobsResponse, error) {
	n := 0
	if in.GetPageToken() != "" {
		if _, err := fmt.Sscan(in.GetPageToken(), &n); err != nil {
			return nil, err
		}
	}
	if c.err != nil || n >= len(c.jobs) {
		return &schedulerpb.ListJobsResponse{}, c.err
	}
	return &schedulerpb.ListJobsResponse{Jobs: c.jobs[n : n+1], NextPageToken: fmt.Sprint(n + 1)}, nil
}

func (c *cloud) start(t *testing.T) doctor.Place {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	runpb.RegisterJobsServer(server, jobServer{cloud: c})
	schedulerpb.RegisterCloudSchedulerServer(server, scheduleServer{cloud: c})
	go func() { _ = server.Serve(ln) }() // until the test stops it
	t.Cleanup(server.Stop)
	return doctor.Place{Project: "p", Region: "europe-west1", Endpoint: ln.Addr().String()}
}

// want holds findings against "status: text of detail or fix".
func want(t *testing.T, got []checkup.Finding, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d findings, want %d: %+v", len(got), len(want), got)
	}
	for i, f := range got {
		wantStatus, text, _ := strings.Cut(want[i], ": ")
		if string(f.Status) != wantStatus || !strings.Contains(f.Subject+"\n"+f.Detail+"\n"+f.Fix, text) {
			t.Errorf("finding %d: %+v, want %s", i, f, want[i])
		}
	}
}

func TestJob(t *testing.T) {
	t.Parallel()
	job := func(change func(*runpb.Job)) *runpb.Job {
		j := &runpb.Job{Template: &runpb.ExecutionTemplate{TaskCount: 1, Template: &runpb.TaskTemplate{
			Retries: &runpb.TaskTemplate_MaxRetries{MaxRetries: 0}, ServiceAccount: "sandbox@p.iam.gserviceaccount.com",
			Containers: []*runpb.Container{{Image: "i"}},
		}}}
		change(j)
		return j
	}
	for name, c := range map[string]struct {
		cloud cloud
		want  []string
	}{
		"all well": {cloud{job: job(func(*runpb.Job) {})}, []string{"ok: as sandbox@p.iam"}},
		"retries": {cloud{job: job(func(j *runpb.Job) {
			j.Template.Template.Retries = &runpb.TaskTemplate_MaxRetries{MaxRetries: 3}
			j.Template.TaskCount = 2
		})}, []string{"fail: --max-retries=0", "fail: --tasks=1"}},
		"rights": {cloud{job: job(func(j *runpb.Job) { j.Template.Template.ServiceAccount = "1-compute@developer.gserviceaccount.com" })}, []string{"fail: default account"}},
		"no account and image": {cloud{job: job(func(j *runpb.Job) {
			j.Template.Template.ServiceAccount, j.Template.Template.Containers = "", nil
		})}, []string{"fail: default account", "fail: no image"}},
		"broken": {cloud{job: job(func(j *runpb.Job) {
			j.TerminalCondition = &runpb.Condition{State: runpb.Condition_CONDITION_FAILED, Message: "image gone"}
		})}, []string{"fail: image gone"}},
		"missing":   {cloud{err: status.Error(codes.NotFound, "")}, []string{"fail: is not there"}},
		"forbidden": {cloud{err: status.Error(codes.PermissionDenied, "")}, []string{"skipped: roles/run.viewer"}},
		"odd":       {cloud{err: status.Error(codes.InvalidArgument, "odd")}, []string{"fail: odd"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want(t, doctor.Job(t.Context(), c.cloud.start(t), "vibesdk-sandbox-job"), c.want...)
		})
	}
	want(t, doctor.Job(t.Context(), doctor.Place{}, "j"), "skipped: --project")
	want(t, doctor.Job(t.Context(), doctor.Place{Project: "p"}, "j"), "skipped: --region")
}

func TestSchedules(t *testing.T) {
	t.Parallel()
	entry := schedule.Entry{Name: "due-jobs", Cron: "* * * * *", TimeZone: "Etc/UTC", Topic: "cleanup-ticks", Payload: `{"kind":"DUE_JOBS"}`}
	job := func(change func(*schedulerpb.Job, *schedulerpb.PubsubTarget)) []*schedulerpb.Job {
		target := &schedulerpb.PubsubTarget{TopicName: "projects/p/topics/x-cleanup-ticks", Data: []byte(entry.Payload)}
		j := &schedulerpb.Job{
			Name: "projects/p/locations/europe-west1/jobs/x-due-jobs", Schedule: entry.Cron, TimeZone: entry.TimeZone, State: schedulerpb.Job_ENABLED,
			Target: &schedulerpb.Job_PubsubTarget{PubsubTarget: target}, ScheduleTime: timestamppb.New(time.Now().Add(time.Minute)),
		}
		change(j, target)
		return []*schedulerpb.Job{{Name: "projects/p/locations/europe-west1/jobs/somebody-elses"}, j}
	}
	for name, c := range map[string]struct {
		cloud cloud
		want  []string
	}{
		"all well": {cloud{jobs: job(func(*schedulerpb.Job, *schedulerpb.PubsubTarget) {})}, []string{"ok: schedule x-due-jobs"}},
		"missing":  {cloud{}, []string{"fail: never runs"}},
		"elsewhere": {
			cloud{jobs: job(func(_ *schedulerpb.Job, to *schedulerpb.PubsubTarget) {
				to.TopicName = "projects/p/topics/cleanup-ticks"
			})},
			[]string{"fail: want projects/p/topics/x-cleanup-ticks"},
		},
		"other payload": {cloud{jobs: job(func(_ *schedulerpb.Job, to *schedulerpb.PubsubTarget) { to.Data = []byte("{}") })}, []string{"fail: publishes \"{}\""}},
		"other time":    {cloud{jobs: job(func(j *schedulerpb.Job, _ *schedulerpb.PubsubTarget) { j.Schedule = "0 0 * * *" })}, []string{"warn: fires at"}},
		"paused":        {cloud{jobs: job(func(j *schedulerpb.Job, _ *schedulerpb.PubsubTarget) { j.State = schedulerpb.Job_PAUSED })}, []string{"warn: jobs resume"}},
		"failing": {
			cloud{jobs: job(func(j *schedulerpb.Job, _ *schedulerpb.PubsubTarget) {
				j.Status = &statuspb.Status{Code: 7, Message: "no right"}
			})},
			[]string{"fail: code 7: no right"},
		},
		"silent": {
			cloud{jobs: job(func(j *schedulerpb.Job, _ *schedulerpb.PubsubTarget) {
				j.ScheduleTime = timestamppb.New(time.Now().Add(-2 * time.Hour))
			})},
			[]string{"fail: did not fire"},
		},
		"forbidden": {cloud{err: status.Error(codes.PermissionDenied, "")}, []string{"skipped: roles/cloudscheduler.viewer"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want(t, doctor.Schedules(t.Context(), c.cloud.start(t), "x-", "x-", []schedule.Entry{entry}), c.want...)
		})
	}
	want(t, doctor.Schedules(t.Context(), doctor.Place{}, "", "", nil), "skipped: --project")
}
