package app_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"

	"vibesdk-gcp/gateway/client"
)

// TestConsoleShowsEachProvider is about an installation with a second provider: a session is at one of both, and so are counts.
func TestConsoleShowsEachProvider(t *testing.T) {
	t.Parallel()
	c, _ := withSecond(t, nil)
	admin, reader := scoped(t, &c, "admin"), scoped(t, &c, "sessions:read", "limits:read", "dead-letters:read")
	w, ctx := start(t, c), within(t)
	second := w.at(t, "gcp")
	if _, err := w.client.Sessions().Put(ctx, "one-here", client.PartState, []byte(`{"at":"local"}`), client.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Sessions().Put(ctx, "one-there", client.PartState, []byte(`{"at":"gcp"}`), client.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	charge := client.LimitCharge{Limit: "llmCalls", Identifier: "user:7", N: 50}
	if _, err := second.Limits().Increment(ctx, charge); err != nil {
		t.Fatal(err)
	}

	v := w.visitor(t)
	v.signIn(t, admin)
	v.get(t, "/sessions").has(t, 200, "one-here", "!one-there", `<a href="/console/sessions" aria-current="true">local</a>`, `<a href="/console/sessions?provider=gcp">gcp</a>`)
	v.get(t, "/sessions?provider=local").has(t, 200, "one-here", "!one-there")
	v.get(t, "/sessions?provider=gcp").has(t, 200, "!one-here", `href="/console/sessions/one-there?provider=gcp"`, `name="provider" value="gcp"`,
		`<a href="/console/sessions?provider=gcp" aria-current="true">gcp</a>`)
	v.get(t, "/sessions?id=one-there&provider=gcp").leads(t, "/console/sessions/one-there?provider=gcp")
	v.get(t, "/sessions/one-there?provider=gcp").has(t, 200, `&#34;at&#34;: &#34;gcp&#34;`, "Sessions of gcp", `/events?state=0&amp;provider=gcp"`, `?part=state&amp;provider=gcp"`)
	v.get(t, "/sessions/one-there").has(t, 404)
	v.get(t, "/sessions/one-here?provider=gcp").has(t, 404)
	if first := v.firstEvent(t, "/sessions/one-there/events?state=0&provider=gcp"); first != "event: state" {
		t.Errorf("the session of the second provider tells %q", first)
	}

	v.get(t, "/limits?limit=llmCalls&identifier=user:7").has(t, 200, ">200</b> left")
	v.get(t, "/limits?limit=llmCalls&identifier=user:7&provider=gcp").has(t, 200, ">150</b> left", `action="/console/limits/reset?provider=gcp"`)
	v.post(t, "/limits/reset?provider=gcp", "limit", "llmCalls", "identifier", "user:7", "confirm", "1").leads(t, "/console/limits?done=reset&provider=gcp")
	v.get(t, "/limits?limit=llmCalls&identifier=user:7&provider=gcp").has(t, 200, ">200</b> left")

	v.get(t, "/sessions?provider=odd").has(t, 404, "There is no such provider", "Here are local and gcp.")
	v.get(t, "/sandboxes").has(t, 200, "!aria-label=\"Providers\"") // they are shared

	// A letter is about the session of its own provider.
	wrongKey := client.Message{Data: []byte(`{"mutationId":"m","sessionId":"one-there","kind":"PUT","payload":"{\"at\":\"letter\"}"}`), OrderingKey: "other"}
	if _, err := second.Publish(ctx, "state-mutations", wrongKey); err != nil {
		t.Fatal(err)
	}
	letter := "/dead-letters/" + lettersOf(t, w, client.LetterOpen, 1)[0].ID
	v.get(t, letter).has(t, 200, `href="/console/sessions/one-there?part=state&amp;provider=gcp"`, `&#34;at&#34;: &#34;gcp&#34;`, `&#34;at&#34;: &#34;letter&#34;`)

	few := w.visitor(t)
	few.signIn(t, reader)
	few.get(t, "/sessions").has(t, 200, "one-here", "What you see is of the provider local. For gcp sign in with a key that has the scope providers:choose.", "!provider=gcp")
	few.get(t, "/sessions?provider=gcp").has(t, 403, "It needs the scope providers:choose", "!one-there")
	few.get(t, "/sessions/one-there/events?provider=gcp").has(t, 403)
	few.get(t, letter).has(t, 200, "!one-there?part", "!&#34;at&#34;: &#34;gcp&#34;")
	w.stop()
	alone := c
	alone.Canary.Second, alone.DataDir = nil, t.TempDir()
	w = start(t, alone)
	v = w.visitor(t)
	v.signIn(t, admin)
	v.get(t, "/sessions").has(t, 200, "!aria-label=\"Providers\"", "!providers:choose")
	v.get(t, "/sessions?provider=gcp").has(t, 404, "There is only one here.")
}

// firstEvent is the first line of a stream that names an event.
func (v *visitor) firstEvent(t testing.TB, path string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	resp, err := v.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "event: ") {
			return lines.Text()
		}
	}
	t.Fatalf("%s: no event, status %d", path, resp.StatusCode)
	return ""
}
