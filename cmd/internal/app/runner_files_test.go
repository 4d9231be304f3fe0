package app_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// read asks for files by name, or for the important ones.
func (w *world) read(t testing.TB, id string, names ...string) (files, failed map[string]string) {
	t.Helper()
	query := ""
	if names != nil {
		encoded, err := json.Marshal(names)
		if err != nil {
			t.Fatal(err)
		}
		query = "?filePaths=" + url.QueryEscape(string(encoded))
	}
	answer := w.good(t, "GET", "/instances/"+id+"/files"+query, nil, "files")
	files, failed = map[string]string{}, map[string]string{}
	for _, f := range answer["files"].([]any) {
		files[f.(object)["filePath"].(string)] = f.(object)["fileContents"].(string)
	}
	if answer["errors"] != nil {
		for _, f := range answer["errors"].([]any) {
			failed[f.(object)["file"].(string)] = f.(object)["error"].(string)
		}
	}
	return files, failed
}

// write writes files and returns the results by file.
func (w *world) write(t testing.TB, id string, commit string, files ...string) map[string]object {
	t.Helper()
	body := object{"commitMessage": commit}
	list := []object{}
	for i := 0; i < len(files); i += 2 {
		list = append(list, object{"filePath": files[i], "fileContents": files[i+1]})
	}
	body["files"] = list
	results := map[string]object{}
	for _, r := range w.good(t, "POST", "/instances/"+id+"/files", body, "results")["results"].([]any) {
		for _, field := range []string{"file", "success"} {
			if _, ok := r.(object)[field]; !ok {
				t.Errorf("a result has no %s: %v", field, r)
			}
		}
		results[r.(object)["file"].(string)] = r.(object)
	}
	return results
}

// commands runs commands and returns their results.
func (w *world) commands(t testing.TB, id string, timeout any, commands ...string) []object {
	t.Helper()
	var results []object
	for _, r := range w.good(t, "POST", "/instances/"+id+"/commands", object{"commands": commands, "timeout": timeout}, "results")["results"].([]any) {
		for _, field := range []string{"command", "success", "output", "exitCode"} {
			if _, ok := r.(object)[field]; !ok {
				t.Errorf("a result has no %s: %v", field, r)
			}
		}
		results = append(results, r.(object))
	}
	return results
}

func TestRunnerFilesAndCommands(t *testing.T) {
	t.Parallel()
	w := start(t, config(t))
	request := nodeApp(t)
	request["files"] = append(request["files"].([]object),
		object{"filePath": ".donttouch_files.json", "fileContents": `["locked.txt"]`},
		object{"filePath": ".redacted_files.json", "fileContents": `["secret.txt"]`},
		object{"filePath": "locked.txt", "fileContents": "locked"},
		object{"filePath": "secret.txt", "fileContents": "tell nobody"},
		object{"filePath": "deep/er.txt", "fileContents": "deeper"},
		object{"filePath": "binary.bin", "fileContents": "\x00\x01"},
	)
	id, preview := w.create(t, request)

	results := w.write(t, id, "", "page.txt", "changed", "./new/file.txt", "new", "locked.txt", "open", "../out.txt", "x")
	for name, success := range map[string]bool{"page.txt": true, "./new/file.txt": true, "locked.txt": false, "../out.txt": false} {
		if results[name]["success"] != success || success == (results[name]["error"] != nil) {
			t.Errorf("writing %s: %v", name, results[name])
		}
	}
	if _, _, body := w.get(t, preview, "/"); body != "changed verywell" {
		t.Errorf("the page is %q", body)
	}

	files, failed := w.read(t, id, "/page.txt", "new/file.txt", "secret.txt", "locked.txt", "absent.txt", "../x")
	for name, want := range map[string]string{"/page.txt": "changed", "new/file.txt": "new", "secret.txt": "[REDACTED]", "locked.txt": "locked"} {
		if files[name] != want {
			t.Errorf("%s is %q, want %q", name, files[name], want)
		}
	}
	if len(files) != 4 || len(failed) != 2 || failed["absent.txt"] == "" || failed["../x"] == "" {
		t.Errorf("read %v, failed %v", files, failed)
	}
	if files, failed = w.read(t, id); len(failed) != 0 || files["deep/er.txt"] != "deeper" || files["secret.txt"] != "[REDACTED]" {
		t.Errorf("important files without a list: %v %v", files, failed)
	}
	if _, ok := files["binary.bin"]; ok {
		t.Error("a file that is not text is important")
	}
	w.write(t, id, "", ".important_files.json", `["deep", "page.txt"]`)
	if files, _ = w.read(t, id); len(files) != 2 || files["deep/er.txt"] == "" || files["page.txt"] == "" {
		t.Errorf("important files by the list: %v", files)
	}
	w.bad(t, "GET", "/instances/"+id+"/files?filePaths=x", nil, "filePaths")

	// One shell, the text of commands as it came, and failures that stop nothing.
	odd := "  x='a  b' ;  echo \"$x\" # ümlaut"
	ran := w.commands(t, id, nil, "cd deep && word=kept", odd, "echo $word; pwd | grep -c deep$", "echo bad >&2; (exit 3)")
	if ran[1]["command"] != odd || ran[1]["output"] != "a  b\n" || ran[2]["output"] != "kept\n1\n" {
		t.Errorf("commands %v", ran)
	}
	if last := ran[3]; last["success"] != false || last["exitCode"] != 3.0 || last["error"] != "bad\n" {
		t.Errorf("the failing command: %v", last)
	}
	if ran = w.commands(t, id, 300, "sleep 600", "echo later"); ran[0]["exitCode"] != 124.0 || ran[1]["exitCode"] != 125.0 {
		t.Errorf("a timeout of 300 ms: %v", ran)
	}
	w.good(t, "POST", "/instances/"+id+"/commands", object{"commands": []string{}}, "results")
	w.bad(t, "POST", "/instances/"+id+"/commands", object{"commands": []string{"ls"}, "timeout": -1}, "timeout")
	w.bad(t, "POST", "/instances/"+id+"/commands", object{"commands": "ls"}, "commands")

	// Commits, when there is a repository.
	w.write(t, id, "it's a \"message\"", "page.txt", "committed")
	if log := w.commands(t, id, nil, "git log --format=%s"); log[0]["success"] == true && log[0]["output"] != "it's a \"message\"\n" {
		t.Errorf("git log is %q", log[0]["output"])
	}
	w.goneCalls(t, id)
}

// goneCalls checks that whatever acts on an ended instance makes VibeSDK begin anew.
func (w *world) goneCalls(t testing.TB, id string) {
	t.Helper()
	w.good(t, "DELETE", "/instances/"+id, nil)
	w.gone(t, id)
	for _, call := range []struct {
		method, path string
		body         any
	}{
		{"GET", "/files", nil},
		{"POST", "/files", object{"files": []object{}}},
		{"POST", "/commands", object{"commands": []string{"ls"}}},
	} {
		if status := w.bad(t, call.method, "/instances/"+id+call.path, call.body, "Network connection lost"); status != http.StatusGone {
			t.Errorf("%s %s: %d", call.method, call.path, status)
		}
	}
}

// agent follows VibeSDK's DeploymentManager: status of what is known, else a new instance, then the files; and a new
// session when an error says that the connection is lost.
type agent struct {
	w        *world
	request  object
	instance string
	session  int
}

// deploy is one deployment that a person asked for.
func (a *agent) deploy(t testing.TB, page string) (preview string) {
	t.Helper()
	for range 4 {
		if a.instance != "" {
			_, status := a.w.call(t, "GET", "/instances/"+a.instance+"/status", nil)
			if status["success"] != true || status["isHealthy"] != true {
				a.instance = ""
			}
			preview, _ = status["previewURL"].(string)
		}
		if a.instance == "" {
			_, made := a.w.call(t, "POST", "/instances", a.request)
			if made["success"] != true {
				t.Fatalf("create: %v", made)
			}
			a.instance, preview = made["runId"].(string), made["previewURL"].(string)
		}
		_, wrote := a.w.call(t, "POST", "/instances/"+a.instance+"/files", object{
			"files": []object{{"filePath": "page.txt", "fileContents": page}}, "commitMessage": "deploy",
		})
		if wrote["success"] == true {
			return preview
		}
		if strings.Contains(wrote["error"].(string), "Network connection lost") {
			a.session, a.instance = a.session+1, ""
		}
	}
	t.Fatal("four attempts were not enough")
	return ""
}

// poll is the health check of every 30 s: it deploys again when the instance is not healthy.
func (a *agent) poll(t testing.TB) (redeploys bool) {
	t.Helper()
	_, status := a.w.call(t, "GET", "/instances/"+a.instance+"/status", nil)
	return status["success"] != true || status["isHealthy"] != true
}

// TestRunnerStoppedInstanceStaysStoppedUntilSomebodyActs is the flow in which health checks used to bring every
// sandbox back for ever.
func TestRunnerStoppedInstanceStaysStoppedUntilSomebodyActs(t *testing.T) {
	t.Parallel()
	w := start(t, config(t))
	a := &agent{w: w, request: nodeApp(t)}
	preview := a.deploy(t, "one")
	if _, _, body := w.get(t, preview, "/"); body != "one verywell" || a.session != 0 {
		t.Fatalf("page %q in session %d", body, a.session)
	}
	first := a.instance
	if again := a.deploy(t, "two"); again != preview || a.instance != first {
		t.Errorf("a healthy instance was not used again")
	}
	before, err := w.client.Sandboxes().Get(within(t), first)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if a.poll(t) {
			t.Fatal("a poll of a healthy instance deploys it again")
		}
	}
	after, err := w.client.Sandboxes().Get(within(t), first)
	if err != nil {
		t.Fatal(err)
	}
	if !after.ActiveAt.Equal(before.ActiveAt) {
		t.Error("polls count as activity")
	}

	w.end(t, first) // as the janitor would
	for range 5 {
		if a.poll(t) {
			t.Fatal("a poll of a stopped instance deploys it again")
		}
	}
	if list, err := w.client.Sandboxes().List(within(t)); err != nil || len(list) != 1 {
		t.Errorf("there are %d sandboxes, %v", len(list), err)
	}
	preview = a.deploy(t, "three")
	if _, _, body := w.get(t, preview, "/"); body != "three verywell" || a.instance == first || a.session != 1 {
		t.Errorf("after somebody acted: page %q, session %d", body, a.session)
	}
}
