package cloudrunsandbox_test

import (
	"context"
	"fmt"
	"io/fs"
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
	c := newCloud(t)
	d := c.driver(t, func(o *cloudrunsandbox.Options) { o.DeleteWait = 20 * time.Millisecond })
	task := sandboxtest.NewTask("slow", 1, "echo begun; sleep 1000")
	must(t, d.Build(t.Context(), task))
	release := c.Hold()
	err := d.Delete(t.Context(), task.Ref)
	wantErr(t, err, sandbox.ErrUnavailable, "still removing")
	if refs, err := d.List(t.Context()); err != nil || len(refs) != 1 {
		t.Errorf("what is still going is not listed: %v, %v", refs, err)
	}
	release()
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
	d := c.driver(t)
	task := sandboxtest.NewTask("etag", 1, sandboxtest.Page)
	must(t, d.Build(t.Context(), task))
	sandboxtest.Built(t, d, task.Ref)
	must(t, d.Serve(t.Context(), task))
	sandboxtest.Serving(t, d, task.Ref)
	services, err := run.NewServicesClient(t.Context(), c.ClientOptions()...)
	must(t, err)
	defer services.Close()
	changed := c.Services()[0]
	changed.Labels["seen-by"] = "somebody"
	var updated error
	struck := c.Inject(cloudrunfake.Fault{Method: "GetService", Nth: 1, Kind: cloudrunfake.Slow, Then: func() {
		_, updated = services.UpdateService(t.Context(), &runpb.UpdateServiceRequest{Service: changed})
	}})
	calls := len(c.Calls())
	must(t, d.Delete(t.Context(), task.Ref))
	must(t, updated)
	deletes := 0
	for _, call := range c.Calls()[calls:] {
		if call == "DeleteService" {
			deletes++
		}
	}
	if !struck() || deletes < 2 || len(c.Services()) != 0 {
		t.Errorf("struck: %v, %d attempts to delete, %d services are left", struck(), deletes, len(c.Services()))
	}
}

// TestListsAreReadPageByPage lets one page fail: it alone is read again.
func TestListsAreReadPageByPage(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(o *cloudrunfake.Options) { o.Run = func(context.Context, cloudrunfake.Container) int { return 0 } })
	d := c.driver(t)
	const count = 150 // a page has 100
	var want []sandbox.Ref
	for i := range count {
		task := sandboxtest.NewTask(fmt.Sprint("page-", i), 1, "true")
		must(t, d.Build(t.Context(), task))
		want = append(want, task.Ref)
	}
	for _, ref := range want { // without notes the executions are all that shows them
		store := cloudrunsandbox.NewStore(c.storage.Bucket)
		keys, err := store.List(t.Context(), "sandboxes/"+ref.String()+"/")
		must(t, err)
		for _, key := range keys {
			must(t, store.Delete(t.Context(), key))
		}
	}
	struck := c.Inject(cloudrunfake.Fault{Method: "ListExecutions", Nth: 2, Kind: cloudrunfake.Before})
	calls := len(c.Calls())
	refs, err := d.List(t.Context())
	must(t, err)
	slices.SortFunc(want, func(a, b sandbox.Ref) int { return strings.Compare(a.ID, b.ID) })
	if !slices.Equal(refs, want) {
		t.Errorf("%d of %d sandboxes are listed", len(refs), count)
	}
	if made := c.Calls()[calls:]; !struck() || !slices.Equal(made, []string{"ListExecutions", "ListExecutions", "ListExecutions", "ListServices"}) {
		t.Errorf("struck: %v; calls: %q", struck(), made)
	}
}

// hiding is a store of which an object has just gone.
type hiding struct {
	cloudrunsandbox.Store
	name string
}

func (s hiding) Get(ctx context.Context, key string) ([]byte, error) {
	if strings.HasSuffix(key, s.name) {
		return nil, fs.ErrNotExist
	}
	return s.Store.Get(ctx, key)
}

// TestDeletedWhileLookedAt looks at a preview of which objects go between the list and the reading.
func TestDeletedWhileLookedAt(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	d := c.driver(t)
	task := sandboxtest.NewTask("going", 1, sandboxtest.Page)
	must(t, d.Build(t.Context(), task))
	sandboxtest.Built(t, d, task.Ref)
	must(t, d.Serve(t.Context(), task))
	sandboxtest.Serving(t, d, task.Ref)
	looking := c.driver(t, func(o *cloudrunsandbox.Options) { o.Store = hiding{o.Store, "/serve.ready.json"} })
	if st, err := looking.Inspect(t.Context(), task.Ref); err != nil || st != (sandbox.Status{}) {
		t.Errorf("while it is deleted: %+v, %v; want nothing", st, err)
	}
	must(t, looking.Await(t.Context(), task.Ref, sandbox.Status{Build: sandbox.Done, Serve: sandbox.Running}))
	must(t, d.Delete(t.Context(), task.Ref))
}
