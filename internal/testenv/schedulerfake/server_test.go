package schedulerfake_test

import (
	"strings"
	"testing"

	scheduler "cloud.google.com/go/scheduler/apiv1"
	pb "cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"vibesdk-gcp/internal/testenv/schedulerfake"
)

const parent = "projects/p/locations/europe-west1"

func client(t *testing.T) (*schedulerfake.Server, *scheduler.CloudSchedulerClient) {
	t.Helper()
	s := schedulerfake.Start(t)
	c, err := scheduler.NewCloudSchedulerClient(t.Context(), option.WithEndpoint(s.Addr), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return s, c
}

func job(name string) *pb.Job {
	return &pb.Job{
		Name: parent + "/jobs/" + name, Schedule: "* * * * *", TimeZone: "Etc/UTC",
		Target: &pb.Job_PubsubTarget{PubsubTarget: &pb.PubsubTarget{TopicName: "projects/p/topics/ticks", Data: []byte("{}")}},
	}
}

func TestWhatTheServiceRefuses(t *testing.T) {
	t.Parallel()
	s, c := client(t)
	for name, change := range map[string]func(*pb.Job){
		"cron of four fields":      func(j *pb.Job) { j.Schedule = "* * * *" },
		"cron out of range":        func(j *pb.Job) { j.Schedule = "61 * * * *" },
		"no cron":                  func(j *pb.Job) { j.Schedule = "" },
		"time zone":                func(j *pb.Job) { j.TimeZone = "Mars/Olympus" },
		"local time":               func(j *pb.Job) { j.TimeZone = "Local" },
		"no target":                func(j *pb.Job) { j.Target = nil },
		"empty message":            func(j *pb.Job) { j.GetPubsubTarget().Data = nil },
		"topic of another project": func(j *pb.Job) { j.GetPubsubTarget().TopicName = "projects/q/topics/ticks" },
		"short topic":              func(j *pb.Job) { j.GetPubsubTarget().TopicName = "ticks" },
		"too many retries":         func(j *pb.Job) { j.RetryConfig = &pb.RetryConfig{RetryCount: 6} },
		"name of another place":    func(j *pb.Job) { j.Name = "projects/p/locations/us-east1/jobs/a" },
		"name with a slash":        func(j *pb.Job) { j.Name += "/b" },
		"long description":         func(j *pb.Job) { j.Description = strings.Repeat("x", 501) },
	} {
		j := job("a")
		change(j)
		if _, err := c.CreateJob(t.Context(), &pb.CreateJobRequest{Parent: parent, Job: j}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(s.Jobs()) > 0 {
		t.Error("something was made")
	}
}

func TestALifeOfAJob(t *testing.T) {
	t.Parallel()
	s, c := client(t)
	ctx := t.Context()
	name := parent + "/jobs/a"
	code := func(want codes.Code, err error) {
		t.Helper()
		if status.Code(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	_, err := c.GetJob(ctx, &pb.GetJobRequest{Name: name})
	code(codes.NotFound, err)
	_, err = c.UpdateJob(ctx, &pb.UpdateJobRequest{Job: job("a")})
	code(codes.NotFound, err)
	_, err = c.PauseJob(ctx, &pb.PauseJobRequest{Name: name})
	code(codes.NotFound, err)
	made, err := c.CreateJob(ctx, &pb.CreateJobRequest{Parent: parent, Job: job("a")})
	code(codes.OK, err)
	if made.GetState() != pb.Job_ENABLED || made.GetScheduleTime() == nil || made.GetRetryConfig().GetMaxDoublings() != 5 {
		t.Errorf("made: %v", made)
	}
	_, err = c.CreateJob(ctx, &pb.CreateJobRequest{Parent: parent, Job: job("a")})
	code(codes.AlreadyExists, err)
	_, err = c.ResumeJob(ctx, &pb.ResumeJobRequest{Name: name})
	code(codes.FailedPrecondition, err)
	_, err = c.PauseJob(ctx, &pb.PauseJobRequest{Name: name})
	code(codes.OK, err)
	_, err = c.PauseJob(ctx, &pb.PauseJobRequest{Name: name})
	code(codes.FailedPrecondition, err)

	change := job("a")
	change.Schedule, change.TimeZone = "0 * * * *", "Asia/Tokyo"
	changed, err := c.UpdateJob(ctx, &pb.UpdateJobRequest{Job: change, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"schedule"}}})
	code(codes.OK, err)
	if changed.GetSchedule() != "0 * * * *" || changed.GetTimeZone() != "Etc/UTC" || changed.GetState() != pb.Job_PAUSED {
		t.Errorf("changed: %v", changed)
	}
	_, err = c.UpdateJob(ctx, &pb.UpdateJobRequest{Job: change, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"state"}}})
	code(codes.InvalidArgument, err)
	change.Schedule = "never"
	_, err = c.UpdateJob(ctx, &pb.UpdateJobRequest{Job: change})
	code(codes.InvalidArgument, err)
	if got := s.Jobs()[name].GetSchedule(); got != "0 * * * *" {
		t.Errorf("a refused update left %q", got)
	}

	ran, err := c.RunJob(ctx, &pb.RunJobRequest{Name: name})
	code(codes.OK, err)
	if ran.GetLastAttemptTime() == nil || len(s.Published()) != 1 {
		t.Errorf("ran: %v, published %v", ran, s.Published())
	}
	code(codes.OK, c.DeleteJob(ctx, &pb.DeleteJobRequest{Name: name}))
	code(codes.NotFound, c.DeleteJob(ctx, &pb.DeleteJobRequest{Name: name}))
}

func TestListIsInPages(t *testing.T) {
	t.Parallel()
	_, c := client(t)
	for _, name := range []string{"c", "a", "b", "e", "d"} {
		if _, err := c.CreateJob(t.Context(), &pb.CreateJobRequest{Parent: parent, Job: job(name)}); err != nil {
			t.Fatal(err)
		}
	}
	it := c.ListJobs(t.Context(), &pb.ListJobsRequest{Parent: parent, PageSize: 2})
	var got string
	var pages []int
	pager := iterator.NewPager(it, 2, "")
	for {
		var page []*pb.Job
		token, err := pager.NextPage(&page)
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range page {
			got += j.GetName()[len(parent+"/jobs/"):]
		}
		pages = append(pages, len(page))
		if token == "" {
			break
		}
	}
	if got != "abcde" || len(pages) != 3 {
		t.Errorf("%s in pages %v", got, pages)
	}
	if _, err := c.ListJobs(t.Context(), &pb.ListJobsRequest{Parent: parent, PageToken: "eA=="}).Next(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a token of nobody: %v", err)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	s, c := client(t)
	s.Fail("CreateJob", codes.Internal, false)
	s.Fail("CreateJob", codes.Internal, true)
	for i, want := range []int{0, 1} {
		if _, err := c.CreateJob(t.Context(), &pb.CreateJobRequest{Parent: parent, Job: job("a")}); status.Code(err) != codes.Internal || len(s.Jobs()) != want {
			t.Errorf("call %d: %v, %d jobs", i, err, len(s.Jobs()))
		}
	}
	if _, err := c.CreateJob(t.Context(), &pb.CreateJobRequest{Parent: parent, Job: job("a")}); status.Code(err) != codes.AlreadyExists {
		t.Errorf("after the faults: %v", err)
	}
}
