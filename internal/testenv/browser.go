package testenv

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// browserTimeout bounds one command, and one wait for a page. It is generous: the machine may be busy with other tests.
const browserTimeout = 2 * time.Minute

// Page is a page of a browser without a window, or a frame of one, driven by the DevTools protocol. A test may use it from one goroutine.
type Page struct {
	*devtools

	session string
}

// devtools is a connection to a browser.
type devtools struct {
	conn *websocket.Conn

	mu      sync.Mutex
	last    int
	waiting map[int]chan reply
	broken  error
	faults  []string
}

// reply is a message of the browser: the answer to a command, or an event.
type reply struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

// OpenPage starts a browser of [Chromium]'s with one blank page, for as long as the test runs.
func OpenPage(t testing.TB) *Page {
	t.Helper()
	program := Chromium(t)
	dir, err := os.MkdirTemp("", "browser-") //nolint:usetesting // the browser's watchdog removes it, after the browser
	if err != nil {
		t.Fatal(err)
	}
	server, err := startOwned(dir, nil, "TERM", "env", "HOME="+dir, program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--hide-scrollbars", "--disable-background-networking", "--remote-debugging-port=0", "--user-data-dir="+dir, "about:blank")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.stop() }) // its files are in the way of nobody
	var address string
	err = server.await(browserTimeout, func() bool {
		port, path, ok := strings.Cut(readText(filepath.Join(dir, "DevToolsActivePort")), "\n")
		address = "ws://127.0.0.1:" + port + strings.TrimSpace(path)
		return ok && path != ""
	})
	if err != nil {
		t.Fatalf("Chromium: %v", err)
	}
	conn, _, err := websocket.Dial(t.Context(), address, nil) //nolint:bodyclose // the connection owns it
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(-1) // pictures are large
	p := &Page{devtools: &devtools{conn: conn, waiting: map[int]chan reply{}}}
	go p.read()
	t.Cleanup(func() { _ = conn.CloseNow() })
	var target struct {
		ID string `json:"targetId"`
	}
	p.Do(t, "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	p.session = p.attach(t, target.ID)
	for _, domain := range []string{"Page.enable", "Runtime.enable", "Log.enable"} {
		p.Do(t, domain, nil, nil)
	}
	p.Width(t, 1280)
	return p
}

func readText(path string) string {
	body, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(body)
}

// attach opens a session with a page or a frame.
func (p *Page) attach(t testing.TB, target string) string {
	t.Helper()
	var attached struct {
		Session string `json:"sessionId"`
	}
	p.Do(t, "Target.attachToTarget", map[string]any{"targetId": target, "flatten": true}, &attached)
	return attached.Session
}

// Frame waits for a frame of another site whose address begins with a text, and returns it.
func (p *Page) Frame(t testing.TB, address string) *Page {
	t.Helper()
	all := &Page{devtools: p.devtools}
	for end := time.Now().Add(browserTimeout); ; time.Sleep(25 * time.Millisecond) {
		var targets struct {
			Infos []struct {
				ID   string `json:"targetId"`
				Type string `json:"type"`
				URL  string `json:"url"`
			} `json:"targetInfos"`
		}
		all.Do(t, "Target.getTargets", nil, &targets)
		for _, info := range targets.Infos {
			if info.Type == "iframe" && strings.HasPrefix(info.URL, address) {
				return &Page{devtools: p.devtools, session: all.attach(t, info.ID)}
			}
		}
		if time.Now().After(end) {
			t.Fatalf("no frame shows %s: %+v", address, targets.Infos)
		}
	}
}

func (p *devtools) read() {
	for {
		_, data, err := p.conn.Read(context.Background())
		var message reply
		if err == nil {
			err = json.Unmarshal(data, &message)
		}
		p.mu.Lock()
		switch {
		case err != nil:
			p.broken = err
			for _, waiting := range p.waiting {
				close(waiting)
			}
			p.waiting = nil
		case message.ID != 0 && p.waiting[message.ID] != nil:
			p.waiting[message.ID] <- message
			delete(p.waiting, message.ID)
		case message.Method == "Runtime.exceptionThrown", message.Method == "Log.entryAdded" && strings.Contains(string(message.Params), `"level":"error"`):
			p.faults = append(p.faults, string(message.Params))
		}
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Faults are the errors of scripts, and what the page was not allowed to load, so far.
func (p *devtools) Faults() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.faults...)
}

func (p *Page) send(method string, params, result any) error {
	answer := make(chan reply, 1)
	p.mu.Lock()
	if p.broken != nil {
		p.mu.Unlock()
		return p.broken
	}
	p.last++
	id := p.last
	p.waiting[id] = answer
	p.mu.Unlock()
	command := map[string]any{"id": id, "method": method}
	if params != nil {
		command["params"] = params
	}
	if p.session != "" {
		command["sessionId"] = p.session
	}
	data, err := json.Marshal(command)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), browserTimeout)
	defer cancel()
	if err := p.conn.Write(ctx, websocket.MessageText, data); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	case got, ok := <-answer:
		switch {
		case !ok:
			return errors.New("the browser is gone")
		case got.Error != nil:
			return fmt.Errorf("%s: %s", method, got.Error.Message)
		case result == nil:
			return nil
		}
		return json.Unmarshal(got.Result, result)
	}
}

// Do sends a command and reads its answer into result, unless that is nil.
func (p *Page) Do(t testing.TB, method string, params, result any) {
	t.Helper()
	if err := p.send(method, params, result); err != nil {
		t.Fatal(err)
	}
}

// eval returns the JSON of a JavaScript expression.
func (p *Page) eval(expression string) (json.RawMessage, error) {
	var out struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Exception *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	err := p.send("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &out)
	if err == nil && out.Exception != nil {
		err = fmt.Errorf("%s: %s %s", expression, out.Exception.Text, out.Exception.Exception.Description)
	}
	return out.Result.Value, err
}

// Eval reads the value of a JavaScript expression, or of the promise that it is, into result.
func (p *Page) Eval(t testing.TB, expression string, result any) {
	t.Helper()
	value, err := p.eval(expression)
	if err == nil && result != nil {
		err = json.Unmarshal(value, result)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Until waits until a JavaScript expression is true, also over loads of other pages.
func (p *Page) Until(t testing.TB, expression string) {
	t.Helper()
	for end := time.Now().Add(browserTimeout); ; time.Sleep(25 * time.Millisecond) {
		value, err := p.eval("Boolean(" + expression + ")") // while a page goes and another comes there is nothing to ask
		if err == nil && string(value) == "true" {
			return
		}
		if time.Now().After(end) {
			body, _ := p.eval("location.href + '\\n' + document.body.innerText")
			t.Fatalf("never true: %s (%v); the page is %s", expression, err, body)
		}
	}
}

// Open loads an address and waits until it has loaded.
func (p *Page) Open(t testing.TB, address string) {
	t.Helper()
	p.Eval(t, "void (window.stale = true)", nil)
	var out struct {
		Error string `json:"errorText"`
	}
	p.Do(t, "Page.navigate", map[string]any{"url": address}, &out)
	if out.Error != "" {
		t.Fatalf("%s: %s", address, out.Error)
	}
	p.Loaded(t)
}

// Loaded waits until a page has loaded that was not there at the last Open or Leave.
func (p *Page) Loaded(t testing.TB) {
	t.Helper()
	p.Until(t, "!window.stale && document.readyState === 'complete'")
}

// Leave does what leads to another page, and waits until that has loaded.
func (p *Page) Leave(t testing.TB, do func()) {
	t.Helper()
	p.Eval(t, "void (window.stale = true)", nil)
	do()
	p.Loaded(t)
}

// keys are those of [Page.Press] that are no characters.
var keys = map[string]struct {
	code int
	text string
}{"Tab": {9, ""}, "Enter": {13, "\r"}}

// Press presses a key: Tab or Enter.
func (p *Page) Press(t testing.TB, key string) {
	t.Helper()
	k, ok := keys[key]
	if !ok {
		t.Fatalf("there is no key %s", key)
	}
	params := map[string]any{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": k.code}
	if k.text != "" {
		params["text"] = k.text
	}
	p.Do(t, "Input.dispatchKeyEvent", params, nil)
	delete(params, "text")
	params["type"] = "keyUp"
	p.Do(t, "Input.dispatchKeyEvent", params, nil)
}

// Type writes a text where the focus is.
func (p *Page) Type(t testing.TB, text string) {
	t.Helper()
	p.Do(t, "Input.insertText", map[string]any{"text": text}, nil)
}

// Scheme makes pages dark or light, as the person likes it.
func (p *Page) Scheme(t testing.TB, scheme string) {
	t.Helper()
	p.Do(t, "Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// Width makes the page as wide as a screen with so many pixels.
func (p *Page) Width(t testing.TB, pixels int) {
	t.Helper()
	p.Do(t, "Emulation.setDeviceMetricsOverride", map[string]any{"width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": false}, nil)
}

// Scripts lets pages run their scripts, or not.
func (p *Page) Scripts(t testing.TB, on bool) {
	t.Helper()
	p.Do(t, "Emulation.setScriptExecutionDisabled", map[string]any{"value": !on}, nil)
}

// Screenshot writes a picture of the whole page to a file, as PNG.
func (p *Page) Screenshot(t testing.TB, file string) {
	t.Helper()
	var out struct {
		Data string `json:"data"`
	}
	p.Do(t, "Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}, &out)
	picture, err := base64.StdEncoding.DecodeString(out.Data)
	if err == nil {
		err = os.WriteFile(file, picture, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
