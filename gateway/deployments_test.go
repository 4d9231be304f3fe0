package gateway_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/deployment/sqldeployment"
	"vibesdk-gcp/schemas"
)

// table is a deployment table on SQLite.
func table(t testing.TB) *deployment.Table {
	t.Helper()
	db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "deployments.db"), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Migrate(t.Context(), schemas.SQL()); err != nil {
		t.Fatal(err)
	}
	routes := deployment.NewTable(sqldeployment.New(db), deployment.Options{})
	t.Cleanup(func() { _ = routes.Close() })
	return routes
}

func startWithApps(t testing.TB) (*fixture, *deployment.Table) {
	t.Helper()
	routes := table(t)
	return start(t, func(o *gateway.Options) { o.Deployments = routes }), routes
}

func TestDeploymentsAreSetAndRead(t *testing.T) {
	t.Parallel()
	f, _ := startWithApps(t)
	const path = "/v1/deployments/shop"
	f.call(t, "GET", path, "").wantProblem(t, 404, "not-found")
	f.call(t, "GET", path+"/history", "").wantProblem(t, 404, "not-found")
	f.call(t, "DELETE", path, "").wantProblem(t, 404, "not-found")

	made := f.call(t, "PUT", path, `{"target":"process","endpoint":"127.0.0.1:3000"}`)
	want := deployment.App{
		Name: "shop", Place: deployment.Place{Target: deployment.TargetProcess, Endpoint: "127.0.0.1:3000"}, Visibility: deployment.Public, Version: 1,
	}
	same := func(what string, a answer, status int, want deployment.App) {
		t.Helper()
		var got deployment.App
		a.decode(t, &got)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(deployment.App{}, "UpdatedAt")); diff != "" || a.StatusCode != status || got.UpdatedAt.IsZero() {
			t.Errorf("%s: status %d (-want +got):\n%s", what, a.StatusCode, diff)
		}
	}
	same("PUT of a new one", made, 201, want)
	read := f.call(t, "GET", path, "")
	same("GET", read, 200, want)
	if made.Header.Get("ETag") != `"1"` || read.Header.Get("ETag") != `"1"` {
		t.Errorf("ETags %s and %s", made.Header.Get("ETag"), read.Header.Get("ETag"))
	}

	want.Place = deployment.Place{Target: deployment.TargetCloudRun, Endpoint: "https://shop.run.app", Audience: "https://shop.run.app"}
	want.Visibility, want.Owner, want.Version = deployment.Private, "user-1", 2
	want.Rollout = &deployment.Rollout{Place: deployment.Place{Target: deployment.TargetCloudflare, Endpoint: "shop_2"}, Weight: 25}
	same("PUT of all there is", f.call(t, "PUT", path, `{"target":"cloudrun","endpoint":"https://shop.run.app","audience":"https://shop.run.app",
		"visibility":"private","owner":"user-1","rollout":{"target":"cloudflare","endpoint":"shop_2","weight":25}}`, header("If-Match", `"1"`)), 200, want)

	for _, precondition := range [][2]string{{"If-Match", `"1"`}, {"If-Match", `"3"`}, {"If-None-Match", "*"}} {
		for _, method := range []string{"PUT", "DELETE"} {
			body := ""
			if method == "PUT" {
				body = `{"target":"process","endpoint":"127.0.0.1:1"}`
			}
			f.call(t, method, path, body, header(precondition[0], precondition[1])).wantProblem(t, 412, "version")
		}
	}
	same("GET after refusals", f.call(t, "GET", path, ""), 200, want)

	if a := f.call(t, "DELETE", path, "", header("If-Match", `"2"`)); a.StatusCode != http.StatusNoContent {
		t.Errorf("DELETE: %d %s", a.StatusCode, a.body)
	}
	f.call(t, "GET", path, "").wantProblem(t, 404, "not-found")
	var history gateway.DeploymentHistory
	f.call(t, "GET", path+"/history?limit=2", "").decode(t, &history)
	if len(history.Changes) != 2 || history.Changes[0].Version != 3 || history.Changes[0].App != nil || history.Changes[1].App.Owner != "user-1" ||
		!strings.HasPrefix(history.Changes[0].By, "ip:127.0.0.1") || time.Since(history.Changes[0].At) > time.Minute {
		t.Errorf("history: %+v", history)
	}
}

func TestDeploymentPages(t *testing.T) {
	t.Parallel()
	f, _ := startWithApps(t)
	if a := f.call(t, "GET", "/v1/deployments", ""); strings.TrimSpace(a.body) != `{"deployments":[]}` {
		t.Errorf("none: %s", a.body)
	}
	names := []string{"a", "b", "c", "d", "e"}
	for _, name := range names {
		f.call(t, "PUT", "/v1/deployments/"+name, `{"target":"process","endpoint":"127.0.0.1:3000"}`)
	}
	var got []string
	for next, more := "", true; more; more = next != "" {
		var page gateway.DeploymentPage
		f.call(t, "GET", "/v1/deployments?limit=2&after="+next, "").decode(t, &page)
		for _, app := range page.Deployments {
			got = append(got, app.Name)
		}
		next = page.Next
	}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDeploymentsThatBreakRules(t *testing.T) {
	t.Parallel()
	f, routes := startWithApps(t)
	for body, want := range map[string]string{
		`{"target":"moon","endpoint":"x"}`:                                     "target",
		`{"target":"cloudrun","endpoint":"https://evil.example"}`:              "endpoint is at a host that is not allowed; allowed are *.run.app",
		`{"target":"cloudrun","endpoint":"https://169.254.169.254"}`:           "endpoint",
		`{"target":"process","endpoint":"10.0.0.1:80"}`:                        "endpoint",
		`{"target":"process","endpoint":"127.0.0.1:1","rollout":{"weight":5}}`: "rollout",
		`{"target":"process","endpoint":"127.0.0.1:1","visibility":"secret"}`:  "visibility",
		`{"target":"process","endpoint":"127.0.0.1:1","name":"other"}`:         "name",
		`{"target":"process","endpoint":"127.0.0.1:1","sandboxId":"sbx-a"}`:    "sandboxId",
		`{"target":"process","endpoint":"http://user:hunter2@127.0.0.1:1"}`:    "endpoint",
		`[]`: "not understood",
		`{"target":"process","endpoint":"127.0.0.1:1","owner":"` + strings.Repeat("o", 129) + `"}`: "owner",
	} {
		p := f.call(t, "PUT", "/v1/deployments/shop", body).wantProblem(t, 400, "invalid")
		if !strings.Contains(p.Detail, want) || strings.Contains(p.Detail, "hunter2") {
			t.Errorf("%s: %s, want %q", body, p.Detail, want)
		}
	}
	f.call(t, "PUT", "/v1/deployments/Shop", `{"target":"process","endpoint":"127.0.0.1:1"}`).wantProblem(t, 400, "invalid")
	f.call(t, "PUT", "/v1/deployments/shop", `{"target":"process","endpoint":"127.0.0.1:1"}`, header("If-Match", "7")).wantProblem(t, 400, "invalid")
	f.call(t, "GET", "/v1/deployments?limit=0", "").wantProblem(t, 400, "invalid")
	f.call(t, "GET", "/v1/deployments/shop/history?limit=51", "").wantProblem(t, 400, "invalid")
	if apps, err := routes.Apps(t.Context(), "", 10); err != nil || len(apps) != 0 {
		t.Errorf("stored: %v, %v", apps, err)
	}
	start(t).call(t, "GET", "/v1/deployments", "").wantProblem(t, 404, "no-route")
}

// TestDeploymentsKeepTheirSandbox: who changes anything but the place does not take the app from the sandbox that is deployed as it.
func TestDeploymentsKeepTheirSandbox(t *testing.T) {
	t.Parallel()
	f, routes := startWithApps(t)
	app := deployment.App{Name: "shop", Place: deployment.Place{Target: deployment.TargetProcess, Endpoint: "127.0.0.1:3000"}, SandboxID: "sbx-a"}
	if _, err := routes.PutApp(t.Context(), app, deployment.Write{}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ body, want string }{
		{`{"target":"process","endpoint":"127.0.0.1:3000","visibility":"private","owner":"u"}`, "sbx-a"},
		{`{"target":"process","endpoint":"127.0.0.1:3001"}`, ""},
		{`{"target":"process","endpoint":"127.0.0.1:3000"}`, ""},
	} {
		var got deployment.App
		f.call(t, "PUT", "/v1/deployments/shop", step.body).decode(t, &got)
		if got.SandboxID != step.want {
			t.Errorf("%s: sandbox %q, want %q", step.body, got.SandboxID, step.want)
		}
	}
}
