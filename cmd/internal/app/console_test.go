package app_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/gateway/client"
)

// visitor is a person's browser without a screen: it keeps cookies, and says where its requests come from.
type visitor struct {
	base string
	http *http.Client
	// site is what it says of that: same-origin unless it is set.
	site string
}

// shown is a page as it was answered.
type shown struct {
	status int
	header http.Header
	body   string
}

func (w *world) visitor(t testing.TB) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{base: "http://" + w.Addr() + "/console", http: &http.Client{
		Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (v *visitor) do(t testing.TB, req *http.Request) shown {
	t.Helper()
	if v.site == "" {
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	} else {
		req.Header.Set("Sec-Fetch-Site", v.site)
	}
	resp, err := v.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return shown{resp.StatusCode, resp.Header, string(body)}
}

func (v *visitor) get(t testing.TB, path string) shown {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), http.MethodGet, v.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v.do(t, req)
}

// post sends a form of names and values.
func (v *visitor) post(t testing.TB, path string, fields ...string) shown {
	t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	req, err := http.NewRequestWithContext(within(t), http.MethodPost, v.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.do(t, req)
}

// has checks that a page was answered with a status and holds texts; one that begins with ! must not be there.
func (s shown) has(t testing.TB, status int, texts ...string) {
	t.Helper()
	if s.status != status {
		t.Errorf("status %d, want %d: %s", s.status, status, s.body)
	}
	for _, text := range texts {
		bad, not := strings.CutPrefix(text, "!")
		switch {
		case not && strings.Contains(s.body, bad):
			t.Errorf("the page has %q:\n%s", bad, s.body)
		case !not && !strings.Contains(s.body, text):
			t.Errorf("the page lacks %q:\n%s", text, s.body)
		}
	}
}

// leads checks that a form was answered with the way to another page.
func (s shown) leads(t testing.TB, to string) {
	t.Helper()
	if s.status != http.StatusSeeOther || s.header.Get("Location") != to {
		t.Errorf("status %d to %q, want 303 to %q: %s", s.status, s.header.Get("Location"), to, s.body)
	}
}

// reused runs an app and publishes another one with the same request id, as somebody does who forgets to change it: that one is
// given up. It returns the sandbox of the first and the letter of the second, which holds hostile texts.
func (w *world) reused(t testing.TB, requestID string) (first client.Sandbox, letter client.DeadLetter) {
	t.Helper()
	first = w.run(t, static(requestID))
	second := fmt.Sprintf(`{"requestId":%q,"projectName":"<b>second</b>","staticDir":".","source":{"files":[{"path":"index.html","content":"<h1>second</h1><script>alert(1)</script>\u001b[31m"}]}}`, requestID)
	if _, err := w.client.Publish(within(t), "sandbox-requests", client.Message{Data: []byte(second)}); err != nil {
		t.Fatal(err)
	}
	for ctx := within(t); ; {
		for l, err := range w.client.DeadLetters().List(ctx, client.DeadLetterQuery{Subscription: "sandboxrunner", Reason: requestID}) {
			if err != nil {
				t.Fatal(err)
			}
			return first, l
		}
		time.Sleep(10 * time.Millisecond) // a list does not tell of what is filed
	}
}

// furnish makes a session that has a state and a schedule, and the app shop in the middle of a rollout.
func (w *world) furnish(t testing.TB, session, state, callback string) {
	t.Helper()
	ctx := within(t)
	if _, err := w.client.Sessions().Put(ctx, session, client.PartState, []byte(state), client.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.Sessions().Schedule(ctx, session, client.ScheduleRequest{Callback: callback, At: time.Now().Add(time.Hour)}, client.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.Deployments().Put(ctx, client.Deployment{
		Name: "shop", Place: client.Place{Target: "process", Endpoint: "127.0.0.1:9000"}, Visibility: "public",
		Rollout: &client.Rollout{Place: client.Place{Target: "process", Endpoint: "127.0.0.1:9001"}, Weight: 5},
	}, nil); err != nil {
		t.Fatal(err)
	}
}

// TestConsoleShowsWhatThereIs opens every page of a laptop's vibed, where nobody has to sign in, with what strangers wrote on them.
func TestConsoleShowsWhatThereIs(t *testing.T) {
	t.Parallel()
	w := start(t, config(t))
	v := w.visitor(t)
	sandbox, letter := w.reused(t, "shown")
	hostile := static("hostile")
	hostile.ProjectName = "<i>hostile</i>"
	hostile.BuildCommand = `printf '\033[31m<script>alert("log")</script>\033[0m \033]0;title\007\n'`
	printed := w.run(t, hostile)
	w.furnish(t, "a/b <c>", `{"html":"</pre><script>alert(2)</script>"}`, "<u>remind</u>")

	v.get(t, "/").has(t, 200, "Overview", "open dead letter", "What this one process counted", "Throughput", "Open to this machine", "!Sign out")
	v.get(t, "/sandboxes").has(t, 200, sandbox.ID, "&lt;i&gt;hostile&lt;/i&gt;", "!<i>hostile", `badge good">ready`)
	v.get(t, "/sandboxes?state=failed").has(t, 200, "There is no sandbox that is failed", "!"+sandbox.ID)
	v.get(t, "/sandboxes?id="+sandbox.ID).leads(t, "/console/sandboxes/"+sandbox.ID)
	page := v.get(t, "/sandboxes/"+printed.ID)
	page.has(t, 200, `&lt;script&gt;alert(&#34;log&#34;)&lt;/script&gt;`, "!<script>alert", "!\x1b", "!\u241b", "Stop and delete",
		`<iframe src="`+printed.PreviewURL+`"`, `sandbox="allow-scripts`)
	if policy := page.header.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-src http://*.preview.localhost:") ||
		strings.Contains(policy, "unsafe") || !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("policy %q", policy)
	}
	v.get(t, "/sessions").has(t, 200, "a/b &lt;c&gt;", `href="/console/sessions/a%2Fb%20%3Cc%3E"`)
	v.get(t, "/sessions/a%2Fb%20%3Cc%3E").has(t, 200, "version 2", "&lt;/pre&gt;&lt;script&gt;alert(2)", "!<script>alert", "schedule", "applied", "&lt;u&gt;remind")
	v.get(t, "/sessions/a%2Fb%20%3Cc%3E?part=mcp_servers").has(t, 200, "It does not have this part")
	v.get(t, "/dead-letters").has(t, 200, "was used before", letter.ID, "1 letter: 1 open of sandboxrunner")
	v.get(t, "/dead-letters?reason=no+such+reason").has(t, 200, "None is like this")
	v.get(t, "/dead-letters?from=2026-01-31T12:00&until=2999-01-01T00:00").has(t, 200, letter.ID)
	v.get(t, "/dead-letters?from=yesterday").has(t, 400, "from: must be a time")
	v.get(t, "/dead-letters/"+letter.ID).has(t, 200, "&lt;h1&gt;second", "!<script>alert", "!<b>second", "vibesdk.sandbox.request.v1", sandbox.ID, "Give it a new request id")
	v.get(t, "/limits").has(t, 200, "apiRateLimit", "10000")
	v.get(t, "/limits?limit=llmCalls&identifier=user:7").has(t, 200, ">200</b> left")
	v.get(t, "/deployments").has(t, 200, "shop", "127.0.0.1:9000", "5 % to")
	v.get(t, "/deployments/shop").has(t, 200, "127.0.0.1:9001", `value="5"`)
	v.get(t, "/schedules").has(t, 200, "stale-sandboxes", "Run stale-sandboxes now", "Pause stale-sandboxes", "This process fires them")

	for path, status := range map[string]int{
		"/nothing": 404, "/sandboxes/sbx-none": 404, "/sessions/none": 404, "/dead-letters/none": 404, "/deployments/none": 404,
		"/sandboxes?state=odd": 400, "/limits?limit=none&identifier=x": 404, "/assets/none.css": 404, "/assets/..%2Fconsole.go": 404,
	} {
		if got := v.get(t, path); got.status != status || strings.Contains(got.body, w.config.DataDir) {
			t.Errorf("%s: %d, want %d: %s", path, got.status, status, got.body)
		}
	}
	for path, kind := range map[string]string{"/assets/console.css": "text/css", "/assets/console.js": "text/javascript", "/assets/icon.svg": "image/svg"} {
		if got := v.get(t, path); got.status != 200 || !strings.HasPrefix(got.header.Get("Content-Type"), kind) || got.header.Get("ETag") == "" {
			t.Errorf("%s: %d, %v", path, got.status, got.header)
		}
	}
	// Pages have nothing of elsewhere and no script inside, so that the policy keeps out what is not ours.
	for _, path := range []string{"/", "/dead-letters/" + letter.ID, "/schedules", "/limits"} {
		if found := regexp.MustCompile(`(?i)<script>|<style|\son[a-z]+=|\sstyle=|(src|href)="(https?:)?//`).FindString(v.get(t, path).body); found != "" {
			t.Errorf("%s has %q", path, found)
		}
	}
}

// TestConsoleStreamsStatesAndLogs follows a sandbox through the console as its script does.
func TestConsoleStreamsStatesAndLogs(t *testing.T) {
	t.Parallel()
	w := start(t, config(t))
	v := w.visitor(t)
	request := static("streamed")
	request.BuildCommand = "echo one; echo two; exit 3"
	s := w.run(t, request)
	events := v.get(t, "/sandboxes/"+s.ID+"/events")
	if events.status != 200 || events.header.Get("Content-Type") != "text/event-stream" || !strings.Contains(events.body, "event: sandbox\n") ||
		!strings.Contains(events.body, `"state":"failed"`) {
		t.Errorf("%d %s", events.status, events.body)
	}
	log := v.get(t, "/sandboxes/"+s.ID+"/log")
	if log.status != 200 || !strings.Contains(log.body, "event: end\n") || !strings.Contains(log.body, "event: log\n") || !strings.Contains(log.body, "two") {
		t.Errorf("%d %s", log.status, log.body)
	}
	req, err := http.NewRequestWithContext(within(t), http.MethodGet, v.base+"/sandboxes/"+s.ID+"/log", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Last-Event-ID", "end")
	if got := v.do(t, req); got.status != http.StatusNoContent {
		t.Errorf("after the end: %d, want 204, at which browsers stop", got.status)
	}
	if got := v.get(t, "/sandboxes/sbx-none/events"); got.status != http.StatusNotFound {
		t.Errorf("events of nothing: %d", got.status)
	}
}
