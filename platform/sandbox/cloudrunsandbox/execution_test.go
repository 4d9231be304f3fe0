package cloudrunsandbox_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"

	"vibesdk-gcp/internal/testenv/cloudrunfake"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/sandbox/cloudrunsandbox"
	"vibesdk-gcp/platform/sandbox/sandboxtest"
)

// impatient is for cases that lose an answer. All other calls are far faster.
func impatient(o *cloudrunsandbox.Options) { o.CallTimeout, o.RetryFor = 3*time.Second, time.Second }

// counted is a build that says how often it ran.
const counted = "echo counted $((20+1)); " + sandboxtest.Page

func countedOnce(t *testing.T, d sandbox.RuntimeDriver, ref sandbox.Ref) {
	t.Helper()
	if n := strings.Count(sandboxtest.Log(t, d, ref, sandbox.PhaseBuild, 0), "counted 21"); n != 1 {
		t.Errorf("the build ran %d times", n)
	}
}

// TestALostAnswerOfRunJob finds the execution again: in the same call, and, when Cloud Run cannot be asked either, in the next.
func TestALostAnswerOfRunJob(t *testing.T) {
	t.Parallel()
	for name, deaf := range map[string]bool{"at once": false, "later": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			d := c.driver(t, impatient)
			c.Inject(cloudrunfake.Fault{Method: "RunJob", Nth: 1, Kind: cloudrunfake.Lost})
			if deaf {
				c.Inject(cloudrunfake.Fault{Method: "ListExecutions", Kind: cloudrunfake.Before})
			}
			task := sandboxtest.NewTask("lost", 1, counted)
			if err := d.Build(t.Context(), task); deaf {
				wantErr(t, err, sandbox.ErrUnavailable)
				c.Heal()
				for err != nil { // as the message comes again
					err = d.Build(t.Context(), task)
				}
			} else {
				must(t, err)
			}
			sandboxtest.Built(t, d, task.Ref)
			countedOnce(t, d, task.Ref)
			if n := len(c.Executions()); n != 1 {
				t.Errorf("%d executions", n)
			}
			must(t, d.Delete(t.Context(), task.Ref))
			if n := len(c.Executions()); n != 0 {
				t.Errorf("%d executions are left", n)
			}
		})
	}
}

// TestTwoExecutionsAndOneWorks starts the second one behind the driver's back, as an answer that comes very late does.
func TestTwoExecutionsAndOneWorks(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	d := c.driver(t)
	task := sandboxtest.NewTask("second", 1, counted)
	must(t, d.Build(t.Context(), task))
	first := c.Executions()[0]
	jobs, err := run.NewJobsClient(t.Context(), c.ClientOptions()...)
	must(t, err)
	defer jobs.Close()
	container := first.GetTemplate().GetContainers()[0]
	op, err := jobs.RunJob(t.Context(), &runpb.RunJobRequest{Name: c.Parent() + "/jobs/vibesdk-sandbox-job", Overrides: &runpb.RunJobRequest_Overrides{
		ContainerOverrides: []*runpb.RunJobRequest_Overrides_ContainerOverride{{Args: container.GetArgs(), Env: container.GetEnv()}},
	}})
	must(t, err)
	if _, err := op.Wait(t.Context()); err != nil {
		t.Errorf("the loser does not end well: %v", err)
	}
	sandboxtest.Built(t, d, task.Ref)
	countedOnce(t, d, task.Ref)
	// Nobody noted the second one. The list shows it, and a sweep that takes it for an orphan removes it.
	must(t, d.Delete(t.Context(), task.Ref))
	refs, err := d.List(t.Context())
	must(t, err)
	if !slices.Equal(refs, []sandbox.Ref{task.Ref}) {
		t.Errorf("listed: %v, want the execution that is left", refs)
	}
	must(t, d.Delete(t.Context(), task.Ref))
	if n := len(c.Executions()); n != 0 {
		t.Errorf("%d executions are left", n)
	}
}

// TestTheClaimantDies ends the execution that builds, as the loss of its machine does.
func TestTheClaimantDies(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	d := c.driver(t)
	task := sandboxtest.NewTask("dies", 1, "echo begun; sleep 1000")
	must(t, d.Build(t.Context(), task))
	sandboxtest.Printed(t, d, task.Ref, sandbox.PhaseBuild, `\] begun\n`)
	executions, err := run.NewExecutionsClient(t.Context(), c.ClientOptions()...)
	must(t, err)
	defer executions.Close()
	op, err := executions.CancelExecution(t.Context(), &runpb.CancelExecutionRequest{Name: c.Executions()[0].GetName()})
	must(t, err)
	_, err = op.Wait(t.Context())
	must(t, err)
	st, err := d.Inspect(t.Context(), task.Ref)
	must(t, err)
	if st.Build != sandbox.Broken || !st.Interrupted || !strings.Contains(st.Reason, "cancelled") || !strings.Contains(st.LogTail, "begun") {
		t.Errorf("status: %+v", st)
	}
	must(t, d.Build(t.Context(), task)) // never again
	if again, err := d.Inspect(t.Context(), task.Ref); err != nil || again != st || len(c.Executions()) != 1 {
		t.Errorf("after another Build: %+v, %v, %d executions", again, err, len(c.Executions()))
	}
	wantErr(t, d.Serve(t.Context(), task), sandbox.ErrTransition)
}

// TestWhatNeverStarts is about a job whose image is missing, and a job that is missing.
func TestWhatNeverStarts(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	must(t, c.Job("broken-job", "missing-image"))
	task := sandboxtest.NewTask("never", 1, counted)
	d := c.driver(t, func(o *cloudrunsandbox.Options) { o.Job = "broken-job" })
	must(t, d.Build(t.Context(), task))
	st := sandboxtest.Until(t, d, task.Ref, "broken", func(st sandbox.Status) bool { return st.Build == sandbox.Broken })
	if !st.Interrupted || !strings.Contains(st.Reason, "could not start") || !strings.Contains(st.Reason, "missing-image") {
		t.Errorf("status: %+v", st)
	}
	other := sandboxtest.NewTask("no-job", 1, counted)
	d = c.driver(t, func(o *cloudrunsandbox.Options) { o.Job = "no-job" })
	wantErr(t, d.Build(t.Context(), other), sandbox.ErrUnavailable, "no job no-job")
	must(t, d.Delete(t.Context(), other.Ref))
}
