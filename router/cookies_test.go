package router_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCookiesAreScoped: a cookie of an app reaches that app's host, and not the ones beside and above it.
func TestCookiesAreScoped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Set-Cookie"] = []string{
			"plain=1; Path=/; HttpOnly", "parent=1; Domain=localhost; Path=/", "own=1;DOMAIN=.shop.localhost;Secure", "bare=1; domain",
			"spaced=1; Path=/;  domain = localhost ; SameSite=Lax", "text=domain; Path=/x", "__vibesdk_owner=stolen", " __vibesdk_visitor=1; Path=/",
			"twice=1; Domain=a; Domain=b",
		}
		w.WriteHeader(http.StatusNoContent)
	})
	want := []string{
		"plain=1; Path=/; HttpOnly", "parent=1; Path=/", "own=1;Secure", "bare=1", "spaced=1; Path=/; SameSite=Lax", "text=domain; Path=/x", "twice=1",
	}
	for _, host := range []string{"shop.localhost", w.previewHost()} {
		if diff := cmp.Diff(want, w.get(host, "/").Header.Values("Set-Cookie")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", host, diff)
		}
	}
}

// TestTheRoutersCookiesStayItsOwn: also for apps that are neither private nor split.
func TestTheRoutersCookiesStayItsOwn(t *testing.T) {
	t.Parallel()
	got := make(chan http.Header, 1)
	w := newWorld(t, func(_ http.ResponseWriter, r *http.Request) { got <- r.Header })
	for cookies, want := range map[string][]string{
		"a=1; __vibesdk_owner=x; b=2": {"a=1; b=2"}, "__vibesdk_owner=x": nil, "a=1;b=2": {"a=1;b=2"}, "__vibesdk_visitor=y;a=1": {"a=1"},
	} {
		r := w.request(http.MethodGet, "shop.localhost", "/", nil)
		r.Header.Set("Cookie", cookies)
		w.do(r)
		if diff := cmp.Diff(want, await(t, "the request", got)["Cookie"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", cookies, diff)
		}
	}
}
