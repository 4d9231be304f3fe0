package cloudrunsandbox

import (
	"context"
	"errors"
	"strings"
	"time"

	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/api/iterator"
	"google.golang.org/protobuf/types/known/durationpb"

	"vibesdk-gcp/platform/sandbox"
)

// Variables of a container. refVar is how an execution is told whose it is: RunJob takes neither labels nor a request id.
const (
	taskVar = "SANDBOX_TASK"
	refVar  = "SANDBOX_REF"
)

// timeoutSlack is what sandboxd gets beyond a build's deadline to enforce it, with the reason that it knows.
const timeoutSlack = 30 * time.Second

func (d *Driver) jobName() string { return d.parent + "/jobs/" + d.o.Job }

// runJob starts an execution and returns its name. It is called once: an error with errUnsure leaves open whether there is one.
func (d *Driver) runJob(ctx context.Context, ref sandbox.Ref, address string, deadline time.Time) (name string, err error) {
	err = d.call(ctx, d.writes, true, func(ctx context.Context) error {
		op, err := d.jobs.RunJob(ctx, &runpb.RunJobRequest{Name: d.jobName(), Overrides: &runpb.RunJobRequest_Overrides{
			ContainerOverrides: []*runpb.RunJobRequest_Overrides_ContainerOverride{{
				Args: []string{string(sandbox.PhaseBuild)}, Env: env(map[string]string{taskVar: address, refVar: ref.String()}),
			}},
			Timeout: durationpb.New(max(time.Until(deadline), 0) + timeoutSlack),
		}})
		if err != nil {
			return err
		}
		name, err = executionOf(op)
		return err
	})
	return name, err
}

// executionOf reads the execution's name from the operation, which lasts as long as the execution does.
func executionOf(op *run.RunJobOperation) (string, error) {
	meta, err := op.Metadata()
	if err != nil {
		return "", err
	}
	if meta.GetName() == "" {
		return "", errors.New("the operation does not name its execution")
	}
	return meta.GetName(), nil
}

func env(values map[string]string) []*runpb.EnvVar {
	var list []*runpb.EnvVar
	for _, name := range sortedKeys(values) {
		list = append(list, &runpb.EnvVar{Name: name, Values: &runpb.EnvVar_Value{Value: values[name]}})
	}
	return list
}

// execution looks at one; errAbsent when there is none.
func (d *Driver) execution(ctx context.Context, name string) (e *runpb.Execution, err error) {
	err = d.call(ctx, d.reads, false, func(ctx context.Context) (err error) {
		e, err = d.executions.GetExecution(ctx, &runpb.GetExecutionRequest{Name: name})
		return err
	})
	return e, err
}

// eachExecution calls fn with every execution of a generation of ours. There is no filter, so all are read.
func (d *Driver) eachExecution(ctx context.Context, fn func(sandbox.Ref, *runpb.Execution)) error {
	err := d.eachPage(ctx, func(ctx context.Context, token string) (string, error) {
		var page []*runpb.Execution
		list := d.executions.ListExecutions(ctx, &runpb.ListExecutionsRequest{Parent: d.jobName()})
		next, err := iterator.NewPager(list, pageSize, token).NextPage(&page)
		if err != nil {
			return "", err
		}
		for _, e := range page {
			if ref, ok := refOfExecution(e); ok {
				fn(ref, e)
			}
		}
		return next, nil
	})
	if errors.Is(err, errAbsent) { // there is no such job: so it has no executions
		return nil
	}
	return err
}

func refOfExecution(e *runpb.Execution) (sandbox.Ref, bool) {
	for _, c := range e.GetTemplate().GetContainers() {
		for _, v := range c.GetEnv() {
			if v.GetName() == refVar {
				return refOf(v.GetValue(), "")
			}
		}
	}
	return sandbox.Ref{}, false
}

// findExecutions lists the names of a generation's executions.
func (d *Driver) findExecutions(ctx context.Context, ref sandbox.Ref) ([]string, error) {
	var names []string
	err := d.eachExecution(ctx, func(r sandbox.Ref, e *runpb.Execution) {
		if r == ref {
			names = append(names, e.GetName())
		}
	})
	return names, err
}

// ended reports whether an execution has ended, and what it says about that.
func ended(e *runpb.Execution) (over bool, message string) {
	for _, c := range e.GetConditions() {
		if c.GetType() == "Completed" {
			over = c.GetState() == runpb.Condition_CONDITION_SUCCEEDED || c.GetState() == runpb.Condition_CONDITION_FAILED
			message = c.GetMessage()
		}
	}
	return over || e.GetCompletionTime() != nil, message
}

// cancelling reports an execution that was told to end.
func cancelling(e *runpb.Execution) bool {
	for _, c := range e.GetConditions() {
		if c.GetExecutionReason() == runpb.Condition_CANCELLING {
			return true
		}
	}
	return false
}

// outOfMemory reports what an execution says about a container that used more than its limit. That is the app's doing.
func outOfMemory(message string) bool { return strings.Contains(strings.ToLower(message), "memory") }

// endExecution asks for the end of an execution and its removal, and reports whether it is gone. It does not wait: calling it
// again goes on.
func (d *Driver) endExecution(ctx context.Context, name string) (gone bool, err error) {
	e, err := d.execution(ctx, name)
	if errors.Is(err, errAbsent) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	over, _ := ended(e)
	if !over && cancelling(e) {
		return false, nil
	}
	err = d.call(ctx, d.writes, false, func(ctx context.Context) error {
		if over {
			_, err := d.executions.DeleteExecution(ctx, &runpb.DeleteExecutionRequest{Name: name})
			return err
		}
		_, err := d.executions.CancelExecution(ctx, &runpb.CancelExecutionRequest{Name: name})
		return err
	})
	switch {
	case errors.Is(err, errAbsent):
		return true, nil
	case errors.Is(err, errRefused), errors.Is(err, errChanged): // it changed its state just now
		return false, nil
	default:
		return false, err
	}
}
