package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"vibesdk-gcp/internal/testenv/cloudrunfake"
	"vibesdk-gcp/platform/sandbox/cloudrunsandbox"
)

// What a fake calls the image of its job and its bucket.
const (
	fakeImage  = "sandbox"
	fakeBucket = "gs://cloudrunfake"
)

// openEmulatorBucket opens the bucket of a fake that another process runs.
func (p *provider) openEmulatorBucket(c Config) error {
	bucket, err := cloudrunfake.OpenStorage(c.CloudRun.EmulatorBucket)
	if err != nil {
		return fmt.Errorf("CLOUD_RUN_EMULATOR_BUCKET: %w", err)
	}
	p.sources, p.sourcesURL = bucket, fakeBucket
	p.onClose("bucket of the Cloud Run emulator", func(context.Context) error { return bucket.Close() })
	return nil
}

// fakeCloudRun uses the fake of another process, or starts a Cloud Run and a bucket of this process's own. Uploads go to that bucket as
// well, because containers are given signed addresses of them.
func (p *provider) fakeCloudRun(c Config, o *cloudrunsandbox.Options) error {
	o.Project, o.Location, o.Image, o.ServiceAccount = "fake-project", "local1", fakeImage, "nobody@fake-project.iam.gserviceaccount.com"
	o.BaseEnv, o.ListenHost = c.SandboxEnv, "127.0.0.1"
	if c.CloudRun.Emulator != "" {
		o.Store, o.ClientOptions = cloudrunsandbox.NewStore(p.sources), cloudrunfake.ClientOptions(c.CloudRun.Emulator)
		return nil
	}
	sandboxd, err := findSandboxd(c.Sandboxd)
	if err != nil {
		return err
	}
	if sandboxd, err = filepath.Abs(sandboxd); err != nil {
		return err
	}
	// The fake's Cloud Run begins empty, and so must its bucket.
	dir := filepath.Join(c.DataDir, "cloudrun")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return err
	}
	storage, err := cloudrunfake.NewStorage(dir)
	if err != nil {
		return fmt.Errorf("bucket of the Cloud Run fake: %w", err)
	}
	p.onClose("bucket of the Cloud Run fake", func(context.Context) error { return storage.Close() })
	p.sources, p.sourcesURL = storage.Bucket, fakeBucket
	server, err := cloudrunfake.New(cloudrunfake.Options{
		Programs: map[string]string{fakeImage: sandboxd}, OperationLatency: 200 * time.Millisecond, StartLatency: 100 * time.Millisecond, Logger: p.log,
	})
	if err != nil {
		return fmt.Errorf("Cloud Run fake: %w", err) //nolint:staticcheck // a name
	}
	p.onClose("Cloud Run fake", func(context.Context) error { return server.Close() })
	if err := server.Job(o.Job, fakeImage); err != nil {
		return errors.Join(errors.New("job of the Cloud Run fake"), err)
	}
	o.Store, o.ClientOptions = cloudrunsandbox.NewStore(storage.Bucket), server.ClientOptions()
	return nil
}
