package app_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/client"
	"vibesdk-gcp/internal/testenv"
)

const ownerKey = "0123456789abcdef0123456789abcdef"

// TestRoutesTravelBetweenPrograms: what a person sets through one program holds in another one, which has the router and nothing else: the app
// is there, private, somebody else's and gone, one after the other.
func TestRoutesTravelBetweenPrograms(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	program := func(role app.Role) *world {
		c := config(t)
		c.DatabaseURL, c.Router.OwnerKey = database, ownerKey
		return start(t, c, role)
	}
	front, door := program(app.RoleGateway), program(app.RoleRouter)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "the shop; query "+r.URL.RawQuery)
	}))
	t.Cleanup(site.Close)
	place := client.Place{Target: "process", Endpoint: strings.TrimPrefix(site.URL, "http://")}

	ctx := within(t)
	eventually := func(path string, status int, body string) {
		t.Helper()
		for {
			code, _, got := door.get(t, "http://shop.localhost", path)
			if code == status && got == body {
				return
			}
			if ctx.Err() != nil {
				t.Fatalf("%s: still %d %q, want %d %q", path, code, got, status, body)
			}
		}
	}
	set := func(change func(*client.Deployment)) {
		t.Helper()
		if _, err := front.client.Deployments().Change(ctx, "shop", func(d *client.Deployment) error { change(d); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	const missing = "This application is not currently available."
	token := signed(t, jose.HS256, []byte(ownerKey), map[string]any{
		"userId": "user-1", "deploymentId": "shop", "purpose": "owner_preview", "exp": time.Now().Add(time.Hour).Unix(),
	})

	eventually("/", 404, missing)
	set(func(d *client.Deployment) { d.Place = place })
	eventually("/", 200, "the shop; query ")
	set(func(d *client.Deployment) { d.Visibility, d.Owner = "private", "user-1" })
	eventually("/", 404, missing)
	eventually("/?a=b&__vibesdk_owner="+token, 200, "the shop; query a=b")
	set(func(d *client.Deployment) { d.Owner = "user-2" })
	eventually("/?a=b&__vibesdk_owner="+token, 404, missing)
	set(func(d *client.Deployment) { d.Visibility = "public" })
	eventually("/", 200, "the shop; query ")
	if err := front.client.Deployments().Delete(ctx, "shop", nil); err != nil {
		t.Fatal(err)
	}
	eventually("/", 404, missing)

	// A program without a gateway answers for hosts that are nobody's as well.
	if code, _, body := door.get(t, "http://127.0.0.1", "/"); code != 403 || body != "Access denied. Please use the assigned domain name." {
		t.Errorf("an address as host: %d %q", code, body)
	}
	if code, _, body := door.get(t, "http://example.com", "/"); code != 404 || body != "Not Found" {
		t.Errorf("another host: %d %q", code, body)
	}
}

// TestTheFrontDoorIsNoEndpoint: an app that leads back to this program would open its API to strangers.
func TestTheFrontDoorIsNoEndpoint(t *testing.T) {
	t.Parallel()
	w := start(t, config(t), app.RoleGateway, app.RoleRouter)
	for _, endpoint := range []string{w.Addr(), strings.Replace(w.Addr(), "127.0.0.1", "localhost", 1)} {
		app := client.Deployment{Name: "loop", Place: client.Place{Target: "process", Endpoint: endpoint}}
		if _, err := w.client.Deployments().Put(within(t), app, nil); err != nil {
			t.Fatal(err)
		}
		if code, _, body := w.get(t, "http://loop.localhost", "/v1/deployments"); code != 500 || body != "An error occurred while loading this application." {
			t.Errorf("%s: %d %q", endpoint, code, body)
		}
	}
}
