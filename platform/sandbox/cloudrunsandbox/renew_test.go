package cloudrunsandbox_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/sandbox/cloudrunsandbox"
	"vibesdk-gcp/platform/sandbox/sandboxtest"
)

// answers waits until an endpoint does: a new revision cuts off what is under way.
func answers(t *testing.T, endpoint string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		resp, err := http.Get(endpoint)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatalf("it answers %v, %v", resp, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestAddressesAreRenewed lets half of their life pass: once for a static preview, never for a development server.
func TestAddressesAreRenewed(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	d := c.driver(t)
	later := c.driver(t, func(o *cloudrunsandbox.Options) { o.Now = func() time.Time { return time.Now().Add(7 * time.Hour) } })
	for name, task := range map[string]sandbox.Task{"static": sandboxtest.NewTask("static", 1, sandboxtest.Page), "dev": devTask(t, "dev", "")} {
		must(t, d.Build(t.Context(), task))
		sandboxtest.Built(t, d, task.Ref)
		must(t, d.Serve(t.Context(), task))
		st := sandboxtest.Serving(t, d, task.Ref)
		updates := func() (n int) {
			for _, call := range c.Calls() {
				if call == "UpdateService" {
					n++
				}
			}
			return n
		}
		before := updates()
		for range 2 {
			if now := sandboxtest.Serving(t, d, task.Ref); now != st || updates() != before {
				t.Errorf("%s: %+v, %d updates of what is fresh", name, now, updates()-before)
			}
		}
		for range 3 {
			if now := sandboxtest.Serving(t, later, task.Ref); now != st {
				t.Errorf("%s: it went from %+v to %+v", name, st, now)
			}
		}
		want := map[string]int{"static": 1, "dev": 0}[name]
		if got := updates() - before; got != want {
			t.Errorf("%s: %d updates, want %d", name, got, want)
		}
		answers(t, st.Endpoint)
		must(t, d.Delete(t.Context(), task.Ref))
	}
	if left := c.Services(); len(left) > 0 || slices.Contains(c.Calls(), "UpdateInstance") {
		t.Errorf("left: %v", left)
	}
}
