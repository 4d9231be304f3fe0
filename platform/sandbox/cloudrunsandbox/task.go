package cloudrunsandbox

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"gocloud.dev/blob"

	"vibesdk-gcp/platform/sandbox"
)

// noMetadata keeps well-behaved libraries from asking the metadata server for a token. Nothing can keep code from that
// which means to; the account it would get has no rights.
var noMetadata = map[string]string{"GCE_METADATA_HOST": "metadata.invalid", "METADATA_SERVER_DETECTION": "none", "NO_GCE_CHECK": "true"}

func (d *Driver) guestTask(t sandbox.Task) sandbox.GuestTask {
	base := maps.Clone(noMetadata)
	maps.Copy(base, d.o.BaseEnv)
	return sandbox.GuestTask{Task: t, BaseEnv: base, StartTimeout: d.o.StartTimeout, Listen: net.JoinHostPort(d.o.ListenHost, "8080")}
}

// buildTask is what sandboxd is told about a build.
func (d *Driver) buildTask(ctx context.Context, t sandbox.Task) (sandbox.GuestTask, error) {
	task := d.guestTask(t)
	lifetime := d.buildLifetime(t)
	if uri := t.Spec.Source.ArchiveURI; uri != "" {
		var err error
		if task.Spec.Source.ArchiveURI, err = d.signSource(ctx, uri, lifetime); err != nil {
			return task, err
		}
	}
	s := &task.Store
	return task, d.sign(ctx, lifetime,
		sign{&s.Claim, http.MethodPut, key(t.Ref, buildClaim), true}, get(&s.ClaimRead, key(t.Ref, buildClaim)), get(&s.Grave, graveKey(t.Ref)),
		put(&s.Status, key(t.Ref, buildStatus)), put(&s.Log, key(t.Ref, buildLog)), put(&s.Snapshot, key(t.Ref, snapshot)))
}

// buildLifetime is how long a build may need its addresses, the last word after its deadline included.
func (d *Driver) buildLifetime(t sandbox.Task) time.Duration {
	return max(time.Until(t.Deadline), 0) + timeoutSlack + 10*time.Minute
}

// serveTask is what sandboxd is told about a preview. It gets the built app, so it needs no source.
func (d *Driver) serveTask(ctx context.Context, t sandbox.Task, built sandbox.GuestStatus) (sandbox.GuestTask, error) {
	task := d.guestTask(t)
	task.Spec.Source = sandbox.Source{}
	task.SnapshotDigest = built.SnapshotDigest
	s := &task.Store
	return task, d.sign(ctx, d.o.URLLifetime,
		get(&s.Grave, graveKey(t.Ref)), put(&s.Status, key(t.Ref, serveStatus)), put(&s.Log, key(t.Ref, serveLog)),
		get(&s.Snapshot, key(t.Ref, snapshot)), get(&s.BuildLog, key(t.Ref, buildLog)))
}

func (d *Driver) sign(ctx context.Context, lifetime time.Duration, list ...sign) error {
	for _, s := range list {
		if err := d.storeCall(ctx, func(ctx context.Context) (err error) {
			*s.address, err = d.o.Store.Sign(ctx, s.method, s.key, s.onlyNew, lifetime)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// signSource makes the address of a source one that the sandbox can read without rights of its own.
func (d *Driver) signSource(ctx context.Context, uri string, lifetime time.Duration) (signed string, err error) {
	for _, s := range d.o.Sources {
		escaped, ok := strings.CutPrefix(uri, s.URL)
		name, err := url.PathUnescape(escaped)
		if !ok || err != nil || name == "" || path.Clean("/"+name) != "/"+name {
			continue
		}
		err = d.storeCall(ctx, func(ctx context.Context) (err error) {
			signed, err = s.Bucket.SignedURL(ctx, name, &blob.SignedURLOptions{Method: http.MethodGet, Expiry: lifetime})
			return err
		})
		return signed, err
	}
	return "", fmt.Errorf("%w: the source archive is in none of the buckets that sandboxes may read", sandbox.ErrInvalid)
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
