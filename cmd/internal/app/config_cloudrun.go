package app

import (
	"strings"

	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/sandbox/cloudrunsandbox"
)

// CloudRunConfig is about sandboxes on Cloud Run. Those without a default are required with SandboxBackend cloudrun, except with Fake.
type CloudRunConfig struct {
	// Fake runs a Cloud Run of this process's own, which executes containers as child processes: for trying out, on one machine, what
	// RUNTIME_PROVIDER=gcp does. CLOUD_RUN, google or fake. Defaults to google.
	Fake bool
	// Emulator is host:port of a fake that another process runs, with CLOUD_RUN=fake: programs that name it share it, and may have some of
	// the roles. EmulatorBucket is the address of its bucket, with the key to it. CLOUD_RUN_EMULATOR_HOST, CLOUD_RUN_EMULATOR_BUCKET. Default
	// to none.
	Emulator, EmulatorBucket string
	// Project and Location are where. CLOUD_RUN_PROJECT, CLOUD_RUN_LOCATION.
	Project, Location string
	// Job is the job that builds. SANDBOX_JOB. Defaults to vibesdk-sandbox-job.
	Job string
	// Image is what previews run, the job's own. SANDBOX_IMAGE.
	Image string
	// ServiceAccount is whom generated code runs as: one without any rights. SANDBOX_SERVICE_ACCOUNT.
	ServiceAccount string
	// Bucket keeps snapshots, logs and claims: gs://bucket. SANDBOX_BUCKET. Defaults to SOURCES_URL.
	Bucket string
	// Installation keeps apart platforms that share a project and location. SANDBOX_INSTALLATION. Defaults to default.
	Installation string
	// Previews are services or instances. SANDBOX_PREVIEWS. Defaults to services.
	Previews string
	// CPU and Memory are of a preview, as Cloud Run writes them. SANDBOX_CPU, SANDBOX_MEMORY. Default to 1 and 1Gi.
	CPU, Memory string
	// Network and Subnetwork are where all that previews send goes. SANDBOX_NETWORK, SANDBOX_SUBNETWORK. Default to none.
	Network, Subnetwork string
}

func (r *reader) cloudRun() CloudRunConfig {
	return CloudRunConfig{
		Fake:           r.oneOf("CLOUD_RUN", "google", "fake") == "fake",
		Emulator:       r.text("CLOUD_RUN_EMULATOR_HOST", ""),
		EmulatorBucket: r.text("CLOUD_RUN_EMULATOR_BUCKET", ""),
		Project:        r.text("CLOUD_RUN_PROJECT", ""),
		Location:       r.text("CLOUD_RUN_LOCATION", ""),
		Job:            r.text("SANDBOX_JOB", "vibesdk-sandbox-job"),
		Image:          r.text("SANDBOX_IMAGE", ""),
		ServiceAccount: r.text("SANDBOX_SERVICE_ACCOUNT", ""),
		Bucket:         strings.TrimRight(r.text("SANDBOX_BUCKET", ""), "/"),
		Installation:   r.text("SANDBOX_INSTALLATION", "default"),
		Previews:       r.oneOf("SANDBOX_PREVIEWS", string(cloudrunsandbox.Services), string(cloudrunsandbox.Instances)),
		CPU:            r.text("SANDBOX_CPU", "1"),
		Memory:         r.text("SANDBOX_MEMORY", "1Gi"),
		Network:        r.text("SANDBOX_NETWORK", ""),
		Subnetwork:     r.text("SANDBOX_SUBNETWORK", ""),
	}
}

// checkCloudRun holds the rules between the fields of a fake. No fault repeats the bucket's address: its key is in it.
func (r *reader) checkCloudRun(c Config) {
	if (c.CloudRun.Emulator == "") != (c.CloudRun.EmulatorBucket == "") {
		r.fault("CLOUD_RUN_EMULATOR_HOST", "and CLOUD_RUN_EMULATOR_BUCKET go together")
	}
	if c.CloudRun.Emulator != "" && !c.fakeCloudRun() {
		r.fault("CLOUD_RUN_EMULATOR_HOST", "needs SANDBOX_BACKEND=cloudrun and CLOUD_RUN=fake")
	}
}

// CheckRoles returns what is missing for roles that need more than others do; ReadConfig does not know the roles. The error is a
// [ConfigError] or nil.
func (c Config) CheckRoles(roles []Role) error {
	var r reader
	if c.fakeCloudRun() && c.CloudRun.Emulator == "" && len(roles) < len(AllRoles()) {
		r.fault("CLOUD_RUN", "fake is for one process with all roles, unless CLOUD_RUN_EMULATOR_HOST names one to share")
	}
	if c.SandboxBackend == "cloudrun" && !c.CloudRun.Fake && anyRole(roles, needsRuntime) {
		for _, needed := range []struct{ name, value string }{
			{"CLOUD_RUN_PROJECT", c.CloudRun.Project}, {"CLOUD_RUN_LOCATION", c.CloudRun.Location},
			{"SANDBOX_IMAGE", c.CloudRun.Image}, {"SANDBOX_SERVICE_ACCOUNT", c.CloudRun.ServiceAccount},
		} {
			if needed.value == "" {
				r.fault(needed.name, "is required with SANDBOX_BACKEND=cloudrun")
			}
		}
		if !strings.HasPrefix(c.sandboxBucket(), "gs://") {
			r.fault("SANDBOX_BUCKET", "or SOURCES_URL must be like gs://bucket with SANDBOX_BACKEND=cloudrun")
		}
	}
	return r.err()
}

// sandboxTarget is the kind of place that sandboxes run at. What the fake runs is on this machine.
func (c Config) sandboxTarget() deployment.Target {
	if c.SandboxBackend == "cloudrun" && !c.CloudRun.Fake {
		return deployment.TargetCloudRun
	}
	return deployment.TargetProcess
}

func (c Config) fakeCloudRun() bool { return c.SandboxBackend == "cloudrun" && c.CloudRun.Fake }

// sandboxBucket is CloudRun.Bucket with its default.
func (c Config) sandboxBucket() string {
	if c.CloudRun.Bucket != "" {
		return c.CloudRun.Bucket
	}
	return c.SourcesURL
}
