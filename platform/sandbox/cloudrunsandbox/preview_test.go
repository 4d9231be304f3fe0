package cloudrunsandbox_test

import (
	"context"
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

// TestAPreviewThatDiesBeforeItSaysSo loses the instance between its listening and the word that it answers. Nobody else asks it yet.
func TestAPreviewThatDiesBeforeItSaysSo(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	d := c.driver(t)
	task := sandboxtest.NewTask("silent", 1, sandboxtest.Page)
	must(t, d.Build(t.Context(), task))
	sandboxtest.Built(t, d, task.Ref)
	killed := make(chan struct{})
	// The first word says that it runs, the second that it answers.
	c.storage.Inject(cloudrunfake.Fault{Method: "PUT serve.json", Nth: 2, Kind: cloudrunfake.Before, Then: func() {
		service := c.Services()[0]
		for service.GetTerminalCondition().GetState() != runpb.Condition_CONDITION_SUCCEEDED {
			time.Sleep(time.Millisecond)
			service = c.Services()[0]
		}
		c.Kill(task.ID + "-1")
		close(killed)
	}})
	must(t, d.Serve(t.Context(), task))
	select {
	case <-killed:
	case <-time.After(time.Minute):
		t.Fatal("it does not say that it answers: the case tells nothing")
	}
	sandboxtest.Serving(t, d, task.Ref)
	if n := c.Starts(task.ID + "-1"); n != 2 {
		t.Errorf("%d starts", n)
	}
	must(t, d.Delete(t.Context(), task.Ref))
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
