package cloudrunfake

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// execution is one run of a job.
type execution struct {
	*runpb.Execution
	job    string
	stop   context.CancelFunc
	cancel bool // it was asked to end
}

func (e *execution) over() bool { return e.CompletionTime != nil }

type executionsServer struct {
	runpb.UnimplementedExecutionsServer
	s *Server
}

// execute starts an execution. The caller holds mu.
func (s *Server) execute(jobID string, job *runpb.Job, o *runpb.RunJobRequest_Overrides, token string) (*longrunningpb.Operation, error) {
	running := 0
	for _, e := range s.executions {
		if !e.over() {
			running++
		}
	}
	if running >= s.o.Quotas.RunningExecutions {
		return nil, exhausted("running executions", s.o.Quotas.RunningExecutions)
	}
	if token == "" {
		token = strings.ToLower(rand.Text()[:5])
	}
	id := jobID + "-" + token
	if s.executions[id] != nil {
		return nil, exists(job.GetName() + "/executions/" + id)
	}
	task := override(job.GetTemplate().GetTemplate(), o)
	container, err := containerOf(id, task.GetContainers())
	if err != nil {
		return nil, err
	}
	e := &execution{job: jobID, Execution: &runpb.Execution{
		Name: job.GetName() + "/executions/" + id, Uid: uuid.NewString(), Generation: 1, Job: jobID, TaskCount: 1, Parallelism: 1,
		Labels: job.GetTemplate().GetLabels(), Annotations: job.GetTemplate().GetAnnotations(), Template: task,
		CreateTime: timestamppb.Now(), UpdateTime: timestamppb.Now(), Etag: s.etag(), Reconciling: true,
		Conditions: []*runpb.Condition{condition("Completed", runpb.Condition_CONDITION_RECONCILING, "Waiting for execution to complete.")},
	}}
	s.executions[id] = e
	job.ExecutionCount++
	job.LatestCreatedExecution = &runpb.ExecutionReference{Name: e.Name, CreateTime: e.CreateTime}
	var ctx context.Context
	ctx, e.stop = context.WithCancel(s.ctx)
	op := s.begin(e.Execution)
	s.later(0, func() { s.runExecution(ctx, e, container, op.Name) })
	return op, nil
}

// runExecution sees an execution through to its end: start, attempts, outcome.
func (s *Server) runExecution(ctx context.Context, e *execution, c Container, op string) {
	defer e.stop()
	timer := time.NewTimer(s.o.StartLatency)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	c.Env["CLOUD_RUN_JOB"], c.Env["CLOUD_RUN_EXECUTION"], c.Env["CLOUD_RUN_TASK_INDEX"], c.Env["CLOUD_RUN_TASK_COUNT"] = e.job, c.Resource, "0", "1"
	retries := int32(3)
	if r, ok := e.Template.GetRetries().(*runpb.TaskTemplate_MaxRetries); ok {
		retries = r.MaxRetries
	}
	timeout := 10 * time.Minute
	if t := e.Template.GetTimeout(); t != nil {
		timeout = t.AsDuration()
	}
	message := ""
	for attempt := int32(0); attempt <= retries && ctx.Err() == nil; attempt++ {
		s.change(e, func() {
			e.RunningCount = 1
			if e.StartTime == nil {
				e.StartTime = timestamppb.Now()
			}
			if attempt > 0 {
				e.RetriedCount = 1
			}
		})
		c.Env["CLOUD_RUN_TASK_ATTEMPT"] = strconv.Itoa(int(attempt))
		limited, cancel := context.WithTimeout(ctx, timeout)
		code, err := s.run(limited, c)
		late := limited.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err != nil:
			message = fmt.Sprintf("The container could not be started: %v.", err)
		case late:
			message = fmt.Sprintf("The configured timeout was reached: %s.", timeout)
		case code != 0:
			message = fmt.Sprintf("Task %s-task0 failed with message: The container exited with an error. Container called exit(%d).", c.Resource, code)
		default:
			message = ""
		}
		if message == "" {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.complete(e, message)
	if s.executions[c.Resource] == e {
		s.trim(e.job)
	}
	var failed error
	if e.SucceededCount == 0 {
		failed = status.Error(codes.FailedPrecondition, e.Conditions[0].GetMessage())
	}
	s.finish(op, e.Execution, failed)
}

// complete writes down how an execution ended. The caller holds mu.
func (s *Server) complete(e *execution, message string) {
	e.RunningCount, e.Reconciling, e.ObservedGeneration = 0, false, e.Generation
	e.CompletionTime, e.UpdateTime, e.Etag = timestamppb.Now(), timestamppb.Now(), s.etag()
	c := condition("Completed", runpb.Condition_CONDITION_SUCCEEDED, "")
	switch {
	case e.cancel:
		e.CancelledCount = 1
		c = condition("Completed", runpb.Condition_CONDITION_FAILED, "Execution was cancelled.")
		c.Reasons = &runpb.Condition_ExecutionReason_{ExecutionReason: runpb.Condition_CANCELLED}
	case message != "":
		e.FailedCount = 1
		c = condition("Completed", runpb.Condition_CONDITION_FAILED, message)
		c.Reasons = &runpb.Condition_ExecutionReason_{ExecutionReason: runpb.Condition_NON_ZERO_EXIT_CODE}
	default:
		e.SucceededCount = 1
	}
	e.Conditions = []*runpb.Condition{c}
}

// trim forgets the oldest completed executions of a job beyond those that are kept. The caller holds mu.
func (s *Server) trim(job string) {
	var ended []*execution
	for _, e := range s.executions {
		if e.job == job && e.over() {
			ended = append(ended, e)
		}
	}
	if len(ended) <= s.o.Quotas.KeptExecutions {
		return
	}
	for _, e := range newestFirst(ended)[s.o.Quotas.KeptExecutions:] {
		delete(s.executions, lastPart(e.Name))
	}
}

func lastPart(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

func (s *Server) change(e *execution, fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
	e.UpdateTime, e.Etag = timestamppb.Now(), s.etag()
}

// execution finds one by name. The caller holds mu.
func (s *Server) execution(name string) (*execution, error) {
	job, id, found := strings.Cut(name, "/executions/")
	jobID, err := s.id(job, "jobs")
	if err != nil || !found {
		return nil, invalid("name %q is not of the form %s/jobs/{job}/executions/{execution}", name, s.parent)
	}
	e := s.executions[id]
	if e == nil || e.job != jobID {
		return nil, notFound(name)
	}
	return e, nil
}

// GetExecution implements runpb.ExecutionsServer.
func (x executionsServer) GetExecution(_ context.Context, req *runpb.GetExecutionRequest) (*runpb.Execution, error) {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	e, err := x.s.execution(req.GetName())
	if err != nil {
		return nil, err
	}
	return proto.CloneOf(e.Execution), nil
}

// ListExecutions implements runpb.ExecutionsServer.
func (x executionsServer) ListExecutions(_ context.Context, req *runpb.ListExecutionsRequest) (*runpb.ListExecutionsResponse, error) {
	job, err := x.s.id(req.GetParent(), "jobs")
	if err != nil {
		return nil, err
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	var all []*runpb.Execution
	for _, e := range x.s.executions {
		if job == "-" || e.job == job {
			all = append(all, proto.CloneOf(e.Execution))
		}
	}
	items, next, err := page(newestFirst(all), req.GetPageSize(), req.GetPageToken())
	return &runpb.ListExecutionsResponse{Executions: items, NextPageToken: next}, err
}

// CancelExecution implements runpb.ExecutionsServer. One that has ended stays as it ended.
func (x executionsServer) CancelExecution(_ context.Context, req *runpb.CancelExecutionRequest) (*longrunningpb.Operation, error) {
	s := x.s
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.execution(req.GetName())
	if err != nil {
		return nil, err
	}
	if err := checkEtag(req.GetEtag(), e.GetEtag(), e.GetName()); err != nil {
		return nil, err
	}
	if e.over() || req.GetValidateOnly() {
		return s.done(e.Execution), nil
	}
	if !e.cancel {
		e.cancel = true
		c := condition("Completed", runpb.Condition_CONDITION_RECONCILING, "Execution is being cancelled.")
		c.Reasons = &runpb.Condition_ExecutionReason_{ExecutionReason: runpb.Condition_CANCELLING}
		e.Conditions = []*runpb.Condition{c}
		e.Etag = s.etag()
		s.operate(0, e.stop)
	}
	op := s.begin(e.Execution)
	s.finishWhen(op.Name, func() (bool, proto.Message) { return e.over(), e.Execution })
	return op, nil
}

// DeleteExecution implements runpb.ExecutionsServer.
func (x executionsServer) DeleteExecution(_ context.Context, req *runpb.DeleteExecutionRequest) (*longrunningpb.Operation, error) {
	s := x.s
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.execution(req.GetName())
	if err != nil {
		return nil, err
	}
	if err := checkEtag(req.GetEtag(), e.GetEtag(), e.GetName()); err != nil {
		return nil, err
	}
	if !e.over() {
		return nil, status.Errorf(codes.FailedPrecondition, "Execution '%s' is running: cancel it first", e.GetName())
	}
	if req.GetValidateOnly() {
		return s.done(e.Execution), nil
	}
	e.DeleteTime = timestamppb.Now()
	op := s.begin(e.Execution)
	s.operate(0, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if id := lastPart(e.Name); s.executions[id] == e {
			delete(s.executions, id)
		}
		s.finish(op.Name, e.Execution, nil)
	})
	return op, nil
}

// finishWhen marks an operation done as soon as so says it. so is called with mu held.
func (s *Server) finishWhen(op string, so func() (bool, proto.Message)) {
	s.running.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			s.mu.Lock()
			done, resource := so()
			if done {
				s.finish(op, resource, nil)
			}
			s.mu.Unlock()
			if done {
				return
			}
			select {
			case <-tick.C:
			case <-s.ctx.Done():
				return
			}
		}
	})
}

// Executions lists the executions that there are, newest first.
func (s *Server) Executions() []*runpb.Execution {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*runpb.Execution
	for _, e := range s.executions {
		all = append(all, proto.CloneOf(e.Execution))
	}
	return slices.Clip(newestFirst(all))
}
