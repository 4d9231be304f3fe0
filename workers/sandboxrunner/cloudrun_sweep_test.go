package sandboxrunner_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/sandbox/sandboxtest"
)

// TestASweepComparesBothWays puts orphans of each kind beside a sandbox that lives, and takes the resources of another away.
func TestASweepComparesBothWays(t *testing.T) {
	t.Parallel()
	r, err := newRegion(newLedger(t), "")
	must(t, err)
	t.Cleanup(func() { must(t, r.close()) })
	r.deleteWait = patience
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, id := range []string{"alive", "robbed"} {
		must(t, r.deliver(ctx, app(id, "")))
	}
	alive, robbed := r.load(t, "alive"), r.load(t, "robbed")
	w, err := r.worker(ctx)
	must(t, err)
	defer w.driver.Close()
	// Resources that no record knows; of one even the notes in the bucket are lost.
	for _, name := range []string{"stranger", "without notes"} {
		task := sandboxtest.NewTask(name, 3, "")
		task.Spec.StaticDir = "."
		must(t, w.driver.Build(ctx, task))
		sandboxtest.Built(t, w.driver, task.Ref)
		must(t, w.driver.Serve(ctx, task))
		sandboxtest.Serving(t, w.driver, task.Ref)
		if name == "without notes" {
			keys := listed(t, r, "sandboxes/"+task.Ref.String()+"/")
			for _, key := range keys {
				must(t, r.storage.Delete(ctx, key))
			}
			if len(keys) < 5 {
				t.Fatalf("only %q: the case tells nothing", keys)
			}
		}
	}
	if len(r.Services()) != 4 || len(r.Executions()) != 4 {
		t.Fatalf("%d services and %d executions: the case tells nothing", len(r.Services()), len(r.Executions()))
	}
	// A record whose service somebody deleted by hand.
	must(t, r.RemoveService(ctx, robbed.ID+"-1"))

	var asked outbox
	must(t, r.sweep(ctx, &asked))
	for _, v := range r.Services() {
		if v.GetLabels()["vibesdk-sandbox"] != alive.ID {
			t.Errorf("service %s is left", v.GetName())
		}
	}
	if refs, err := w.driver.List(ctx); err != nil || len(refs) != 2 {
		t.Errorf("listed: %v, %v; want the two sandboxes with a record", refs, err)
	}
	if len(asked.sent) != 1 || !strings.Contains(string(asked.sent[0].Data), robbed.ID) {
		t.Fatalf("asked for %d looks, want one at the sandbox without its service", len(asked.sent))
	}
	must(t, r.deliver(ctx, asked.sent[0]))
	if got := r.load(t, "robbed"); got.State != sandbox.Ready || got.Fence != 2 || got.Restarts != 1 {
		t.Errorf("after the look: %+v", got)
	}
	if got := r.load(t, "alive"); got != alive {
		t.Errorf("the sweep changed %+v to %+v", alive, got)
	}
	for _, id := range []string{"alive", "robbed"} {
		resp, err := http.Get(r.load(t, id).Endpoint)
		must(t, err)
		resp.Body.Close()
		must(t, r.deliver(ctx, stop(id, "USER")))
	}
	left, err := r.left(ctx)
	must(t, err)
	if len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

func listed(t *testing.T, r *region, prefix string) []string {
	t.Helper()
	left, err := r.left(t.Context())
	must(t, err)
	var keys []string
	for _, key := range left {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	return keys
}

func (r *region) load(t *testing.T, requestID string) sandbox.Record {
	t.Helper()
	rec, err := r.ledger.records.Load(t.Context(), sandbox.IDFor(requestID))
	must(t, err)
	return rec
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
