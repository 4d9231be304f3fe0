package app_test

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/gateway/client"
	"vibesdk-gcp/internal/testenv"
)

// screenshots is the folder for pictures: the one that CONSOLE_SCREENSHOTS names, or one that goes with the test.
func screenshots(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("CONSOLE_SCREENSHOTS")
	if dir == "" {
		return t.TempDir()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// accessible finds what is wrong with a page for people who do not see it, or do not see it well.
//
//go:embed testdata/accessible.js
var accessible string

// TestConsoleIsAccessible looks at every page in both colour schemes, on a desk and on a telephone.
func TestConsoleIsAccessible(t *testing.T) {
	t.Parallel()
	p, dir := testenv.OpenPage(t), screenshots(t)
	c, _ := withSecond(t, nil)
	c.Auth.Key = "0123456789abcdef0123456789abcdef"
	w := start(t, c)
	base := "http://" + w.Addr() + "/console"
	sandbox, letter := w.reused(t, "accessible")
	w.furnish(t, "chat-1", `{"phase":"plan","files":["a.js","b.js"]}`, "remind")
	check := func(name string) {
		t.Helper()
		for _, scheme := range []string{"light", "dark"} {
			p.Scheme(t, scheme)
			for _, width := range []int{1280, 400} {
				p.Width(t, width)
				var faults []string
				p.Eval(t, accessible, &faults)
				for _, fault := range faults {
					t.Errorf("%s, %s, %d pixels wide: %s", name, scheme, width, fault)
				}
				p.Screenshot(t, filepath.Join(dir, fmt.Sprintf("%s-%s-%d.png", name, scheme, width)))
			}
		}
		p.Width(t, 1280)
	}
	p.Open(t, base+"/")
	check("login")
	p.Eval(t, "document.querySelector('#key').value = "+fmt.Sprintf("%q", c.Auth.Key), nil)
	p.Leave(t, func() { p.Eval(t, "document.querySelector('form').submit()", nil) })
	for _, page := range []struct{ name, path string }{
		{"overview", "/"}, {"sandboxes", "/sandboxes"}, {"sandbox", "/sandboxes/" + sandbox.ID}, {"sessions", "/sessions"}, {"session", "/sessions/chat-1"}, {"sessions-of-second", "/sessions?provider=gcp"},
		{"letters", "/dead-letters"}, {"letter", "/dead-letters/" + letter.ID}, {"limits", "/limits?limit=llmCalls&identifier=user:7"},
		{"deployments", "/deployments"}, {"deployment", "/deployments/shop"}, {"schedules", "/schedules"},
	} {
		p.Open(t, base+page.path)
		check(page.name)
	}
	p.Open(t, base+"/dead-letters/"+letter.ID)
	p.Leave(t, func() { p.Eval(t, "document.querySelector('button[value=renew]').click()", nil) })
	check("letter-compared")
	p.Open(t, base+"/dead-letters?state=open")
	p.Leave(t, func() { p.Eval(t, "document.querySelector('form[action$=replay] button').click()", nil) })
	check("letters-tried")
	if faults := p.Faults(); len(faults) != 0 { // what the policy keeps out is one, too
		t.Errorf("the browser complains: %s", strings.Join(faults, "\n"))
	}
	p.Open(t, base+"/nothing")
	check("error")
}

// tab presses Tab until a JavaScript condition on the element with the focus, called it, holds. Whatever has the focus shows it.
func tab(t *testing.T, p *testenv.Page, condition string) {
	t.Helper()
	for range 120 {
		p.Press(t, "Tab")
		var at struct{ Found, Visible bool }
		p.Eval(t, `(() => { const it = document.activeElement; const style = getComputedStyle(it);
			return { found: Boolean(it !== document.body && (`+condition+`)), visible: it === document.body || it.matches("iframe") || style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 } })()`, &at)
		if !at.Visible {
			var html string
			p.Eval(t, "document.activeElement.outerHTML.slice(0, 200)", &html)
			t.Errorf("nothing shows that the focus is at %s", html)
		}
		if at.Found {
			return
		}
	}
	t.Fatalf("Tab never comes to where %s", condition)
}

// text is a condition of [tab]: what is written on it.
func text(of string) string { return fmt.Sprintf("it.textContent.trim() === %q", of) }

// TestConsoleByKeyboardAndWithoutScripts signs in, mends a dead letter, replays it and sees the app, with the keys Tab and Enter
// alone, in a browser that runs no script.
func TestConsoleByKeyboardAndWithoutScripts(t *testing.T) {
	t.Parallel()
	p := testenv.OpenPage(t)
	c := config(t)
	c.Auth.Key = "0123456789abcdef0123456789abcdef"
	w := start(t, c)
	w.reused(t, "by-keyboard")
	p.Scripts(t, false)
	enter := func() { p.Leave(t, func() { p.Press(t, "Enter") }) }

	p.Open(t, "http://"+w.Addr()+"/console/dead-letters")
	tab(t, p, "it.id === 'key'")
	p.Type(t, c.Auth.Key)
	enter()
	tab(t, p, text("Skip to the content"))
	tab(t, p, text("Dead letters")+" && it.getAttribute('aria-current') === 'page'")
	tab(t, p, "it.matches('a') && it.textContent.includes('was used before')")
	enter()
	tab(t, p, text("Give it a new request id"))
	enter()
	tab(t, p, text("Save"))
	enter()
	p.Until(t, "document.querySelector('[role=status].notice').textContent.includes('was saved')")
	tab(t, p, text("Try a replay"))
	enter()
	p.Until(t, "document.body.textContent.includes('It would be published')")
	var text0 string
	p.Eval(t, "document.activeElement.textContent", &text0) // the form to confirm has the focus already
	if text0 != "Replay now" {
		tab(t, p, text("Replay now"))
	}
	enter()
	p.Until(t, "document.querySelector('[role=status].notice').textContent.includes('published again')")
	tab(t, p, "it.matches('a') && it.textContent.startsWith('sbx-')")
	enter()
	for end := time.Now().Add(2 * time.Minute); ; { // without scripts a person reloads the page
		var state string
		p.Eval(t, "document.querySelector('#state .badge')?.textContent ?? document.body.innerText", &state)
		if state == "ready" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the app is %s", state)
		}
		var address string
		p.Eval(t, "location.href", &address)
		p.Open(t, address)
	}
	var preview, log string
	p.Eval(t, "document.querySelector('iframe').src", &preview)
	p.Eval(t, "document.querySelector('pre').textContent", &log)
	if !strings.Contains(log, "the preview answers") {
		t.Errorf("the log is %s", log)
	}
	p.Frame(t, preview).Until(t, "document.body.innerText.includes('second')")
}

// TestConsoleIsLive watches a sandbox and a session change, on pages that are not loaded again.
func TestConsoleIsLive(t *testing.T) {
	t.Parallel()
	p := testenv.OpenPage(t)
	w := start(t, config(t))
	ctx, base := within(t), "http://"+w.Addr()+"/console"
	goOn := filepath.Join(t.TempDir(), "go")
	request := static("live-page")
	request.BuildCommand = `echo begun; while [ ! -f '` + goOn + `' ]; do sleep 0.05; done; printf '\033[31m<script>window.owned=1</script>\033[0m\n'`
	accepted, err := w.client.Sandboxes().Run(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	for {
		s, err := w.client.Sandboxes().Get(ctx, accepted.ID) // the record comes a moment after the answer
		if s.State == client.Building {
			break
		}
		if err != nil && !errors.Is(err, client.ErrNotFound) || s.State.Ended() {
			t.Fatal(s.State, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.Open(t, base+"/sandboxes/"+accepted.ID)
	p.Eval(t, "void (window.same = true)", nil)
	p.Until(t, "document.querySelector('#state').textContent.includes('building') && document.querySelector('.log').textContent.includes('] begun')")
	if err := os.WriteFile(goOn, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.Until(t, "document.querySelector('#state').textContent.includes('ready') && document.querySelector('iframe')")
	p.Until(t, `/\] <script>window.owned=1<\/script>\n/.test(document.querySelector('.log').textContent)`)
	var seen struct {
		Same, Owned, Escape bool
		Frame               string
	}
	p.Eval(t, `({ same: window.same === true, owned: "owned" in window, escape: document.querySelector(".log").textContent.includes("\x1b"), frame: document.querySelector("iframe").src })`, &seen)
	if !seen.Same || seen.Owned || seen.Escape {
		t.Errorf("the page was loaded again, or obeys what was printed: %+v", seen)
	}
	p.Frame(t, seen.Frame).Until(t, "document.body.innerText.includes('demo')")

	put := func(state string) {
		if _, err := w.client.Sessions().Put(ctx, "live", client.PartState, []byte(state), client.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	put(`{"phase":"plan"}`)
	p.Open(t, base+"/sessions/live")
	p.Eval(t, "void (window.same = true)", nil)
	put(`{"phase":"build"}`)
	p.Until(t, `window.same && document.querySelector("#text").textContent.includes('"build"') && document.querySelector("#state").textContent.includes("version 2")`)
	if _, err := w.client.Sessions().Destroy(ctx, "live", client.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	p.Until(t, `window.same && document.querySelector("#state").textContent.includes("destroyed")`)
}
