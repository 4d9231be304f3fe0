package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/internal/testenv"
)

// publish is the README's own call, with another text on the page.
func publish(t *testing.T, gateway, heading string) {
	t.Helper()
	request := fmt.Sprintf(`{"requestId": "my-first", "staticDir": ".",
      "source": {"files": [{"path": "index.html", "content": "<h1>%s</h1>"}]}}`, heading)
	body, err := json.Marshal(map[string]any{"messages": []any{map[string]string{"data": base64.StdEncoding.EncodeToString([]byte(request))}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, gateway+"/v1/projects/local/topics/sandbox-requests:publish", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, err := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s, %v", resp.StatusCode, answer, err)
	}
}

// TestOperatorsWalkFromAFailingAppToItsPreview does what docs/operations.md tells: vibed runs as the README starts it, an app is
// published that fails, and the rest happens in a browser, by what is written on the pages alone.
func TestOperatorsWalkFromAFailingAppToItsPreview(t *testing.T) {
	t.Parallel()
	p := testenv.OpenPage(t)
	dir := os.Getenv("CONSOLE_SCREENSHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	step := 0
	picture := func(name string) {
		step++
		for _, scheme := range []string{"light", "dark"} {
			p.Scheme(t, scheme)
			p.Screenshot(t, filepath.Join(dir, fmt.Sprintf("walk-%02d-%s-%s.png", step, name, scheme)))
		}
	}
	// follow clicks on what says a text, and waits for the page that it leads to.
	follow := func(text string) {
		t.Helper()
		find := fmt.Sprintf(`[...document.querySelectorAll("a, button")].find((it) => it.textContent.includes(%q))`, text)
		p.Until(t, find)
		p.Leave(t, func() { p.Eval(t, "void "+find+".click()", nil) })
	}
	shows := func(text string) {
		t.Helper()
		p.Until(t, fmt.Sprintf("document.querySelector('main').innerText.includes(%q)", text))
	}

	d := startDaemon(t, "--run", site(t, `{"staticDir":"."}`))
	gateway := strings.TrimSuffix(d.find(t, `^vibed answers at (http://\S+)`), "/")
	d.find(t, `➜  (http://\S+)`)
	publish(t, gateway, "The first version")
	p.Open(t, gateway+"/console")
	follow("Sandboxes")
	p.Until(t, `[...document.querySelectorAll("tr")].filter((it) => it.textContent.includes("ready")).length === 2`)
	picture("sandboxes")

	// The app is changed and published again, with the request id that it had.
	publish(t, gateway, "The second version")
	follow("Overview")
	p.Until(t, `document.querySelector(".tile.alarm")?.textContent.includes("1open dead letter")`)
	picture("overview")
	follow("open dead letter")
	follow("was used before for another request")
	shows("give the request a new id, save, and replay it")
	picture("letter")
	follow("Give it a new request id")
	shows(`"requestId": "my-first"`)
	picture("compared")
	follow("Save")
	shows("The payload was saved")
	follow("Try a replay")
	shows("It would be published to sandbox-requests again")
	picture("tried")
	follow("Replay now")
	shows("The message was published again")
	picture("replayed")
	follow("sbx-")
	shows("ready")
	p.Until(t, "document.querySelector('iframe')")
	var preview string
	p.Eval(t, "document.querySelector('iframe').src", &preview)
	p.Frame(t, preview).Until(t, "document.body.innerText.includes('The second version')")
	shows("the preview answers")
	picture("ready")
	follow("Overview")
	p.Until(t, `document.querySelector(".tile").textContent.includes("0open dead letters")`)
	picture("calm")
	if faults := p.Faults(); len(faults) != 0 {
		t.Errorf("the browser complains: %s", strings.Join(faults, "\n"))
	}
}
