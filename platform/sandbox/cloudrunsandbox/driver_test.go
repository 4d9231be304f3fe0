package cloudrunsandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc/codes"

	"vibesdk-gcp/internal/testenv/cloudrunfake"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/sandbox/cloudrunsandbox"
	"vibesdk-gcp/platform/sandbox/sandboxtest"
)

func wantErr(t *testing.T, err, want error, words ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error = %v, want %v", err, want)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

func quick(o *cloudrunsandbox.Options) {
	o.CallTimeout, o.RetryFor = 300*time.Millisecond, 300*time.Millisecond
}

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
			d := c.driver(t, quick)
			c.Inject(cloudrunfake.Fault{Method: "RunJob", Nth: 1, Kind: cloudrunfake.Lost})
			if deaf {
				for n := range 8 {
					c.Inject(cloudrunfake.Fault{Method: "ListExecutions", Nth: n + 1, Kind: cloudrunfake.Before})
				}
			}
			task := sandboxtest.NewTask("lost", 1, counted)
			if err := d.Build(t.Context(), task); deaf {
				wantErr(t, err, sandbox.ErrUnavailable)
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

// TestQuotas uses up the services, and counts the refusals.
func TestQuotas(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(o *cloudrunfake.Options) { o.Quotas.Services = 1 })
	reader := sdkmetric.NewManualReader()
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test")
	d := c.driver(t, func(o *cloudrunsandbox.Options) { o.Meter = meter })
	tasks := []sandbox.Task{sandboxtest.NewTask("quota-1", 1, sandboxtest.Page), sandboxtest.NewTask("quota-2", 1, sandboxtest.Page)}
	for _, task := range tasks {
		must(t, d.Build(t.Context(), task))
		sandboxtest.Built(t, d, task.Ref)
	}
	must(t, d.Serve(t.Context(), tasks[0]))
	wantErr(t, d.Serve(t.Context(), tasks[1]), sandbox.ErrUnavailable, "quota", "Services")
	if st, err := d.Inspect(t.Context(), tasks[1].Ref); err != nil || st != (sandbox.Status{Build: sandbox.Done}) {
		t.Errorf("status: %+v, %v", st, err)
	}
	var got metricdata.ResourceMetrics
	must(t, reader.Collect(t.Context(), &got))
	sum := got.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64])
	if reason, _ := sum.DataPoints[0].Attributes.Value("reason"); got.ScopeMetrics[0].Metrics[0].Name != "sandbox.cloudrun.refusals" || reason.AsString() != "quota" || sum.DataPoints[0].Value != 1 {
		t.Errorf("metrics: %+v", got.ScopeMetrics[0].Metrics)
	}
	must(t, d.Delete(t.Context(), tasks[0].Ref))
	must(t, d.Serve(t.Context(), tasks[1]))
	sandboxtest.Serving(t, d, tasks[1].Ref)
}

// TestCallsTakeTurns is about the driver's own limit.
func TestCallsTakeTurns(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	d := c.driver(t, func(o *cloudrunsandbox.Options) { o.WritesPerSecond = 0.001 })
	must(t, d.Build(t.Context(), sandboxtest.NewTask("turn-1", 1, "true")))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	wantErr(t, d.Build(ctx, sandboxtest.NewTask("turn-2", 1, "true")), sandbox.ErrUnavailable, "too many calls")
	if n := len(c.Executions()); n != 1 {
		t.Errorf("%d executions", n)
	}
}

// TestPermissions is about what only an operator can mend.
func TestPermissions(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	d := c.driver(t, quick)
	struck := c.Inject(cloudrunfake.Fault{Method: "RunJob", Nth: 1, Kind: cloudrunfake.Before, Code: codes.PermissionDenied})
	task := sandboxtest.NewTask("denied", 1, counted)
	wantErr(t, d.Build(t.Context(), task), sandbox.ErrUnavailable, "PermissionDenied")
	must(t, d.Build(t.Context(), task))
	sandboxtest.Built(t, d, task.Ref)
	if !struck() {
		t.Error("the case tells nothing")
	}
}

// TestOthersAreLeftAlone is about a service of the same name that another platform made.
func TestOthersAreLeftAlone(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	task := sandboxtest.NewTask("theirs", 1, sandboxtest.Page)
	must(t, c.Job("their-job", image))
	theirs := c.driver(t, func(o *cloudrunsandbox.Options) {
		o.Installation, o.Job = "theirs", "their-job"
		storage, err := cloudrunfake.NewStorage(t.TempDir())
		must(t, err)
		t.Cleanup(func() { must(t, storage.Close()) })
		o.Store = cloudrunsandbox.NewStore(storage.Bucket)
	})
	ours := c.driver(t)
	for _, d := range []*cloudrunsandbox.Driver{theirs, ours} {
		must(t, d.Build(t.Context(), task))
		sandboxtest.Built(t, d, task.Ref)
	}
	must(t, theirs.Serve(t.Context(), task))
	sandboxtest.Serving(t, theirs, task.Ref)
	wantErr(t, ours.Serve(t.Context(), task), sandbox.ErrUnavailable, "taken")
	must(t, ours.Delete(t.Context(), task.Ref))
	sandboxtest.Serving(t, theirs, task.Ref)
	if refs, err := ours.List(t.Context()); err != nil || len(refs) > 0 {
		t.Errorf("listed: %v, %v", refs, err)
	}
	must(t, theirs.Delete(t.Context(), task.Ref))
}

// TestDeleteThatTakesLonger does not wait for Cloud Run.
func TestDeleteThatTakesLonger(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(o *cloudrunfake.Options) { o.OperationLatency = 300 * time.Millisecond })
	d := c.driver(t, func(o *cloudrunsandbox.Options) { o.DeleteWait = 20 * time.Millisecond })
	task := sandboxtest.NewTask("slow", 1, "echo begun; sleep 1000")
	must(t, d.Build(t.Context(), task))
	err := d.Delete(t.Context(), task.Ref)
	wantErr(t, err, sandbox.ErrUnavailable, "still removing")
	if refs, err := d.List(t.Context()); err != nil || len(refs) != 1 {
		t.Errorf("what is still going is not listed: %v, %v", refs, err)
	}
	for err != nil {
		err = d.Delete(t.Context(), task.Ref)
	}
	if refs, err := d.List(t.Context()); err != nil || len(refs) != 0 || len(c.Executions()) != 0 {
		t.Errorf("left: %v, %v", refs, err)
	}
}

// TestDeleteHasTheEtag lets the service change between the look and the removal.
func TestDeleteHasTheEtag(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	d := c.driver(t, quick)
	task := sandboxtest.NewTask("etag", 1, sandboxtest.Page)
	must(t, d.Build(t.Context(), task))
	sandboxtest.Built(t, d, task.Ref)
	must(t, d.Serve(t.Context(), task))
	sandboxtest.Serving(t, d, task.Ref)
	struck := c.Inject(cloudrunfake.Fault{Method: "DeleteService", Nth: 1, Kind: cloudrunfake.Before, Code: codes.Aborted})
	must(t, d.Delete(t.Context(), task.Ref))
	if !struck() || len(c.Services()) != 0 {
		t.Errorf("struck: %v, %d services are left", struck(), len(c.Services()))
	}
}

// TestAPreviewIsReadyWhenItAnswers holds the development server back while Cloud Run already calls the service ready.
func TestAPreviewIsReadyWhenItAnswers(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	d := c.driver(t)
	task := devTask(t, "slow-dev", `while [ ! -f go ]; do sleep 0.02; done; `)
	must(t, d.Build(t.Context(), task))
	sandboxtest.Built(t, d, task.Ref)
	must(t, d.Serve(t.Context(), task))
	ready := func() bool {
		return len(c.Services()) == 1 && c.Services()[0].GetTerminalCondition().GetState() == runpb.Condition_CONDITION_SUCCEEDED
	}
	for !ready() {
		must(t, d.Await(shortly(t), task.Ref, sandbox.Status{Build: sandbox.Done, Serve: sandbox.Running}))
	}
	if st, err := d.Inspect(t.Context(), task.Ref); err != nil || st.Serve != sandbox.Running || st.Endpoint != "" {
		t.Fatalf("before it answers: %+v, %v", st, err)
	}
	control := sandbox.NewControl(c.Services()[0].GetUri(), task.ControlToken, nil)
	must(t, control.WriteFile(t.Context(), sandbox.File{Path: "go"}))
	st := sandboxtest.Serving(t, d, task.Ref)
	if st.Endpoint != c.Services()[0].GetUri() {
		t.Errorf("endpoint %q", st.Endpoint)
	}
	calls := len(c.Calls())
	must(t, d.Delete(t.Context(), task.Ref))
	if got := c.Calls()[calls:]; !slices.Contains(got, "DeleteService") {
		t.Errorf("calls of the deletion: %q", got)
	}
}

func shortly(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// devTask is the task of the development server that this binary is, after what the shell does before.
func devTask(t *testing.T, name, before string) sandbox.Task {
	t.Helper()
	task := sandboxtest.NewTask(name, 1, "true")
	task.Spec.StaticDir, task.Spec.Dev, task.Spec.Env = "", before+"exec "+self(t), map[string]string{roleVar: "devserver"}
	return task
}

// TestAPreviewOutlivesItsInstance loses the machine of a preview, which comes back from its snapshot, and the service itself, which
// does not.
func TestAPreviewOutlivesItsInstance(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	d := c.driver(t)
	task := sandboxtest.NewTask("outlives", 1, sandboxtest.Page)
	must(t, d.Build(t.Context(), task))
	sandboxtest.Built(t, d, task.Ref)
	must(t, d.Serve(t.Context(), task))
	st := sandboxtest.Serving(t, d, task.Ref)
	id := c.Services()[0].GetName()
	id = id[strings.LastIndexByte(id, '/')+1:]
	c.Kill(id)
	if !strings.Contains(sandboxtest.Log(t, d, task.Ref, sandbox.PhaseServe, 0), "restored the snapshot") || c.Starts(id) != 2 {
		t.Errorf("%d starts", c.Starts(id))
	}
	if now := sandboxtest.Serving(t, d, task.Ref); now != st {
		t.Errorf("it went from %+v to %+v", st, now)
	}
	services, err := run.NewServicesClient(t.Context(), c.ClientOptions()...)
	must(t, err)
	defer services.Close()
	op, err := services.DeleteService(t.Context(), &runpb.DeleteServiceRequest{Name: c.Services()[0].GetName()})
	must(t, err)
	_, err = op.Wait(t.Context())
	must(t, err)
	gone, err := d.Inspect(t.Context(), task.Ref)
	must(t, err)
	if gone.Serve != sandbox.Broken || !gone.Interrupted || !strings.Contains(gone.Reason, "deleted") {
		t.Errorf("without its service: %+v", gone)
	}
	must(t, d.Serve(t.Context(), task)) // never again
	if n := len(c.Services()); n != 0 {
		t.Errorf("%d services", n)
	}
	// What it had printed is in the store.
	if text := sandboxtest.Log(t, d, task.Ref, sandbox.PhaseServe, 0); !strings.Contains(text, "restored the snapshot") || !strings.Contains(text, "stopped") {
		t.Errorf("stored log: %q", text)
	}
}

// TestPreviewSettings looks at what is asked of Cloud Run.
func TestPreviewSettings(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	d := c.driver(t, func(o *cloudrunsandbox.Options) {
		o.Network, o.Subnetwork, o.CPU, o.Memory = "sandboxes", "sandboxes-local1", "2", "2Gi"
	})
	static, dev := sandboxtest.NewTask("static", 1, sandboxtest.Page), devTask(t, "dev", "")
	for _, task := range []sandbox.Task{static, dev} {
		must(t, d.Build(t.Context(), task))
		sandboxtest.Built(t, d, task.Ref)
		must(t, d.Serve(t.Context(), task))
	}
	for _, v := range c.Services() {
		container, scaling := v.GetTemplate().GetContainers()[0], v.GetTemplate().GetScaling()
		live := v.GetLabels()["vibesdk-sandbox"] == dev.ID
		if !v.GetInvokerIamDisabled() || v.GetTemplate().GetServiceAccount() != "nobody@fake-project.iam.gserviceaccount.com" ||
			v.GetTemplate().GetVpcAccess().GetEgress() != runpb.VpcAccess_ALL_TRAFFIC || v.GetLabels()["vibesdk-fence"] != "1" {
			t.Errorf("service: %v", v)
		}
		if scaling.GetMaxInstanceCount() != 1 || (scaling.GetMinInstanceCount() == 1) != live || container.GetResources().GetCpuIdle() == live ||
			container.GetResources().GetLimits()["memory"] != "2Gi" {
			t.Errorf("scaling %v, container %v", scaling, container)
		}
	}
	override := c.Executions()[0].GetTemplate()
	if timeout := override.GetTimeout().AsDuration(); timeout < time.Minute || timeout > 10*time.Minute {
		t.Errorf("an execution may take %s", timeout)
	}
}

// TestWhatASandboxIsGiven is about secrets: what stands in Cloud Run's resources, and what a command of the project sees.
func TestWhatASandboxIsGiven(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	d := c.driver(t)
	const secret = "s3cr3t-of-the-app"
	task := sandboxtest.NewTask("given", 1, "env; cat /proc/$PPID/environ | tr '\\0' '\\n'; tr '\\0' ' ' < /proc/$PPID/cmdline; "+sandboxtest.Page)
	task.Spec.Env = map[string]string{"APP_KEY": secret}
	must(t, d.Build(t.Context(), task))
	sandboxtest.Built(t, d, task.Ref)
	must(t, d.Serve(t.Context(), task))
	sandboxtest.Serving(t, d, task.Ref)
	described, err := json.Marshal([]any{c.Executions(), c.Services()})
	must(t, err)
	for _, word := range []string{secret, task.ControlToken} {
		if strings.Contains(string(described), word) {
			t.Errorf("Cloud Run's resources hold %q", word)
		}
	}
	seen, _, _ := strings.Cut(sandboxtest.Log(t, d, task.Ref, sandbox.PhaseBuild, 0), "CLOUD_RUN_") // root sees the rest all the same
	if strings.Contains(seen, "SANDBOX_TASK=") || strings.Contains(seen, "X-Signature") || strings.Contains(seen, task.ControlToken) || !strings.Contains(seen, "GCE_METADATA_HOST=metadata.invalid") {
		t.Errorf("a command sees %s", seen)
	}
}

// TestSources builds from an archive in a bucket that is named, and from nowhere else.
func TestSources(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	sources, err := cloudrunfake.NewStorage(t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, sources.Close()) })
	must(t, sources.WriteAll(t.Context(), "uploads/app.tar.gz", archive(t, map[string]string{"page.txt": "hello from the archive\n"}), nil))
	d := c.driver(t, func(o *cloudrunsandbox.Options) {
		o.Sources = []cloudrunsandbox.SourceBucket{{URL: "gs://sources", Bucket: sources.Bucket}}
	})
	task := sandboxtest.NewTask("archive", 1, sandboxtest.Page)
	task.Spec.Source = sandbox.Source{ArchiveURI: "gs://sources/uploads/app.tar.gz"}
	must(t, d.Build(t.Context(), task))
	sandboxtest.Built(t, d, task.Ref)
	must(t, d.Serve(t.Context(), task))
	resp, err := http.Get(sandboxtest.Serving(t, d, task.Ref).Endpoint)
	must(t, err)
	resp.Body.Close()
	for i, uri := range []string{"gs://secrets/x.tar.gz", "gs://sources", "gs://sources/", "gs://sources/../x.tar.gz", "gs://sources-2/x.tar.gz", "file:///etc/x.tar.gz"} {
		other := sandboxtest.NewTask("elsewhere", int64(i+1), sandboxtest.Page)
		other.Spec.Source = sandbox.Source{ArchiveURI: uri}
		wantErr(t, d.Build(t.Context(), other), sandbox.ErrInvalid)
	}
	if refs, err := d.List(t.Context()); err != nil || len(refs) != 1 {
		t.Errorf("what was refused left something: %v, %v", refs, err)
	}
}

func TestOptionsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for want, change := range map[string]func(*cloudrunsandbox.Options){
		"project is not named":         func(o *cloudrunsandbox.Options) { o.Project = "" },
		"service account is not named": func(o *cloudrunsandbox.Options) { o.ServiceAccount = "" },
		"image is not named":           func(o *cloudrunsandbox.Options) { o.Image = "" },
		"store is not set":             func(o *cloudrunsandbox.Options) { o.Store = nil },
		`job "A"`:                      func(o *cloudrunsandbox.Options) { o.Job = "A" },
		`installation "A b"`:           func(o *cloudrunsandbox.Options) { o.Installation = "A b" },
		`previews "pods"`:              func(o *cloudrunsandbox.Options) { o.Previews = "pods" },
		"URL lifetime 200h":            func(o *cloudrunsandbox.Options) { o.URLLifetime = 200 * time.Hour },
		"rates must not be negative":   func(o *cloudrunsandbox.Options) { o.ReadsPerSecond = -1 },
		"source bucket":                func(o *cloudrunsandbox.Options) { o.Sources = []cloudrunsandbox.SourceBucket{{URL: "x"}} },
	} {
		o := c.options()
		change(&o)
		if _, err := cloudrunsandbox.New(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want %q", err, want)
		}
	}
}
