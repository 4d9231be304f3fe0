package router_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"vibesdk-gcp/internal/cfclient"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/router"
)

// TestDispatch sends requests through the bridge Worker to Workers of a dispatch namespace, in workerd.
func TestDispatch(t *testing.T) {
	t.Parallel()
	const tenant = "infra/cloudflare/bridge/test/tenant.ts"
	b := testenv.BridgeWith(t, testenv.WorkerSpec{Dispatch: map[string]string{"my-worker": tenant, "old_name": tenant}})
	bridge, err := cfclient.New(cfclient.Options{URL: b.URL, Key: b.Key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bridge.Close)
	w := newWorld(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("process")) }, func(o *router.Options) {
		o.Dispatch, o.AllowedOrigins, o.OwnerKey = bridge, []string{"https://build.example.com"}, []byte(ownerKey)
	})
	w.deploy("shop", deployment.TargetCloudflare, "my-worker") // the names of app and Worker part when a project is renamed
	w.deploy("renamed", deployment.TargetCloudflare, "old_name")
	w.deploy("gone", deployment.TargetCloudflare, "nobody")

	r := w.request(http.MethodGet, "shop.localhost:8787", "/a/b%2Fc//d?x=1&y=%20", nil)
	r.Header.Set("Authorization", "Bearer of-the-app")
	r.Header.Set("Cookie", "a=b; __vibesdk_owner=t")
	r.Header.Set("Origin", "https://build.example.com")
	r.Header.Set("X-Bridge-Url", "https://evil.example/")
	r.Header.Set("X-Bridge-Authorization", "Bearer forged")
	res := w.do(r)
	var got struct {
		Method, URL string
		Headers     map[string]string
	}
	body := bodyOf(t, res)
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("%d %s: %v", res.StatusCode, body, err)
	}
	if got.URL != "http://shop.localhost:8787/a/b%2Fc//d?x=1&y=%20" || got.Headers["authorization"] != "Bearer of-the-app" || got.Headers["cookie"] != "a=b" ||
		got.Headers["host"] != "shop.localhost:8787" || strings.Contains(body, b.Key) || strings.Contains(body, "x-bridge-") || strings.Contains(body, "forged") {
		t.Errorf("the Worker got %s", body)
	}
	if h := res.Header; h.Get("X-Preview-Type") != "dispatcher" || h.Get("Access-Control-Allow-Origin") != "https://build.example.com" ||
		h.Get("Access-Control-Expose-Headers") != "X-Preview-Type" || h.Get("Vary") != "Origin" {
		t.Errorf("headers: %v", h)
	}

	wantAnswer(t, w.do(w.request(http.MethodPost, "renamed.localhost", "/body", strings.NewReader("a body"))), http.StatusCreated, "a body")
	if res := w.get("shop.localhost", "/redirect"); res.StatusCode != http.StatusFound || res.Header.Get("Location") != "https://elsewhere.example/" {
		t.Errorf("a redirect: %d %v", res.StatusCode, res.Header)
	}
	for host, path := range map[string]string{"shop.localhost": "/throws", "gone.localhost": "/"} {
		res := w.get(host, path)
		wantAnswer(t, res, http.StatusInternalServerError, "An error occurred while loading this application.")
		wantBare(t, res)
		if res.Header.Get("X-Bridge-Error") != "" {
			t.Error("the bridge's words reach the visitor")
		}
	}
	if log := w.log.String(); !strings.Contains(log, "worker_not_found") || strings.Contains(log, b.Key) {
		t.Errorf("log: %s", log)
	}

	conn := dialWebSocket(t, w, "shop.localhost", nil)
	for range 3 {
		write(t, conn, "hello")
		read(t, conn, "tenant heard hello")
	}

	// Between the clouds: the same app, half of it here.
	w.put(deployment.App{
		Name: "shop", Place: deployment.Place{Target: deployment.TargetCloudflare, Endpoint: "my-worker"},
		Rollout: &deployment.Rollout{Place: deployment.Place{Target: deployment.TargetProcess, Endpoint: w.upstreamHost()}, Weight: 100},
	})
	wantAnswer(t, w.get("shop.localhost", "/"), http.StatusOK, "process")

	// A private app is its owner's here, too.
	w.put(deployment.App{
		Name: "shop", Place: deployment.Place{Target: deployment.TargetCloudflare, Endpoint: "my-worker"}, Visibility: deployment.Private, Owner: "user-1",
	})
	wantAnswer(t, w.get("shop.localhost", "/"), http.StatusNotFound, unavailable)
}
