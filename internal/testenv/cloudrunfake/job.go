package cloudrunfake

import (
	"context"
	"maps"
	"slices"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

type jobsServer struct {
	runpb.UnimplementedJobsServer
	s *Server
}

// CreateJob implements runpb.JobsServer. With an execution token it runs the job once, as the execution `<job>-<token>`.
func (j jobsServer) CreateJob(_ context.Context, req *runpb.CreateJobRequest) (*longrunningpb.Operation, error) {
	s := j.s
	if err := s.checkParent(req.GetParent()); err != nil {
		return nil, err
	}
	if err := checkID("job_id", req.GetJobId(), 64); err != nil {
		return nil, err
	}
	job := proto.CloneOf(req.GetJob())
	token := job.GetStartExecutionToken() + job.GetRunExecutionToken()
	if token != "" && (len(req.GetJobId())+len(token) >= 63 || !idPattern.MatchString("x"+token)) {
		return nil, invalid("execution token %q: with the job's name it must be fewer than 63 lowercase letters, digits and hyphens", token)
	}
	if err := checkJob(job); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jobs[req.GetJobId()] != nil {
		return nil, exists(s.parent + "/jobs/" + req.GetJobId())
	}
	if len(s.jobs) >= s.o.Quotas.Jobs {
		return nil, exhausted("Jobs", s.o.Quotas.Jobs)
	}
	if req.GetValidateOnly() {
		return s.done(job), nil
	}
	job.Name, job.Uid, job.Generation, job.ObservedGeneration = s.parent+"/jobs/"+req.GetJobId(), uuid.NewString(), 1, 1
	job.CreateTime, job.UpdateTime, job.Etag = timestamppb.Now(), timestamppb.Now(), s.etag()
	job.TerminalCondition = condition("Ready", runpb.Condition_CONDITION_SUCCEEDED, "")
	s.jobs[req.GetJobId()] = job
	op := s.begin(job)
	if token != "" {
		if _, err := s.execute(req.GetJobId(), job, nil, token); err != nil {
			return nil, err
		}
	}
	s.operate(0, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.finish(op.Name, job, nil)
	})
	return op, nil
}

func checkJob(job *runpb.Job) error {
	if job.GetTemplate().GetTemplate() == nil {
		return invalid("template: is required")
	}
	if err := checkLabels(job.GetLabels()); err != nil {
		return err
	}
	_, err := containerOf("", job.GetTemplate().GetTemplate().GetContainers())
	return err
}

// done is the operation of a call that only validates. The caller holds mu.
func (s *Server) done(resource proto.Message) *longrunningpb.Operation {
	op := s.begin(resource)
	s.finish(op.Name, resource, nil)
	return proto.CloneOf(s.operations[op.Name])
}

func (s *Server) job(name string) (string, *runpb.Job, error) {
	id, err := s.id(name, "jobs")
	if err != nil {
		return "", nil, err
	}
	if s.jobs[id] == nil {
		return "", nil, notFound(name)
	}
	return id, s.jobs[id], nil
}

// GetJob implements runpb.JobsServer.
func (j jobsServer) GetJob(_ context.Context, req *runpb.GetJobRequest) (*runpb.Job, error) {
	j.s.mu.Lock()
	defer j.s.mu.Unlock()
	_, job, err := j.s.job(req.GetName())
	return proto.CloneOf(job), err
}

// ListJobs implements runpb.JobsServer.
func (j jobsServer) ListJobs(_ context.Context, req *runpb.ListJobsRequest) (*runpb.ListJobsResponse, error) {
	if err := j.s.checkParent(req.GetParent()); err != nil {
		return nil, err
	}
	j.s.mu.Lock()
	defer j.s.mu.Unlock()
	var all []*runpb.Job
	for _, job := range j.s.jobs {
		all = append(all, proto.CloneOf(job))
	}
	items, next, err := page(newestFirst(all), req.GetPageSize(), req.GetPageToken())
	return &runpb.ListJobsResponse{Jobs: items, NextPageToken: next}, err
}

// UpdateJob implements runpb.JobsServer.
func (j jobsServer) UpdateJob(ctx context.Context, req *runpb.UpdateJobRequest) (*longrunningpb.Operation, error) {
	s := j.s
	if err := checkJob(req.GetJob()); err != nil {
		return nil, err
	}
	id, err := s.id(req.GetJob().GetName(), "jobs")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	present := s.jobs[id]
	if present == nil && req.GetAllowMissing() {
		s.mu.Unlock()
		return j.CreateJob(ctx, &runpb.CreateJobRequest{Parent: s.parent, Job: req.GetJob(), JobId: id, ValidateOnly: req.GetValidateOnly()})
	}
	defer s.mu.Unlock()
	if present == nil {
		return nil, notFound(req.GetJob().GetName())
	}
	if err := checkEtag(req.GetJob().GetEtag(), present.GetEtag(), present.GetName()); err != nil {
		return nil, err
	}
	if req.GetValidateOnly() {
		return s.done(present), nil
	}
	present.Template, present.Labels, present.Annotations = proto.CloneOf(req.GetJob().GetTemplate()), req.GetJob().GetLabels(), req.GetJob().GetAnnotations()
	present.Generation++
	present.ObservedGeneration, present.UpdateTime, present.Etag = present.Generation, timestamppb.Now(), s.etag()
	return s.done(present), nil
}

// DeleteJob implements runpb.JobsServer. It ends the job's executions, and is refused while any runs.
func (j jobsServer) DeleteJob(_ context.Context, req *runpb.DeleteJobRequest) (*longrunningpb.Operation, error) {
	s := j.s
	s.mu.Lock()
	defer s.mu.Unlock()
	id, job, err := s.job(req.GetName())
	if err != nil {
		return nil, err
	}
	if err := checkEtag(req.GetEtag(), job.GetEtag(), job.GetName()); err != nil {
		return nil, err
	}
	for _, e := range s.executions {
		if e.job == id && !e.over() {
			return nil, status.Errorf(codes.FailedPrecondition, "Job '%s' has running executions: cancel them first", job.GetName())
		}
	}
	if req.GetValidateOnly() {
		return s.done(job), nil
	}
	delete(s.jobs, id)
	maps.DeleteFunc(s.executions, func(_ string, e *execution) bool { return e.job == id })
	job.DeleteTime = timestamppb.Now()
	return s.done(job), nil
}

// RunJob implements runpb.JobsServer.
func (j jobsServer) RunJob(_ context.Context, req *runpb.RunJobRequest) (*longrunningpb.Operation, error) {
	s := j.s
	s.mu.Lock()
	defer s.mu.Unlock()
	id, job, err := s.job(req.GetName())
	if err != nil {
		return nil, err
	}
	if err := checkEtag(req.GetEtag(), job.GetEtag(), job.GetName()); err != nil {
		return nil, err
	}
	if err := checkOverrides(job.GetTemplate().GetTemplate().GetContainers()[0], req.GetOverrides()); err != nil {
		return nil, err
	}
	if req.GetValidateOnly() {
		return s.done(job), nil
	}
	return s.execute(id, job, req.GetOverrides(), "")
}

func checkOverrides(container *runpb.Container, o *runpb.RunJobRequest_Overrides) error {
	if len(o.GetContainerOverrides()) > 1 {
		return invalid("overrides.container_overrides: the job has one container")
	}
	for _, c := range o.GetContainerOverrides() {
		if c.GetName() != "" && c.GetName() != container.GetName() {
			return invalid("overrides.container_overrides: there is no container %q", c.GetName())
		}
		if c.GetClearArgs() && len(c.GetArgs()) > 0 {
			return invalid("overrides.container_overrides: clear_args goes without args")
		}
	}
	if o.GetTimeout() != nil && o.GetTimeout().AsDuration() <= 0 {
		return invalid("overrides.timeout: must be positive")
	}
	return nil
}

// override returns the task of an execution.
func override(task *runpb.TaskTemplate, o *runpb.RunJobRequest_Overrides) *runpb.TaskTemplate {
	task = proto.CloneOf(task)
	if o.GetTimeout() != nil {
		task.Timeout = o.GetTimeout()
	}
	container := task.Containers[0]
	for _, c := range o.GetContainerOverrides() {
		if len(c.GetArgs()) > 0 || c.GetClearArgs() {
			container.Args = c.GetArgs()
		}
		for _, v := range c.GetEnv() {
			container.Env = slices.DeleteFunc(container.Env, func(old *runpb.EnvVar) bool { return old.GetName() == v.GetName() })
			container.Env = append(container.Env, v)
		}
	}
	return task
}
