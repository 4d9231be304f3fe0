package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	scheduler "cloud.google.com/go/scheduler/apiv1"
	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// schedulerTimeout bounds one call: a person waits, and the client itself would try for ten minutes.
const schedulerTimeout = 30 * time.Second

// errNotOurs is a job that was not made from the schedule file.
var errNotOurs = errors.New("it was not made from the schedule file")

// cloudScheduler changes jobs of one installation.
type cloudScheduler struct {
	naming
	client *scheduler.CloudSchedulerClient
}

// openScheduler connects; an endpoint is a stand-in without TLS and credentials.
func openScheduler(ctx context.Context, n naming, endpoint string) (*cloudScheduler, error) {
	var options []option.ClientOption
	if endpoint != "" {
		options = []option.ClientOption{
			option.WithEndpoint(endpoint), option.WithoutAuthentication(),
			option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
		}
	}
	client, err := scheduler.NewCloudSchedulerClient(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("Cloud Scheduler: %w", err) //nolint:staticcheck // a name
	}
	return &cloudScheduler{naming: n, client: client}, nil
}

// list returns all jobs of the region whose names have our prefix.
func (s *cloudScheduler) list(ctx context.Context) ([]*schedulerpb.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, schedulerTimeout)
	defer cancel()
	var jobs []*schedulerpb.Job
	it := s.client.ListJobs(ctx, &schedulerpb.ListJobsRequest{Parent: s.parent()})
	for {
		job, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return jobs, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list the jobs of %s: %w", s.parent(), err)
		}
		if _, ok := s.short(job.GetName()); ok {
			jobs = append(jobs, job)
		}
	}
}

// settle brings one job to what the file says. It is harmless twice, and whatever became of a call before.
func (s *cloudScheduler) settle(ctx context.Context, d drift, adopt bool) error {
	ctx, cancel := context.WithTimeout(ctx, schedulerTimeout)
	defer cancel()
	switch {
	case d.Kind == driftMissing:
		return s.create(ctx, d.want, adopt)
	case d.Kind == driftForeign && !adopt:
		return errNotOurs
	case d.Kind == driftExtra:
		return s.remove(ctx, d.have)
	default:
		return s.update(ctx, d.want)
	}
}

// create makes a job. One that is there by now was made by somebody else at the same time, or by a call whose answer was lost.
func (s *cloudScheduler) create(ctx context.Context, want *schedulerpb.Job, adopt bool) error {
	_, err := s.client.CreateJob(ctx, &schedulerpb.CreateJobRequest{Parent: s.parent(), Job: want})
	if status.Code(err) != codes.AlreadyExists {
		return err
	}
	have, err := s.client.GetJob(ctx, &schedulerpb.GetJobRequest{Name: want.GetName()})
	switch {
	case err != nil:
		return err
	case !s.owns(have) && !adopt:
		return errNotOurs
	case s.owns(have) && len(differing(want, have)) == 0:
		return nil
	default:
		return s.update(ctx, want)
	}
}

func (s *cloudScheduler) update(ctx context.Context, want *schedulerpb.Job) error {
	_, err := s.client.UpdateJob(ctx, &schedulerpb.UpdateJobRequest{Job: want, UpdateMask: &fieldmaskpb.FieldMask{Paths: ownFields}})
	if status.Code(err) == codes.NotFound { // removed meanwhile
		_, err = s.client.CreateJob(ctx, &schedulerpb.CreateJobRequest{Parent: s.parent(), Job: want})
	}
	return err
}

// remove looks again before it removes: the job may have become somebody else's since it was listed.
func (s *cloudScheduler) remove(ctx context.Context, job *schedulerpb.Job) error {
	have, err := s.client.GetJob(ctx, &schedulerpb.GetJobRequest{Name: job.GetName()})
	if err == nil && !s.owns(have) {
		return errNotOurs
	}
	if err == nil {
		err = s.client.DeleteJob(ctx, &schedulerpb.DeleteJobRequest{Name: job.GetName()})
	}
	if status.Code(err) == codes.NotFound {
		return nil
	}
	return err
}

// own returns a job of ours by its name in the file.
func (s *cloudScheduler) own(ctx context.Context, name string) (*schedulerpb.Job, error) {
	job, err := s.client.GetJob(ctx, &schedulerpb.GetJobRequest{Name: s.job(name)})
	if err == nil && !s.owns(job) {
		err = errNotOurs
	}
	return job, err
}

// turn pauses or resumes a job. One that is so already is left as it is.
func (s *cloudScheduler) turn(ctx context.Context, name string, to schedulerpb.Job_State) error {
	ctx, cancel := context.WithTimeout(ctx, schedulerTimeout)
	defer cancel()
	job, err := s.own(ctx, name)
	if err != nil || job.GetState() == to {
		return err
	}
	if to == schedulerpb.Job_PAUSED {
		_, err = s.client.PauseJob(ctx, &schedulerpb.PauseJobRequest{Name: s.job(name)})
	} else {
		_, err = s.client.ResumeJob(ctx, &schedulerpb.ResumeJobRequest{Name: s.job(name)})
	}
	if status.Code(err) == codes.FailedPrecondition { // somebody else was quicker, perhaps
		if now, again := s.own(ctx, name); again == nil && now.GetState() == to {
			return nil
		}
	}
	return err
}

// run makes a job publish now.
func (s *cloudScheduler) run(ctx context.Context, name string) (*schedulerpb.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, schedulerTimeout)
	defer cancel()
	if job, err := s.own(ctx, name); err != nil {
		return job, err
	}
	job, err := s.client.RunJob(ctx, &schedulerpb.RunJobRequest{Name: s.job(name)})
	if err == nil && job.GetStatus().GetCode() != 0 {
		err = fmt.Errorf("it could not publish: %s", codes.Code(uint32(job.GetStatus().GetCode())))
	}
	return job, err
}
