package cloudrunsandbox

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"gocloud.dev/blob"
	"google.golang.org/api/option"
)

// Previews is what kind of resource a preview is.
type Previews string

// The kinds.
const (
	// Services are Cloud Run services: they scale to nothing and back.
	Services Previews = "services"
	// Instances are Cloud Run instances: one container that runs until it is deleted. Not every region has them.
	Instances Previews = "instances"
)

// Options say where and how sandboxes run.
type Options struct {
	// Project and Location are where. Required.
	Project, Location string
	// Job is the name of the job that builds, which is there already: its image runs `sandboxd`, with no retries. Defaults to
	// vibesdk-sandbox-job.
	Job string
	// Image is what previews run, the same as the job's. Required.
	Image string
	// ServiceAccount is whom previews run as. It must have no rights at all: generated code can be it. Required, because the
	// default would be an account with many.
	ServiceAccount string
	// Installation keeps apart what several platforms run in one project and location: a label of every preview. They need jobs
	// of their own too. Defaults to "default".
	Installation string
	// Previews defaults to Services.
	Previews Previews
	// Store keeps tasks, claims, logs and snapshots. Required.
	Store Store
	// Sources are the buckets from which a source may come; others are refused, since the platform would read them with
	// its own rights.
	Sources []SourceBucket
	// BaseEnv is the whole environment of the project's commands before the app's own variables, as the image has it: at
	// least PATH. It must not hold secrets.
	BaseEnv map[string]string
	// CPU and Memory are of a preview, as Cloud Run writes them. Default to "1" and "1Gi". The job has its own.
	CPU, Memory string
	// Network and Subnetwork, if set, are where all that previews send goes (egress for all traffic), so that a firewall can
	// bound it.
	Network, Subnetwork string
	// StartTimeout is how long a development server may take to answer. Defaults to 60 s.
	StartTimeout time.Duration
	// URLLifetime is how long signed addresses of a preview are good. Those of a static one are renewed at half of it; a
	// development server that loses its instance later than this is replaced by a new generation. Defaults to 12 h, which is
	// what a signature of a service account without a key file is good for. At most 7 days.
	URLLifetime time.Duration
	// ReadsPerSecond and WritesPerSecond bound the calls of Cloud Run by this process. Default to 20 and 2: the quotas
	// are a few thousand and a few hundred a minute, for all processes together.
	ReadsPerSecond, WritesPerSecond float64
	// CallTimeout bounds one attempt of a call, RetryFor all attempts. Default to 10 s and 3 s.
	CallTimeout, RetryFor time.Duration
	// PollEvery is how often Await and Delete look. Defaults to 500 ms.
	PollEvery time.Duration
	// DeleteWait is how long Delete waits for resources to be gone before it says that they are not yet. Defaults to 1 s.
	DeleteWait time.Duration
	// ListenHost is the address inside the container that the preview listens on. Defaults to all of them, as Cloud Run needs.
	ListenHost string
	// HTTPClient asks previews how they are. Defaults to one without a time limit of its own.
	HTTPClient *http.Client
	// Now is the clock by which addresses get old. Defaults to time.Now.
	Now func() time.Time
	// Meter makes the instruments. Defaults to otel's global provider.
	Meter metric.Meter
	// Logger defaults to slog.Default.
	Logger *slog.Logger
	// ClientOptions go to the clients of Cloud Run.
	ClientOptions []option.ClientOption
}

// SourceBucket is a bucket that sources come from.
type SourceBucket struct {
	// URL begins the addresses of its objects: gs://name.
	URL string
	// Bucket must be able to sign.
	Bucket *blob.Bucket
}

var (
	namePattern  = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)
	labelPattern = regexp.MustCompile(`^[a-z0-9_-]{1,63}$`)
)

func (o *Options) complete() error {
	for _, f := range []struct {
		field *string
		value string
	}{{&o.Job, "vibesdk-sandbox-job"}, {&o.Installation, "default"}, {&o.CPU, "1"}, {&o.Memory, "1Gi"}} {
		if *f.field == "" {
			*f.field = f.value
		}
	}
	if o.Previews == "" {
		o.Previews = Services
	}
	for _, f := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.StartTimeout, time.Minute}, {&o.URLLifetime, 12 * time.Hour}, {&o.CallTimeout, 10 * time.Second},
		{&o.RetryFor, 3 * time.Second}, {&o.PollEvery, 500 * time.Millisecond}, {&o.DeleteWait, time.Second},
	} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	if o.ReadsPerSecond == 0 {
		o.ReadsPerSecond = 20
	}
	if o.WritesPerSecond == 0 {
		o.WritesPerSecond = 2
	}
	if o.HTTPClient == nil {
		o.HTTPClient = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Meter == nil {
		o.Meter = otel.Meter("vibesdk-gcp/platform/sandbox/cloudrunsandbox")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o.validate()
}

func (o *Options) validate() error {
	var faults []error
	for _, f := range []struct{ name, value string }{{"project", o.Project}, {"location", o.Location}, {"image", o.Image}, {"service account", o.ServiceAccount}} {
		if f.value == "" {
			faults = append(faults, fmt.Errorf("%s is not named", f.name))
		}
	}
	if o.Store == nil {
		faults = append(faults, errors.New("store is not set"))
	}
	if !namePattern.MatchString(o.Job) || len(o.Job) > 63 {
		faults = append(faults, fmt.Errorf("job %q must match %s and have at most 63 characters", o.Job, namePattern))
	}
	if !labelPattern.MatchString(o.Installation) {
		faults = append(faults, fmt.Errorf("installation %q must match %s", o.Installation, labelPattern))
	}
	if o.Previews != Services && o.Previews != Instances {
		faults = append(faults, fmt.Errorf("previews %q must be %s or %s", o.Previews, Services, Instances))
	}
	if o.URLLifetime < time.Minute || o.URLLifetime > 7*24*time.Hour {
		faults = append(faults, fmt.Errorf("URL lifetime %s must be between 1m and 168h", o.URLLifetime))
	}
	if o.ReadsPerSecond < 0 || o.WritesPerSecond < 0 {
		faults = append(faults, errors.New("rates must not be negative"))
	}
	for i, s := range o.Sources {
		o.Sources[i].URL = strings.TrimSuffix(s.URL, "/") + "/"
		if s.Bucket == nil || !strings.Contains(s.URL, "://") {
			faults = append(faults, fmt.Errorf("source bucket %q needs a URL and a bucket", s.URL))
		}
	}
	return errors.Join(faults...)
}
