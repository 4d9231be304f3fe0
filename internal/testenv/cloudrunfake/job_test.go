package cloudrunfake_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"vibesdk-gcp/internal/testenv/cloudrunfake"
)

// TestAnExecution follows one from its start to its end.
func TestAnExecution(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	job := r.job("build", self("exit", ""), 0)
	name, op := r.start(job, &runpb.RunJobRequest_Overrides{ContainerOverrides: []*runpb.RunJobRequest_Overrides_ContainerOverride{{
		Env: variables("GREETING", "hi", "MORE", "x"),
	}}})
	done, err := op.Wait(t.Context())
	must(t, err)
	if done.GetSucceededCount() != 1 || done.GetCompletionTime() == nil || done.GetStartTime() == nil || done.GetConditions()[0].GetState() != runpb.Condition_CONDITION_SUCCEEDED {
		t.Errorf("execution: %v", done)
	}
	id := name[strings.LastIndexByte(name, '/')+1:]
	lines := strings.Split(strings.TrimSpace(r.output(id)), "\n")
	slices.Sort(lines)
	want := []string{"CLOUD_RUN_EXECUTION=" + id, "CLOUD_RUN_JOB=build", "CLOUD_RUN_TASK_ATTEMPT=0", "CLOUD_RUN_TASK_COUNT=1", "CLOUD_RUN_TASK_INDEX=0", "CONTAINER=1", "GREETING=hi", "MORE=x"}
	if !slices.Equal(lines, want) {
		t.Errorf("its environment is %q, want overrides merged over the job's: %q", lines, want)
	}
	got, err := r.jobs.GetJob(t.Context(), &runpb.GetJobRequest{Name: job})
	must(t, err)
	if got.GetExecutionCount() != 1 || got.GetLatestCreatedExecution().GetName() != name {
		t.Errorf("job: %v", got)
	}
}

// TestHowExecutionsEnd is the table of ends.
func TestHowExecutionsEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, c := range map[string]struct {
		container *runpb.Container
		retries   int32
		overrides *runpb.RunJobRequest_Overrides
		cancel    bool
		message   string
		retried   int32
	}{
		"exit-code": {container: self("exit", "xxx"), message: "exit(3)"},
		"retries":   {container: self("exit", "x"), retries: 2, message: "exit(1)", retried: 1},
		"timeout":   {container: self("sleep"), overrides: &runpb.RunJobRequest_Overrides{Timeout: durationpb.New(50 * time.Millisecond)}, message: "timeout"},
		"cancelled": {container: self("sleep"), cancel: true, message: "cancelled"},
		"no-image":  {container: &runpb.Container{Image: "missing"}, message: "image 'missing' not found"},
	} {
		t.Run(name, func(t *testing.T) {
			execution, op := r.start(r.job(name, c.container, c.retries), c.overrides)
			if c.cancel {
				if e := r.execution(execution); e.GetCompletionTime() != nil || !e.GetReconciling() {
					t.Errorf("a running execution is %v", e)
				}
				stop, err := r.executions.CancelExecution(t.Context(), &runpb.CancelExecutionRequest{Name: execution})
				must(t, err)
				_, err = stop.Wait(t.Context())
				must(t, err)
			}
			_, err := op.Wait(t.Context())
			wantCode(t, err, codes.FailedPrecondition, c.message)
			e := r.execution(execution)
			condition := e.GetConditions()[0]
			if condition.GetState() != runpb.Condition_CONDITION_FAILED || !strings.Contains(condition.GetMessage(), c.message) || e.GetRetriedCount() != c.retried || e.GetRunningCount() != 0 {
				t.Errorf("execution: %v", e)
			}
			if cancelled := condition.GetExecutionReason() == runpb.Condition_CANCELLED; cancelled != c.cancel || (e.GetCancelledCount() == 1) != c.cancel {
				t.Errorf("cancelled: %v", e)
			}
		})
	}
}

// TestJobRules is the table of what is refused, and how.
func TestJobRules(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *cloudrunfake.Options) { o.Quotas.Jobs, o.Quotas.RunningExecutions = 2, 1 })
	ctx := t.Context()
	create := func(id string, job *runpb.Job) error {
		_, err := r.jobs.CreateJob(ctx, &runpb.CreateJobRequest{Parent: r.Parent(), JobId: id, Job: job})
		return err
	}
	good := func() *runpb.Job {
		return &runpb.Job{Template: &runpb.ExecutionTemplate{Template: &runpb.TaskTemplate{Containers: []*runpb.Container{self("sleep")}}}}
	}
	for _, id := range []string{"", "Upper", "1digit", "hyphen-", strings.Repeat("x", 64), "under_score"} {
		wantCode(t, create(id, good()), codes.InvalidArgument)
	}
	labelled := good()
	labelled.Labels = map[string]string{"run.googleapis.com/x": "y"}
	wantCode(t, create("a", labelled), codes.InvalidArgument, "namespace")
	labelled.Labels = map[string]string{"x": strings.Repeat("y", 64)}
	wantCode(t, create("a", labelled), codes.InvalidArgument, "63")
	wantCode(t, create("a", &runpb.Job{}), codes.InvalidArgument, "template")
	must(t, create("a", good()))
	wantCode(t, create("a", good()), codes.AlreadyExists)
	must(t, create(strings.Repeat("x", 63), good()))
	wantCode(t, create("c", good()), codes.ResourceExhausted, "2")
	_, err := r.jobs.GetJob(ctx, &runpb.GetJobRequest{Name: r.Parent() + "/jobs/nothing"})
	wantCode(t, err, codes.NotFound)
	_, err = r.jobs.GetJob(ctx, &runpb.GetJobRequest{Name: "projects/other/locations/local1/jobs/a"})
	wantCode(t, err, codes.PermissionDenied)
	_, err = r.jobs.RunJob(ctx, &runpb.RunJobRequest{Name: r.Parent() + "/jobs/a", Etag: `"old"`})
	wantCode(t, err, codes.Aborted)
	_, err = r.jobs.RunJob(ctx, &runpb.RunJobRequest{Name: r.Parent() + "/jobs/a", Overrides: &runpb.RunJobRequest_Overrides{
		ContainerOverrides: []*runpb.RunJobRequest_Overrides_ContainerOverride{{Name: "other"}},
	}})
	wantCode(t, err, codes.InvalidArgument, "other")
	name, _ := r.start(r.Parent()+"/jobs/a", nil)
	_, err = r.jobs.RunJob(ctx, &runpb.RunJobRequest{Name: r.Parent() + "/jobs/a"})
	wantCode(t, err, codes.ResourceExhausted, "running executions")
	_, err = r.executions.DeleteExecution(ctx, &runpb.DeleteExecutionRequest{Name: name})
	wantCode(t, err, codes.FailedPrecondition, "running")
	_, err = r.jobs.DeleteJob(ctx, &runpb.DeleteJobRequest{Name: r.Parent() + "/jobs/a"})
	wantCode(t, err, codes.FailedPrecondition, "running")
	op, err := r.executions.CancelExecution(ctx, &runpb.CancelExecutionRequest{Name: name})
	must(t, err)
	_, err = op.Wait(ctx)
	must(t, err)
	_, err = r.executions.DeleteExecution(ctx, &runpb.DeleteExecutionRequest{Name: name, Etag: `"old"`})
	wantCode(t, err, codes.Aborted)
	gone, err := r.executions.DeleteExecution(ctx, &runpb.DeleteExecutionRequest{Name: name, Etag: r.execution(name).GetEtag()})
	must(t, err)
	_, err = gone.Wait(ctx)
	must(t, err)
	_, err = r.executions.GetExecution(ctx, &runpb.GetExecutionRequest{Name: name})
	wantCode(t, err, codes.NotFound)
	_, err = r.executions.CancelExecution(ctx, &runpb.CancelExecutionRequest{Name: name})
	wantCode(t, err, codes.NotFound)
	_, err = r.jobs.DeleteJob(ctx, &runpb.DeleteJobRequest{Name: r.Parent() + "/jobs/a"})
	must(t, err)
}

// TestExecutionTokens makes a job that runs at once, under a name that the caller knows.
func TestExecutionTokens(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	op, err := r.jobs.CreateJob(t.Context(), &runpb.CreateJobRequest{Parent: r.Parent(), JobId: "once", Job: &runpb.Job{
		CreateExecution: &runpb.Job_StartExecutionToken{StartExecutionToken: "first"},
		Template:        &runpb.ExecutionTemplate{Template: &runpb.TaskTemplate{Containers: []*runpb.Container{self("exit", "")}}},
	}})
	must(t, err)
	job, err := op.Wait(t.Context())
	must(t, err)
	until(t, "the execution has ended", func() bool { return r.execution(job.GetName()+"/executions/once-first").GetCompletionTime() != nil })
}

// TestExecutionsAreListedInPages reads pages, of one job and of all, and forgets the oldest.
func TestExecutionsAreListedInPages(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *cloudrunfake.Options) {
		o.Quotas.KeptExecutions = 7
		o.Run = func(context.Context, cloudrunfake.Container) int { return 0 }
	})
	jobs := []string{r.job("a", self("x"), 0), r.job("b", self("x"), 0)}
	var names []string
	for i := range 12 {
		name, op := r.start(jobs[i%2], nil)
		_, err := op.Wait(t.Context())
		must(t, err)
		names = append(names, name)
	}
	list := func(parent string, size int32) (found []string, pages int) {
		token := ""
		for {
			it := r.executions.ListExecutions(t.Context(), &runpb.ListExecutionsRequest{Parent: parent, PageSize: size, PageToken: token})
			var page []*runpb.Execution
			next, err := iterator.NewPager(it, int(size), token).NextPage(&page)
			must(t, err)
			for _, e := range page {
				found = append(found, e.GetName())
			}
			pages++
			if token = next; token == "" {
				return found, pages
			}
		}
	}
	slices.Reverse(names) // newest first
	if got, pages := list(r.Parent()+"/jobs/-", 5); !slices.Equal(got, names) || pages != 3 {
		t.Errorf("%d pages: %q, want %q", pages, got, names)
	}
	if got, _ := list(jobs[0], 2); len(got) != 6 {
		t.Errorf("of one job: %q", got)
	}
	for range 3 {
		_, op := r.start(jobs[0], nil)
		_, err := op.Wait(t.Context())
		must(t, err)
	}
	if got, _ := list(jobs[0], 100); len(got) != 7 || slices.Contains(got, names[11]) {
		t.Errorf("kept: %q", got)
	}
	it := r.executions.ListExecutions(t.Context(), &runpb.ListExecutionsRequest{Parent: jobs[0], PageToken: "made up"})
	_, err := it.Next()
	wantCode(t, err, codes.InvalidArgument, "page_token")
}

// TestOperations looks at them as a client does that kept only the name.
func TestOperations(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, op := r.start(r.job("build", self("sleep"), 0), nil)
	again := r.jobs.RunJobOperation(op.Name())
	if _, err := again.Poll(t.Context()); err != nil || again.Done() {
		t.Errorf("the operation of a running execution: done %v, %v", again.Done(), err)
	}
	began := time.Now()
	waited, err := r.jobs.WaitOperation(t.Context(), &longrunningpb.WaitOperationRequest{Name: op.Name(), Timeout: durationpb.New(20 * time.Millisecond)})
	if err != nil || waited.GetDone() || time.Since(began) < 20*time.Millisecond {
		t.Errorf("wait: %v, %v", waited, err)
	}
	_, err = r.jobs.GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: r.Parent() + "/operations/nothing"})
	wantCode(t, err, codes.NotFound)
	it := r.jobs.ListOperations(t.Context(), &longrunningpb.ListOperationsRequest{Name: r.Parent()})
	n := 0
	for {
		_, err := it.Next()
		if errors.Is(err, iterator.Done) {
			break
		}
		must(t, err)
		n++
	}
	if n != 2 {
		t.Errorf("%d operations are listed, want those of the job and the execution", n)
	}
}

// TestFaults is the table of what can be injected.
func TestFaults(t *testing.T) {
	t.Parallel()
	for kind, want := range map[cloudrunfake.FaultKind]struct {
		code    codes.Code
		effects int
	}{
		cloudrunfake.Before: {codes.PermissionDenied, 0},
		cloudrunfake.After:  {codes.PermissionDenied, 1},
		cloudrunfake.Lost:   {codes.DeadlineExceeded, 1},
		cloudrunfake.Slow:   {codes.OK, 1},
	} {
		t.Run(fmt.Sprint(kind), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(o *cloudrunfake.Options) { o.Run = func(context.Context, cloudrunfake.Container) int { return 0 } })
			job := r.job("build", self("x"), 0)
			var then atomic.Int32
			struck := r.Inject(cloudrunfake.Fault{Method: "RunJob", Nth: 2, Kind: kind, Code: codes.PermissionDenied, Latency: time.Millisecond, Then: func() { then.Add(1) }})
			_, op := r.start(job, nil)
			_, err := op.Wait(t.Context())
			must(t, err)
			if struck() || then.Load() != 0 {
				t.Fatal("it struck too early")
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			_, err = r.jobs.RunJob(ctx, &runpb.RunJobRequest{Name: job})
			wantCode(t, err, want.code)
			if !struck() || then.Load() != 1 {
				t.Error("it did not strike")
			}
			if got := len(r.Executions()) - 1; got != want.effects {
				t.Errorf("%d effects, want %d", got, want.effects)
			}
			_, _ = r.start(job, nil) // only the second call
			if calls := r.Calls(); slices.Index(calls, "RunJob") < 0 || calls[0] != "CreateJob" {
				t.Errorf("calls: %q", calls)
			}
		})
	}
}
