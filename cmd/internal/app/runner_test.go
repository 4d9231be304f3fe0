package app_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/gateway/client"
)

// object is an answer as a caller that knows only JSON sees it.
type object = map[string]any

// call is one call of the runner's API, as VibeSDK makes them.
func (w *world) call(t testing.TB, method, path string, body any) (int, object) {
	t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	if body == nil {
		encoded = nil
	}
	req, err := http.NewRequestWithContext(within(t), method, "http://"+w.Addr()+path, bytes.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Session-Id", "session")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer object
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("%s %s answers %d %q, which is no JSON object", method, path, resp.StatusCode, text)
	}
	if success, ok := answer["success"].(bool); !ok || !success && answer["error"] == nil {
		t.Errorf("%s %s answers %s without success, or without error", method, path, text)
	}
	return resp.StatusCode, answer
}

// good is a call that must succeed and carry the named fields.
func (w *world) good(t testing.TB, method, path string, body any, fields ...string) object {
	t.Helper()
	status, answer := w.call(t, method, path, body)
	if status != http.StatusOK || answer["success"] != true {
		t.Fatalf("%s %s answers %d %v", method, path, status, answer)
	}
	for _, field := range fields {
		if _, ok := answer[field]; !ok {
			t.Errorf("%s %s: the answer has no %s: %v", method, path, field, answer)
		}
	}
	return answer
}

// bad is a call that must fail with a text.
func (w *world) bad(t testing.TB, method, path string, body any, text string) int {
	t.Helper()
	status, answer := w.call(t, method, path, body)
	if told, _ := answer["error"].(string); status < 400 || answer["success"] != false || !strings.Contains(told, text) {
		t.Errorf("%s %s answers %d %v, want a failure with %q", method, path, status, answer, text)
	}
	return status
}

// nodeApp is a project that needs no packages.
func nodeApp(t testing.TB, change ...object) object {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("there is no npm here")
	}
	server := `const http = require('http'), fs = require('fs')
http.createServer((q, s) => s.end(fs.readFileSync('page.txt') + ' ' + process.env.WORD)).listen(process.env.PORT, '127.0.0.1', () => console.log('listening'))`
	request := object{
		"projectName": "demo-project", "initCommand": "bun run dev", "envVars": object{"WORD": "verywell"},
		"files": []object{
			{"filePath": "package.json", "fileContents": `{"name":"demo","private":true,"scripts":{"dev":"node server.js"}}`},
			{"filePath": "server.js", "fileContents": server},
			{"filePath": "page.txt", "fileContents": "old"},
			{"filePath": "page.txt", "fileContents": "hello"},
		},
	}
	for _, c := range change {
		for name, value := range c {
			request[name] = value
		}
	}
	return request
}

func (w *world) create(t testing.TB, request object) (id, preview string) {
	t.Helper()
	made := w.good(t, "POST", "/instances", request, "success", "runId", "previewURL", "processId", "message")
	return made["runId"].(string), made["previewURL"].(string)
}

func TestRunnerInstanceLivesAndEnds(t *testing.T) {
	t.Parallel()
	w := start(t, config(t))
	id, preview := w.create(t, nodeApp(t))
	if code, _, body := w.get(t, preview, "/"); code != http.StatusOK || body != "hello verywell" {
		t.Errorf("preview answers %d %q", code, body)
	}
	status := w.good(t, "GET", "/instances/"+id+"/status", nil, "pending", "isHealthy")
	if status["isHealthy"] != true || status["pending"] != false || status["previewURL"] != preview {
		t.Errorf("status %v", status)
	}
	w.run(t, static("no-instance"))
	list := w.good(t, "GET", "/instances", nil, "instances", "count")
	if list["count"] != 1.0 || list["instances"].([]any)[0].(object)["runId"] != id {
		t.Errorf("list %v", list)
	}
	details := w.good(t, "GET", "/instances/"+id, nil, "instance")["instance"].(object)
	for _, field := range []string{"runId", "templateName", "startTime", "uptime", "directory", "serviceDirectory"} {
		if _, ok := details[field]; !ok {
			t.Errorf("details have no %s: %v", field, details)
		}
	}

	w.good(t, "DELETE", "/instances/"+id, nil)
	w.gone(t, id)
	status = w.good(t, "GET", "/instances/"+id+"/status", nil, "pending", "isHealthy")
	if status["isHealthy"] != true || status["pending"] != false || !strings.HasPrefix(status["message"].(string), "stopped") {
		t.Errorf("status of a stopped instance: %v", status)
	}
	w.good(t, "DELETE", "/instances/"+id, nil)
	w.bad(t, "GET", "/instances/sbx-aaaaaaaaaaaaaaaa/status", nil, "Failed to read instance metadata")
	w.bad(t, "GET", "/instances/i-1/status", nil, "Failed to read instance metadata")
	w.bad(t, "GET", "/instances/"+id+"/nothing", nil, "there is no")
}

// gone waits for the end of a sandbox.
func (w *world) gone(t testing.TB, id string) {
	t.Helper()
	for s, err := range w.client.Sandboxes().Watch(within(t), id) {
		if err != nil {
			t.Fatal(err)
		}
		if s.State.Ended() {
			return
		}
	}
	t.Fatal("the sandbox did not end")
}

func TestRunnerSaysWhyAnInstanceFailed(t *testing.T) {
	t.Parallel()
	w := start(t, config(t))
	broken := []object{{"filePath": "package.json", "fileContents": `{"scripts":{"dev":"echo the-reason >&2; exit 3"}}`}}
	w.bad(t, "POST", "/instances", nodeApp(t, object{"files": broken}), "the-reason")
	w.bad(t, "POST", "/instances", object{"templateName": "react"}, "RUNNER_TEMPLATES_URL")
	w.bad(t, "POST", "/instances", object{"projectName": "x"}, "files or templateName")
	w.bad(t, "POST", "/instances", nodeApp(t, object{"files": []object{{"filePath": "../x"}}}), "filePath")
	w.bad(t, "POST", "/instances", nodeApp(t, object{"envVars": object{"PORT": "topsecret"}}), "PORT")
	w.bad(t, "POST", "/instances", []int{1}, "JSON object")
	w.allGone(t)
}

// TestRunnerBudget is of an app that never answers: it is stopped when the time is over.
func TestRunnerBudget(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Runner.Wait = time.Second
	w := start(t, c)
	if status := w.bad(t, "POST", "/instances", nodeApp(t, object{"initCommand": "sleep 600"}), "not ready within 1s"); status != http.StatusGatewayTimeout {
		t.Errorf("status %d", status)
	}
	w.allGone(t)
}

// allGone waits until every sandbox has ended.
func (w *world) allGone(t testing.TB) {
	t.Helper()
	list, err := w.client.Sandboxes().List(within(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		w.gone(t, s.ID)
	}
}

func TestRunnerStopsWhatItsCallerLeft(t *testing.T) {
	t.Parallel()
	w := start(t, config(t))
	body, err := json.Marshal(nodeApp(t, object{"initCommand": "sleep 600"}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(within(t))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+w.Addr()+"/instances", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	left := make(chan struct{})
	go func() {
		defer close(left)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
		}
	}()
	for {
		list, err := w.client.Sandboxes().List(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if len(list) > 0 {
			break
		}
	}
	leave()
	<-left
	w.allGone(t)
}

// TestRunnerMakesInstancesFromTemplates is the call of older versions, which name a template and send no files.
func TestRunnerMakesInstancesFromTemplates(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	archive := zip.NewWriter(&packed)
	for _, f := range nodeApp(t)["files"].([]object)[:3] {
		file, err := archive.Create(f["filePath"].(string))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(file, f["fileContents"].(string))
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "node.zip"), packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	c := config(t)
	c.Runner.TemplatesURL = "file://" + dir
	w := start(t, c)
	id, preview := w.create(t, object{"templateName": "node", "projectName": "v1-demo", "envVars": object{"WORD": "template"}})
	if files, _ := w.read(t, id, "package.json"); !strings.HasPrefix(files["package.json"], `{"name": "v1-demo","private":true`) {
		t.Errorf("the project calls itself %s", files["package.json"])
	}
	if code, _, body := w.get(t, preview, "/"); code != http.StatusOK || body != "old template" {
		t.Errorf("preview answers %d %q", code, body)
	}
	w.bad(t, "POST", "/instances", object{"templateName": "absent"}, "Failed to setup instance")
	w.bad(t, "POST", "/instances", object{"templateName": "../node"}, "templateName")
}

// deployments lists the sandboxes that serve an app and have not ended.
func (w *world) deployments(t testing.TB, project string) (list []client.Sandbox) {
	t.Helper()
	all, err := w.client.Sandboxes().List(within(t), client.Requested, client.Building, client.Starting, client.Ready, client.Stopping)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if strings.HasPrefix(s.RequestID, "deploy-") && s.ProjectName == project {
			list = append(list, s)
		}
	}
	return list
}
