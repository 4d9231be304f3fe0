package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// agentSocket is a client of an agent.
type agentSocket struct {
	*websocket.Conn

	state json.RawMessage // what it was shown last
	calls int
}

func (w *world) agent(t *testing.T, name string) *agentSocket {
	t.Helper()
	ws, _, err := websocket.Dial(within(t), "ws://"+w.Addr()+"/agents/code-generator-agent/"+name, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.CloseNow() })
	ws.SetReadLimit(-1)
	return &agentSocket{Conn: ws}
}

// rpc is an answer to a call.
type rpc struct {
	ID     string
	Result json.RawMessage
	Error  string
}

func (s *agentSocket) start(t *testing.T, method string, args ...any) {
	t.Helper()
	s.calls++
	frame, err := json.Marshal(map[string]any{"type": "rpc", "id": fmt.Sprint(s.calls), "method": method, "args": append([]any{}, args...)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(within(t), websocket.MessageText, frame); err != nil {
		t.Fatal(err)
	}
}

func (s *agentSocket) answer(t *testing.T) rpc {
	t.Helper()
	for {
		_, data, err := s.Read(within(t))
		if err != nil {
			t.Fatal(err)
		}
		var f struct {
			rpc

			Type  string
			State json.RawMessage
		}
		if err := json.Unmarshal(data, &f); err != nil {
			t.Fatal(err)
		}
		switch f.Type {
		case "cf_agent_state":
			s.state = f.State
		case "rpc":
			return f.rpc
		}
	}
}

// preview is the answer of deployToSandbox, which must be one.
func (s *agentSocket) preview(t *testing.T) (id, url string) {
	t.Helper()
	got := s.answer(t)
	var p struct{ RunID, PreviewURL string }
	if got.Error != "" || json.Unmarshal(got.Result, &p) != nil || p.RunID == "" || p.PreviewURL == "" {
		t.Fatalf("deployToSandbox: %+v", got)
	}
	return p.RunID, p.PreviewURL
}

// project is a state as VibeSDK keeps one.
func project(t *testing.T, page string) map[string]any {
	t.Helper()
	files := map[string]any{}
	for _, f := range nodeApp(t)["files"].([]object) {
		f["filePurpose"], f["unmerged"] = "a test", []string{}
		files[f["filePath"].(string)] = f
	}
	files["page.txt"] = object{"filePath": "page.txt", "fileContents": page}
	return map[string]any{"projectName": "demo", "templateName": "unknown", "generatedFilesMap": files, "query": "a page"}
}

// TestAgentsDeployTheirFiles: deployToSandbox runs what the state holds, again in the same instance while that runs.
func TestAgentsDeployTheirFiles(t *testing.T) {
	t.Parallel()
	w := start(t, config(t))
	a, b := w.agent(t, "demo"), w.agent(t, "demo")
	a.start(t, "deployToSandbox")
	if got := a.answer(t); string(got.Result) != "null" {
		t.Errorf("without files: %+v", got)
	}
	a.start(t, "setState", project(t, "hello"))
	a.answer(t)
	// Two at once share an instance.
	a.start(t, "deployToSandbox")
	b.start(t, "setState", project(t, "hello"))
	b.answer(t)
	b.start(t, "deployToSandbox")
	id, preview := a.preview(t)
	if again, _ := b.preview(t); again != id {
		t.Errorf("two at once made %s and %s", id, again)
	}
	if code, _, body := w.get(t, preview, "/"); code != http.StatusOK || !strings.HasPrefix(body, "hello ") {
		t.Errorf("preview answers %d %q", code, body)
	}
	var noted struct{ SandboxInstanceID, Query string }
	if err := json.Unmarshal(a.state, &noted); err != nil || noted.SandboxInstanceID != id || noted.Query != "a page" {
		t.Errorf("the state at the answer: %s", a.state)
	}
	changed := project(t, "changed")
	changed["sandboxInstanceId"] = id
	a.start(t, "setState", changed)
	a.answer(t)
	a.start(t, "deployToSandbox")
	if again, url := a.preview(t); again != id || url != preview {
		t.Errorf("deployed again: %s %s, was %s %s", again, url, id, preview)
	}
	if _, _, body := w.get(t, preview, "/"); !strings.HasPrefix(body, "changed ") {
		t.Errorf("after a change the preview answers %q", body)
	}
	w.end(t, id)
	a.start(t, "deployToSandbox")
	if next, _ := a.preview(t); next == id {
		t.Error("an instance that was stopped is deployed to")
	}

	broken := w.agent(t, "broken")
	broken.start(t, "setState", map[string]any{"generatedFilesMap": object{"../x": object{"fileContents": ""}}})
	broken.answer(t)
	broken.start(t, "deployToSandbox")
	if got := broken.answer(t); !strings.Contains(got.Error, "../x") {
		t.Errorf("a file outside: %+v", got)
	}
	broken.start(t, "setState", map[string]any{"generatedFilesMap": object{"package.json": object{"fileContents": `{"scripts":{"dev":"echo so it goes >&2; exit 3"}}`}}})
	broken.answer(t)
	broken.start(t, "deployToSandbox")
	if got := broken.answer(t); !strings.Contains(got.Error, "Failed to setup instance") || !strings.Contains(got.Error, "so it goes") {
		t.Errorf("an app that does not start: %+v", got)
	}
	broken.start(t, "setState", map[string]any{"generatedFilesMap": 5})
	broken.answer(t)
	broken.start(t, "deployToSandbox")
	if got := broken.answer(t); !strings.Contains(got.Error, "generatedFilesMap") {
		t.Errorf("files of another kind: %+v", got)
	}
}
