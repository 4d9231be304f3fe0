package app_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/go-jose/go-jose/v4"
)

// TestVibeSDKPagesGetPreviews: a page asks for a preview of its agent's files. Without an agent host it gets one all the same, and
// every page of the agent is told.
func TestVibeSDKPagesGetPreviews(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.VibeSDK.JWTSecret = "Correct-Horse-Battery-Staple-0123456789"
	w := start(t, c)
	setUp := w.agent(t, "demo")
	state := project(t, "hello")
	state["metadata"] = object{"agentId": "demo", "userId": "u1"}
	setUp.start(t, "setState", state)
	setUp.answer(t)

	now := time.Now()
	token := signed(t, jose.HS256, []byte(c.VibeSDK.JWTSecret), object{
		"sub": "u1", "email": "u1@example.com", "sessionId": "s", "type": "access", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	page := func() *websocket.Conn {
		t.Helper()
		ws, _, err := websocket.Dial(within(t), "ws://"+w.Addr()+"/api/agent/demo/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ws.CloseNow() })
		ws.SetReadLimit(-1)
		return ws
	}
	// next is the next frame whose type begins so.
	next := func(ws *websocket.Conn, prefix string) object {
		t.Helper()
		for {
			_, data, err := ws.Read(within(t))
			if err != nil {
				t.Fatal(err)
			}
			var f object
			if err := json.Unmarshal(data, &f); err != nil {
				t.Fatal(err)
			}
			if kind, _ := f["type"].(string); strings.HasPrefix(kind, prefix) {
				return f
			}
		}
	}
	ask := func(ws *websocket.Conn) {
		t.Helper()
		if err := ws.Write(within(t), websocket.MessageText, []byte(`{"type":"preview"}`)); err != nil {
			t.Fatal(err)
		}
	}
	a, b := page(), page()
	next(a, "agent_connected")
	next(b, "agent_connected")
	ask(a)
	for _, ws := range []*websocket.Conn{a, b} {
		if f := next(ws, "deployment_"); f["type"] != "deployment_started" || f["files"] == nil {
			t.Errorf("first %v", f)
		}
		f := next(ws, "deployment_")
		if f["type"] != "deployment_completed" || f["instanceId"] == "" || f["message"] == "" {
			t.Fatalf("then %v", f)
		}
		if code, _, body := w.get(t, f["previewURL"].(string), "/"); code != http.StatusOK || !strings.HasPrefix(body, "hello ") {
			t.Errorf("preview answers %d %q", code, body)
		}
	}
	// The same over HTTP, of which the pages are told as well.
	preview := func() (int, object) {
		t.Helper()
		req, err := http.NewRequestWithContext(within(t), http.MethodGet, "http://"+w.Addr()+"/api/agent/demo/preview", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var answer object
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, answer
	}
	status, answer := preview()
	shown, _ := answer["data"].(map[string]any)
	if status != http.StatusOK || answer["success"] != true || shown["runId"] == "" {
		t.Fatalf("over HTTP %d %v", status, answer)
	}
	if code, _, body := w.get(t, shown["previewURL"].(string), "/"); code != http.StatusOK || !strings.HasPrefix(body, "hello ") {
		t.Errorf("its preview answers %d %q", code, body)
	}
	for _, ws := range []*websocket.Conn{a, b} {
		next(ws, "deployment_started")
		if f := next(ws, "deployment_"); f["type"] != "deployment_completed" || f["previewURL"] != shown["previewURL"] {
			t.Errorf("the page was told %v", f)
		}
	}
	delete(state, "generatedFilesMap")
	delete(state, "templateName")
	setUp.start(t, "setState", state)
	setUp.answer(t)
	if status, answer := preview(); status != http.StatusInternalServerError || answer["success"] != false {
		t.Errorf("over HTTP without files %d %v", status, answer)
	}
	next(b, "deployment_failed")
	ask(b)
	next(b, "deployment_")
	if f := next(b, "deployment_"); f["type"] != "deployment_failed" || !strings.Contains(f["error"].(string), "no files") {
		t.Errorf("without files %v", f)
	}
}
