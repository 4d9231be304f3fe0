package cloudrunsandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

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
	err := d.Serve(t.Context(), tasks[1])
	wantErr(t, err, sandbox.ErrUnavailable, "Services")
	wantErr(t, err, sandbox.ErrQuota)
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
	d := c.driver(t)
	struck := c.Inject(cloudrunfake.Fault{Method: "RunJob", Nth: 1, Kind: cloudrunfake.Before, Code: codes.PermissionDenied})
	task := sandboxtest.NewTask("denied", 1, counted)
	wantErr(t, d.Build(t.Context(), task), sandbox.ErrUnavailable, "PermissionDenied")
	must(t, d.Build(t.Context(), task))
	sandboxtest.Built(t, d, task.Ref)
	if !struck() {
		t.Error("the case tells nothing")
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
	if text := sandboxtest.Log(t, d, task.Ref, sandbox.PhaseBuild, 0); !strings.Contains(text, "uploads/app.tar.gz") || strings.Contains(text, "X-Signature") {
		t.Errorf("the log does not name the source, or shows its signed address:\n%s", text)
	}
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
