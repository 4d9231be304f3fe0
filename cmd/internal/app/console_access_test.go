package app_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/client"
)

// signIn signs in with a key.
func (v *visitor) signIn(t testing.TB, key string) {
	t.Helper()
	v.post(t, "/login", "key", key).leads(t, "/console/")
}

// TestConsoleAsksWhoIsThere is about a server with callers.
func TestConsoleAsksWhoIsThere(t *testing.T) {
	t.Parallel()
	c := config(t)
	admin := scoped(t, &c, "admin")
	c.Console.Secret = "a secret that several gateways share, of 32 characters or more"
	w := start(t, c)
	v := w.visitor(t)

	v.get(t, "/sandboxes?state=ready").leads(t, "/console/login?next="+url.QueryEscape("/console/sandboxes?state=ready"))
	v.get(t, "/sandboxes/x/log").leads(t, "/console/login?next="+url.QueryEscape("/console/sandboxes/x/log"))
	v.post(t, "/sandboxes/x/stop").leads(t, "/console/login")
	v.get(t, "/login?next=https://evil.test/").has(t, 200, "API key", `name="next" value="/console/"`, "!evil")
	v.post(t, "/login", "key", "").has(t, 422, "Give an API key")
	v.post(t, "/login", "key", admin+"x").has(t, 401, "Nobody has this key", "!"+admin)

	in := v.post(t, "/login", "key", " "+admin+"\n", "next", "/console/limits")
	in.leads(t, "/console/limits")
	cookie, err := http.ParseSetCookie(in.header.Get("Set-Cookie"))
	if err != nil || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.MaxAge != 12*3600 || cookie.Secure ||
		strings.Contains(cookie.Value, admin) || strings.Contains(cookie.Value, strings.TrimPrefix(admin, "vibe_")) {
		t.Errorf("cookie %+v, %v", cookie, err)
	}
	v.get(t, "/limits").has(t, 200, "Signed in as", "canary-", "Sign out", "apiRateLimit", "!"+admin)

	// Behind a load balancer that ends TLS.
	req, err := http.NewRequestWithContext(within(t), http.MethodPost, v.base+"/login", strings.NewReader(url.Values{"key": {admin}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Forwarded-Proto", "https")
	if cookie, err := http.ParseSetCookie(w.visitor(t).do(t, req).header.Get("Set-Cookie")); err != nil || !cookie.Secure || !strings.HasPrefix(cookie.Name, "__Host-") || cookie.Path != "/" {
		t.Errorf("over https: %+v, %v", cookie, err)
	}

	// Another gateway with the same secret takes the cookie; one with a secret of its own does not.
	second := c
	second.DataDir, second.Listen = t.TempDir(), "127.0.0.1:0"
	other := start(t, second, app.RoleGateway)
	elsewhere := &visitor{base: "http://" + other.Addr() + "/console", http: v.http}
	elsewhere.get(t, "/limits").has(t, 200, "Signed in as")
	second.DataDir, second.Console.Secret = t.TempDir(), ""
	stranger := start(t, second, app.RoleGateway)
	fresh := w.visitor(t)
	fresh.http.Jar.SetCookies(&url.URL{Scheme: "http", Host: "127.0.0.1"}, []*http.Cookie{cookie})
	fresh.base = "http://" + stranger.Addr() + "/console"
	fresh.get(t, "/limits").leads(t, "/console/login?ended=1&next=%2Fconsole%2Flimits")

	v.post(t, "/logout").leads(t, "/console/login")
	v.get(t, "/limits").leads(t, "/console/login?next=%2Fconsole%2Flimits")
	v.get(t, "/assets/console.css").has(t, 200) // what the page to sign in looks like
}

// TestConsoleShowsWhatAKeyMay signs in with keys that may little.
func TestConsoleShowsWhatAKeyMay(t *testing.T) {
	t.Parallel()
	c := config(t)
	reader, nobody := scoped(t, &c, "sandboxes:read", "dead-letters:read"), scoped(t, &c, "agents:connect")
	c.Auth.Key = "0123456789abcdef0123456789abcdef"
	w := start(t, c)
	s := w.run(t, static("read-only"))
	v := w.visitor(t)
	v.signIn(t, reader)
	v.get(t, "/").has(t, 200, "Sandboxes", "Dead letters", "!Throughput", "!>Limits<", "!>Sessions<", "!>Schedules<")
	v.get(t, "/sandboxes/"+s.ID).has(t, 200, s.ID, "!Stop and delete")
	v.get(t, "/dead-letters").has(t, 200)
	for path, scope := range map[string]string{
		"/sessions": "sessions:read", "/limits": "limits:read", "/deployments": "deployments:read", "/schedules": "metrics:read",
	} {
		v.get(t, path).has(t, 403, "It needs the scope "+scope)
	}
	for path, scope := range map[string]string{
		"/sandboxes/" + s.ID + "/stop": "sandboxes:write", "/dead-letters/purge": "dead-letters:write", "/dead-letters/x/replay": "dead-letters:write",
		"/limits/reset": "limits:write", "/deployments/shop": "deployments:write", "/schedules/due-jobs/run": "publish", "/schedules/due-jobs/pause": "admin",
	} {
		v.post(t, path, "confirm", "1").has(t, 403, "It needs the scope "+scope)
	}
	if got, err := w.client.Sandboxes().Get(within(t), s.ID); err != nil || got.State != client.Ready {
		t.Errorf("the sandbox is %s, %v", got.State, err)
	}
	v = w.visitor(t)
	v.signIn(t, nobody)
	v.get(t, "/").has(t, 200, "sees no figures", "!>Sandboxes<")
	v = w.visitor(t)
	v.signIn(t, c.Auth.Key)
	v.get(t, "/schedules").has(t, 200, "Run due-jobs now", "Pause due-jobs", "api-key")
}

// TestConsoleEndsWithTheKey takes a key away from somebody who is signed in with it.
func TestConsoleEndsWithTheKey(t *testing.T) {
	t.Parallel()
	c := config(t)
	key := scoped(t, &c, "limits:read")
	w := start(t, c)
	v := w.visitor(t)
	v.signIn(t, key)
	v.get(t, "/limits").has(t, 200)
	if err := os.WriteFile(c.Auth.File, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for ctx := within(t); ; time.Sleep(20 * time.Millisecond) { // the file is read again a second after the last time
		got := v.get(t, "/limits")
		if got.status == http.StatusSeeOther {
			got.leads(t, "/console/login?ended=1&next=%2Fconsole%2Flimits")
			break
		}
		if ctx.Err() != nil {
			t.Fatal("the key is still good")
		}
	}
	v.get(t, "/login?ended=1").has(t, 200, "Your session has ended")
}

// TestConsoleTakesFormsOfItsOwnPagesOnly is about what pages of other sites may make a browser do.
func TestConsoleTakesFormsOfItsOwnPagesOnly(t *testing.T) {
	t.Parallel()
	w := start(t, config(t))
	v := w.visitor(t)
	s := w.run(t, static("not-by-others"))
	for _, site := range []string{"cross-site", "same-site"} {
		v.site = site
		v.post(t, "/sandboxes/"+s.ID+"/stop").has(t, 403, "A page of another site may not do this")
		v.get(t, "/sandboxes").has(t, 403, "!"+s.ID) // by a script or in a frame
	}
	v.site = "cross-site"
	req := func(method, path string, header ...string) *http.Request {
		r, err := http.NewRequestWithContext(within(t), method, v.base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		return r
	}
	v.do(t, req("GET", "/sandboxes", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")).has(t, 200, s.ID) // a link
	v.do(t, req("GET", "/sandboxes", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe")).has(t, 403, "!"+s.ID)
	v.do(t, req("POST", "/sandboxes/"+s.ID+"/stop", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")).has(t, 403)
	v.site = "none"
	old := req("POST", "/sandboxes/"+s.ID+"/stop", "Origin", "http://evil.test") // a browser that tells the origin alone
	old.Header.Del("Sec-Fetch-Site")
	resp, err := v.http.Do(old)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != http.StatusForbidden {
		t.Errorf("a form of another origin: %d", resp.StatusCode)
	}
	rebound := req("GET", "/sandboxes")
	rebound.Host = "evil.test" // whose address somebody made that of this machine
	v.do(t, rebound).has(t, http.StatusMisdirectedRequest, "!"+s.ID)
	v.site = ""
	page := v.get(t, "/sandboxes")
	for name, want := range map[string]string{
		"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
		"Cross-Origin-Opener-Policy": "same-origin",
	} {
		if got := page.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if policy := page.header.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-ancestors 'none'") || !strings.Contains(policy, "form-action 'self'") {
		t.Errorf("policy %q", policy)
	}
	if got, err := w.client.Sandboxes().Get(within(t), s.ID); err != nil || got.State != client.Ready {
		t.Errorf("after all that the sandbox is %s, %v", got.State, err)
	}
}

// TestConsoleCountsWrongKeys charges them to their address, as the API does, and no log has a key.
func TestConsoleCountsWrongKeys(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Auth.Key = "0123456789abcdef0123456789abcdef"
	c.Limit.API = true
	strict := c.Limit.Limits["authRateLimit"]
	strict.Config.Limit, strict.Config.Period = 3, 3600
	c.Limit.Limits["authRateLimit"] = strict
	var mu sync.Mutex
	var log bytes.Buffer
	a, err := app.Start(t.Context(), c, app.AllRoles(), slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return log.Write(p)
	}), nil)))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{App: a, config: c}
	t.Cleanup(func() {
		if err := a.Stop(within(t)); err != nil {
			t.Error(err)
		}
	})
	v := w.visitor(t)
	for range 3 {
		v.post(t, "/login", "key", "not-the-key-at-all").has(t, 401)
	}
	v.post(t, "/login", "key", "not-the-key-at-all").has(t, 429, "too many tries")
	v.signIn(t, c.Auth.Key)
	v.get(t, "/").has(t, 200)
	mu.Lock()
	defer mu.Unlock()
	if text := log.String(); !strings.Contains(text, "/console/login") || strings.Contains(text, c.Auth.Key) || strings.Contains(text, "not-the-key") {
		t.Errorf("the log lacks the call, or has a key:\n%s", text)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestConsoleCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Console.Enabled = false
	v := start(t, c, app.RoleGateway).visitor(t)
	for _, path := range []string{"", "/", "/login", "/assets/console.css"} {
		v.get(t, path).has(t, 404, "there is no /console")
	}
}

func TestConsoleConfig(t *testing.T) {
	t.Parallel()
	file := filesIn(t, t.TempDir())
	long := strings.Repeat("k", 32)
	c, err := app.ReadConfig(environment(map[string]string{"CONSOLE": "off", "CONSOLE_SECRET_FILE": file("long", long+"\n")}))
	if err != nil || c.Console != (app.ConsoleConfig{Secret: long}) {
		t.Errorf("%+v, %v", c.Console, err)
	}
	for name, value := range map[string]string{"CONSOLE": "maybe", "CONSOLE_SECRET_FILE": file("short", "a-secret-of-20-chars")} {
		if _, err := app.ReadConfig(environment(map[string]string{name: value})); err == nil || !strings.Contains(err.Error(), "\n  "+name+": ") || strings.Contains(err.Error(), "a-secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
