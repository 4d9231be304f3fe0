package cloudrunsandbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	"gocloud.dev/blob"

	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/sandbox/cloudrunsandbox"
	"vibesdk-gcp/platform/sandbox/sandboxtest"
)

// BenchmarkStaticPreview builds and serves a static page on the fake: through the driver, and by hand with the client library as its
// documentation shows it, waiting for each operation. It counts the calls of Cloud Run, which are what quotas count.
func BenchmarkStaticPreview(b *testing.B) {
	b.Run("driver", func(b *testing.B) {
		c := newCloud(b)
		d := c.driver(b, func(o *cloudrunsandbox.Options) { o.PollEvery = 50 * time.Millisecond })
		previews(b, c, func(task sandbox.Task) {
			must(b, d.Build(b.Context(), task))
			awaitDone(b, d, task.Ref, func(st sandbox.Status) sandbox.Progress { return st.Build })
			must(b, d.Serve(b.Context(), task))
			awaitDone(b, d, task.Ref, func(st sandbox.Status) sandbox.Progress { return st.Serve })
		})
	})
	b.Run("byhand", func(b *testing.B) {
		c := newCloud(b)
		jobs, err := run.NewJobsClient(b.Context(), c.ClientOptions()...)
		must(b, err)
		defer jobs.Close()
		services, err := run.NewServicesClient(b.Context(), c.ClientOptions()...)
		must(b, err)
		defer services.Close()
		previews(b, c, func(task sandbox.Task) { byHand(b.Context(), b, c, jobs, services, task) })
	})
}

// previews makes one preview after the other.
func previews(b *testing.B, c *cloud, show func(sandbox.Task)) {
	b.Helper()
	n, before := 0, len(c.Calls())
	for b.Loop() {
		n++
		show(sandboxtest.NewTask(fmt.Sprint("bench-", n), 1, sandboxtest.Page))
	}
	b.ReportMetric(float64(len(c.Calls())-before)/float64(n), "calls/op")
}

func awaitDone(b *testing.B, d sandbox.RuntimeDriver, ref sandbox.Ref, of func(sandbox.Status) sandbox.Progress) {
	b.Helper()
	for {
		st, err := d.Inspect(b.Context(), ref)
		must(b, err)
		switch of(st) {
		case sandbox.Done:
			return
		case sandbox.Broken:
			b.Fatal(st.Reason)
		default:
			must(b, d.Await(b.Context(), ref, st))
		}
	}
}

func byHand(ctx context.Context, b *testing.B, c *cloud, jobs *run.JobsClient, services *run.ServicesClient, task sandbox.Task) {
	b.Helper()
	sign := func(method, name string) string {
		address, err := c.storage.SignedURL(ctx, task.Ref.String()+"/"+name, &blob.SignedURLOptions{Method: method, Expiry: time.Hour})
		must(b, err)
		return address
	}
	tell := func(phase, method string) []*runpb.EnvVar {
		body, err := json.Marshal(sandbox.GuestTask{
			Task: task, Listen: "127.0.0.1:0", BaseEnv: map[string]string{"PATH": os.Getenv("PATH")},
			Store: sandbox.GuestStore{Snapshot: sign(method, "snapshot")},
		})
		must(b, err)
		must(b, c.storage.WriteAll(ctx, task.Ref.String()+"/"+phase, body, nil))
		return []*runpb.EnvVar{{Name: "SANDBOX_TASK", Values: &runpb.EnvVar_Value{Value: sign(http.MethodGet, phase)}}}
	}
	building, err := jobs.RunJob(ctx, &runpb.RunJobRequest{Name: c.Parent() + "/jobs/vibesdk-sandbox-job", Overrides: &runpb.RunJobRequest_Overrides{
		ContainerOverrides: []*runpb.RunJobRequest_Overrides_ContainerOverride{{Args: []string{"build"}, Env: tell("build", http.MethodPut)}},
	}})
	must(b, err)
	_, err = building.Wait(ctx)
	must(b, err)
	starting, err := services.CreateService(ctx, &runpb.CreateServiceRequest{Parent: c.Parent(), ServiceId: task.ID, Service: &runpb.Service{
		InvokerIamDisabled: true, Template: &runpb.RevisionTemplate{Containers: []*runpb.Container{{Image: image, Args: []string{"serve"}, Env: tell("serve", http.MethodGet)}}},
	}})
	must(b, err)
	_, err = starting.Wait(ctx)
	must(b, err)
}
