package app

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"

	"gocloud.dev/blob"

	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/sandbox/cloudrunsandbox"
	"vibesdk-gcp/platform/sandbox/processsandbox"
)

// openRuntime opens what builds and serves sandboxes: processes of this machine, or Cloud Run.
func (p *provider) openRuntime(ctx context.Context, c Config) error {
	var driver sandbox.RuntimeDriver
	var err error
	if c.SandboxBackend == "cloudrun" {
		driver, err = p.cloudRunDriver(ctx, c)
	} else {
		driver, err = p.processDriver(ctx, c)
	}
	if err != nil {
		return err
	}
	p.runtime = sandbox.NewRuntime(driver, sandbox.RuntimeOptions{Meter: p.telemetry.Meter.Meter("vibesdk-gcp/platform/sandbox")})
	return nil
}

func (p *provider) processDriver(ctx context.Context, c Config) (sandbox.RuntimeDriver, error) {
	sandboxd, err := findSandboxd(c.Sandboxd)
	if err != nil {
		return nil, err
	}
	driver, err := processsandbox.New(ctx, processsandbox.Options{
		Dir: filepath.Join(c.DataDir, "sandboxes"), CacheDir: filepath.Join(c.DataDir, "cache"),
		Sandboxd: sandboxd, BaseEnv: c.SandboxEnv, StartTimeout: c.StartTimeout, Builds: c.Builds, Logger: p.log,
	})
	if err != nil {
		return nil, fmt.Errorf("%w (the roles sandboxrunner, janitor and gateway of one DATA_DIR must run in one process)", err)
	}
	p.onClose("sandboxes", driver.Close)
	return driver, nil
}

// imagePath is PATH in the image of sandboxes, infra/docker/SandboxDockerfile.
const imagePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func (p *provider) cloudRunDriver(ctx context.Context, c Config) (sandbox.RuntimeDriver, error) {
	r := c.CloudRun
	o := cloudrunsandbox.Options{
		Project: r.Project, Location: r.Location, Job: r.Job, Image: r.Image, ServiceAccount: r.ServiceAccount, Installation: r.Installation,
		Previews: cloudrunsandbox.Previews(r.Previews), CPU: r.CPU, Memory: r.Memory, Network: r.Network, Subnetwork: r.Subnetwork,
		StartTimeout: c.StartTimeout, Meter: p.telemetry.Meter.Meter("vibesdk-gcp/platform/sandbox/cloudrunsandbox"), Logger: p.log,
	}
	// What this process has in its environment for commands, with the programs of the image.
	o.BaseEnv = maps.Clone(c.SandboxEnv)
	o.BaseEnv["PATH"] = imagePath
	if r.Fake {
		if err := p.fakeCloudRun(c, &o); err != nil {
			return nil, err
		}
	} else {
		bucket, err := p.sandboxObjects(ctx, c)
		if err != nil {
			return nil, err
		}
		o.Store = cloudrunsandbox.NewStore(bucket)
	}
	o.Sources = []cloudrunsandbox.SourceBucket{{URL: p.sourcesURL, Bucket: p.sources}}
	driver, err := cloudrunsandbox.New(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("Cloud Run: %w", err) //nolint:staticcheck // a name
	}
	p.onClose("sandboxes", func(context.Context) error { return driver.Close() })
	return driver, nil
}

// sandboxObjects is the bucket of snapshots, logs and claims: that of the sources, or one of its own.
func (p *provider) sandboxObjects(ctx context.Context, c Config) (*blob.Bucket, error) {
	if c.sandboxBucket() == p.sourcesURL {
		return p.sources, nil
	}
	bucket, err := openBucket(ctx, c.sandboxBucket())
	if err != nil {
		return nil, fmt.Errorf("SANDBOX_BUCKET: %w", err)
	}
	p.onClose("bucket of sandboxes", func(context.Context) error { return bucket.Close() })
	return bucket, nil
}
