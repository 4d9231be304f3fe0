package cloudscheduler

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

// callTimeout bounds one call: a person waits, and the client itself would try for ten minutes.
const callTimeout = 30 * time.Second

// ErrNotOurs is a job that was not made from the schedule file.
var ErrNotOurs = errors.New("it was not made from the schedule file")

// Service changes jobs of one installation. It is safe for concurrent use.
type Service struct {
	Naming

	client *scheduler.CloudSchedulerClient
}

// Open connects; an endpoint is a stand-in without TLS and credentials, and empty the service itself.
func Open(ctx context.Context, n Naming, endpoint string) (*Service, error) {
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
	return &Service{Naming: n, client: client}, nil
}

// Close closes the connection.
func (s *Service) Close() error { return s.client.Close() }

// List returns all jobs of the region whose names have our prefix, other people's as well.
func (s *Service) List(ctx context.Context) ([]*schedulerpb.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
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
		if _, ok := s.Short(job.GetName()); ok {
			jobs = append(jobs, job)
		}
	}
}

// Settle brings one job to what the file says. It is harmless twice, and whatever became of a call before. Without adopt a job that
// is not ours is [ErrNotOurs].
func (s *Service) Settle(ctx context.Context, d Drift, adopt bool) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	switch {
	case d.Kind == Missing:
		return s.create(ctx, d.Want, adopt)
	case d.Kind == Foreign && !adopt:
		return ErrNotOurs
	case d.Kind == Extra:
		return s.remove(ctx, d.Have)
	default:
		return s.update(ctx, d.Want)
	}
}

// create makes a job. One that is there by now was made by somebody else at the same time, or by a call whose answer was lost.
func (s *Service) create(ctx context.Context, want *schedulerpb.Job, adopt bool) error {
	_, err := s.client.CreateJob(ctx, &schedulerpb.CreateJobRequest{Parent: s.parent(), Job: want})
	if status.Code(err) != codes.AlreadyExists {
		return err
	}
	have, err := s.client.GetJob(ctx, &schedulerpb.GetJobRequest{Name: want.GetName()})
	switch {
	case err != nil:
		return err
	case !s.Owns(have) && !adopt:
		return ErrNotOurs
	case s.Owns(have) && len(differing(want, have)) == 0:
		return nil
	default:
		return s.update(ctx, want)
	}
}

func (s *Service) update(ctx context.Context, want *schedulerpb.Job) error {
	_, err := s.client.UpdateJob(ctx, &schedulerpb.UpdateJobRequest{Job: want, UpdateMask: &fieldmaskpb.FieldMask{Paths: ownFields}})
	if status.Code(err) == codes.NotFound { // removed meanwhile
		_, err = s.client.CreateJob(ctx, &schedulerpb.CreateJobRequest{Parent: s.parent(), Job: want})
	}
	return err
}

// remove looks again before it removes: the job may have become somebody else's since it was listed.
func (s *Service) remove(ctx context.Context, job *schedulerpb.Job) error {
	have, err := s.client.GetJob(ctx, &schedulerpb.GetJobRequest{Name: job.GetName()})
	if err == nil && !s.Owns(have) {
		return ErrNotOurs
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
func (s *Service) own(ctx context.Context, name string) (*schedulerpb.Job, error) {
	job, err := s.client.GetJob(ctx, &schedulerpb.GetJobRequest{Name: s.Job(name)})
	if err == nil && !s.Owns(job) {
		err = ErrNotOurs
	}
	return job, err
}

// Turn pauses or resumes a job by its name in the file. One that is so already is left as it is.
func (s *Service) Turn(ctx context.Context, name string, to schedulerpb.Job_State) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	job, err := s.own(ctx, name)
	if err != nil || job.GetState() == to {
		return err
	}
	if to == schedulerpb.Job_PAUSED {
		_, err = s.client.PauseJob(ctx, &schedulerpb.PauseJobRequest{Name: s.Job(name)})
	} else {
		_, err = s.client.ResumeJob(ctx, &schedulerpb.ResumeJobRequest{Name: s.Job(name)})
	}
	if status.Code(err) == codes.FailedPrecondition { // somebody else was quicker, perhaps
		if now, again := s.own(ctx, name); again == nil && now.GetState() == to {
			return nil
		}
	}
	return err
}

// Run makes a job publish now.
func (s *Service) Run(ctx context.Context, name string) (*schedulerpb.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if job, err := s.own(ctx, name); err != nil {
		return job, err
	}
	job, err := s.client.RunJob(ctx, &schedulerpb.RunJobRequest{Name: s.Job(name)})
	if err == nil && job.GetStatus().GetCode() != 0 {
		err = fmt.Errorf("it could not publish: %s", codes.Code(uint32(job.GetStatus().GetCode())))
	}
	return job, err
}
