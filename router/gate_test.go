package router_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/router"
)

const (
	ownerKey    = "0123456789abcdef0123456789abcdef"
	unavailable = "This application is not currently available."
)

// ownerClaims are what VibeSDK signs.
type ownerClaims struct {
	UserID       string `json:"userId,omitempty"`
	DeploymentID string `json:"deploymentId,omitempty"`
	Purpose      string `json:"purpose,omitempty"`
	IssuedAt     int64  `json:"iat,omitempty"`
	Expiry       int64  `json:"exp,omitempty"`
}

func signed(t *testing.T, key string, alg jose.SignatureAlgorithm, claims ownerClaims) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: []byte(key)}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// privateWorld has the app mine of user-1, and a token that opens it.
func privateWorld(t *testing.T, app http.HandlerFunc, changes ...func(*router.Options)) (*world, ownerClaims) {
	t.Helper()
	w := newWorld(t, app, append([]func(*router.Options){func(o *router.Options) { o.OwnerKey = []byte(ownerKey) }}, changes...)...)
	w.put(deployment.App{
		Name: "mine", Place: deployment.Place{Target: deployment.TargetProcess, Endpoint: w.upstreamHost()}, Visibility: deployment.Private, Owner: "user-1",
	})
	now := w.clock.Now().Unix()
	return w, ownerClaims{UserID: "user-1", DeploymentID: "mine", Purpose: "owner_preview", IssuedAt: now, Expiry: now + 3600}
}

func TestPrivateAppsAreLikeMissingOnes(t *testing.T) {
	t.Parallel()
	w, good := privateWorld(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("secret")) })
	edit := func(change func(*ownerClaims)) string {
		claims := good
		change(&claims)
		return signed(t, ownerKey, jose.HS256, claims)
	}
	valid := edit(func(*ownerClaims) {})
	missing := w.get("nobody.localhost", "/")
	want := missing.Header.Clone()
	want.Del("Date")
	for name, token := range map[string]string{
		"no token": "", "not a token": "abc", "another key": signed(t, strings.Repeat("x", 32), jose.HS256, good),
		"another algorithm": signed(t, ownerKey+ownerKey, jose.HS512, good),
		"no algorithm":      "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + strings.Split(valid, ".")[1] + ".",
		"cut signature":     valid[:len(valid)-2], "another user": edit(func(c *ownerClaims) { c.UserID = "user-2" }),
		"no user": edit(func(c *ownerClaims) { c.UserID = " " }), "another app": edit(func(c *ownerClaims) { c.DeploymentID = "shop" }),
		"another purpose": edit(func(c *ownerClaims) { c.Purpose = "session" }), "no purpose": edit(func(c *ownerClaims) { c.Purpose = "" }),
		"expired": edit(func(c *ownerClaims) { c.Expiry = c.IssuedAt - 1 }), "endless": edit(func(c *ownerClaims) { c.Expiry = 0 }),
		"of the future": edit(func(c *ownerClaims) { c.IssuedAt += 600 }),
	} {
		query := w.request(http.MethodGet, "mine.localhost", "/?__vibesdk_owner="+token, nil)
		cookie := w.request(http.MethodGet, "mine.localhost", "/", nil)
		cookie.Header.Set("Cookie", "a=1; __vibesdk_owner="+token)
		for _, r := range []*http.Request{query, cookie} {
			r.Header.Set("Origin", "http://localhost:5173")
			res := w.do(r)
			t.Log(name)
			wantAnswer(t, res, http.StatusNotFound, unavailable)
			wantBare(t, res)
			if got := res.Header.Clone(); len(got) != len(want)+1 || got.Get("Content-Length") != want.Get("Content-Length") {
				t.Errorf("headers %v, those of a missing app are %v", got, want)
			}
		}
	}
	// Not even the method or a WebSocket tells.
	for _, request := range []string{"OPTIONS / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"} {
		wantAnswer(t, rawExchange(t, w.front, request+"Host: mine.localhost\r\nConnection: Upgrade\r\n\r\n"), http.StatusNotFound, unavailable)
	}
	if log := w.log.String(); strings.Contains(log, "mine") || strings.Contains(log, valid) {
		t.Errorf("the log tells: %s", log)
	}
}

func TestOwnersSeePrivateApps(t *testing.T) {
	t.Parallel()
	got := make(chan *http.Request, 1)
	w, claims := privateWorld(t, func(w http.ResponseWriter, r *http.Request) {
		got <- r
		w.Header().Set("Cache-Control", "public, max-age=60, s-maxage=600")
		_, _ = w.Write([]byte("mine"))
	}, func(o *router.Options) { o.Scheme = "https" })
	token := signed(t, ownerKey, jose.HS256, claims)
	stranger := claims
	stranger.UserID = "user-2"
	strangers := signed(t, ownerKey, jose.HS256, stranger)

	// By the query: the answer makes it a cookie, and the app sees neither.
	r := w.request(http.MethodGet, "mine.localhost", "/a?x=%zz&__vibesdk_owner="+token+"&y;z=1", nil)
	r.Header.Set("Cookie", "a=1; __vibesdk_owner="+strangers+"; b=2")
	r.Header.Set("Authorization", "Bearer of-the-app")
	res := w.do(r)
	wantAnswer(t, res, http.StatusOK, "mine")
	in := await(t, "the request", got)
	if in.RequestURI != "/a?x=%zz&y;z=1" || in.Header.Get("Cookie") != "a=1; b=2" || in.Header.Get("Authorization") != "Bearer of-the-app" {
		t.Errorf("the app got %s with %v", in.RequestURI, in.Header)
	}
	cookie := "__vibesdk_owner=" + token + "; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"
	if set := res.Header.Values("Set-Cookie"); len(set) != 1 || set[0] != cookie {
		t.Errorf("cookies %q, want %q", set, cookie)
	}
	if res.Header.Get("Cache-Control") != "private, max-age=60" || strings.Join(res.Header.Values("Vary"), ",") != "Origin,Cookie" || res.Header.Get("X-Preview-Type") != "dispatcher" {
		t.Errorf("headers: %v", res.Header)
	}

	// By the cookie: none is set again.
	byCookie := func() *http.Response {
		r := w.request(http.MethodGet, "mine.localhost", "/", nil)
		r.Header.Set("Cookie", "__vibesdk_owner="+token)
		return w.do(r)
	}
	res = byCookie()
	wantAnswer(t, res, http.StatusOK, "mine")
	if in := await(t, "the request", got); in.Header["Cookie"] != nil || len(res.Header.Values("Set-Cookie")) != 0 {
		t.Errorf("by cookie: the app got %v, the answer has %v", in.Header, res.Header)
	}

	// A token of the query that is no good leaves it to the cookie, one of somebody else does not.
	for query, status := range map[string]int{"abc": 200, strangers: 404} {
		r := w.request(http.MethodGet, "mine.localhost", "/?__vibesdk_owner="+query, nil)
		r.Header.Set("Cookie", "__vibesdk_owner="+token)
		res := w.do(r)
		if res.StatusCode != status || len(res.Header.Values("Set-Cookie")) != 0 {
			t.Errorf("query %q: %d %v, want %d", query[:3], res.StatusCode, res.Header, status)
		}
		if status == 200 {
			await(t, "the request", got)
		}
	}

	w.clock.advance(time.Hour + time.Second)
	wantAnswer(t, byCookie(), http.StatusNotFound, unavailable)
}

// TestWhoAppsArePrivateFor: an app without an owner is everybody's, as in VibeSDK, and without a key nobody is the owner.
func TestWhoAppsArePrivateFor(t *testing.T) {
	t.Parallel()
	w, claims := privateWorld(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }, func(o *router.Options) { o.OwnerKey = nil })
	token := signed(t, ownerKey, jose.HS256, claims)
	wantAnswer(t, w.get("mine.localhost", "/?__vibesdk_owner="+token), http.StatusNotFound, unavailable)
	app := deployment.App{Name: "mine", Place: deployment.Place{Target: deployment.TargetProcess, Endpoint: w.upstreamHost()}, Visibility: deployment.Private}
	w.put(app)
	wantAnswer(t, w.get("mine.localhost", "/"), http.StatusOK, "hello")
	app.Owner = "user-1"
	w.put(app)
	wantAnswer(t, w.get("mine.localhost", "/"), http.StatusNotFound, unavailable) // at once
	app.Visibility = deployment.Public
	w.put(app)
	wantAnswer(t, w.get("mine.localhost", "/"), http.StatusOK, "hello")
	if _, err := router.New(router.Options{PreviewDomain: "p.test", Lookup: w.table, OwnerKey: []byte("short")}); err == nil {
		t.Error("a short key was accepted")
	}
}
