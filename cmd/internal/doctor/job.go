package doctor

import (
	"context"
	"strings"

	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"

	"vibesdk-gcp/internal/checkup"
)

// Job looks at the Cloud Run job that builds sandboxes.
func Job(ctx context.Context, p Place, name string) []checkup.Finding {
	f := checkup.About("job " + name)
	if !p.known(f) {
		return f.Else("")
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	client, err := run.NewJobsClient(ctx, p.options()...)
	if err != nil {
		f.Skip("cannot connect to Cloud Run: %v", err)
		return f.Else("")
	}
	defer func() { _ = client.Close() }() // everything was read
	job, err := client.GetJob(ctx, &runpb.GetJobRequest{Name: p.parent() + "/jobs/" + name})
	if err != nil {
		return unread(f, err, "roles/run.viewer")
	}
	task := job.GetTemplate().GetTemplate()
	if n := task.GetMaxRetries(); n != 0 {
		f.Fail("gcloud run jobs update "+name+" --max-retries=0", "is retried %d times: a build that failed is tried again by its record, under a new fence", n)
	}
	if n := job.GetTemplate().GetTaskCount(); n > 1 {
		f.Fail("gcloud run jobs update "+name+" --tasks=1", "has %d tasks: each would build", n)
	}
	switch account := task.GetServiceAccount(); {
	case account == "", strings.HasSuffix(account, "-compute@developer.gserviceaccount.com"):
		f.Fail("give it an account without any role: "+terraform, "runs as the default account of Compute Engine: generated code gets its rights")
	}
	if len(task.GetContainers()) == 0 || task.GetContainers()[0].GetImage() == "" {
		f.Fail(terraform, "has no image")
	}
	if c := job.GetTerminalCondition(); c != nil && c.GetState() == runpb.Condition_CONDITION_FAILED {
		f.Fail("", "is not usable: %s", c.GetMessage())
	}
	return f.Else("one task, no retries, as %s", task.GetServiceAccount())
}
