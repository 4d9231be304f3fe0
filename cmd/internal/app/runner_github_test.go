package app_test

import (
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRunnerPushes pushes to Git's own HTTP server, which asks for the token.
func TestRunnerPushes(t *testing.T) {
	t.Parallel()
	const token = "ghp_averysecrettoken"
	root := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("git", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	backend, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Skip("there is no Git here")
	}
	repo := filepath.Join(root, "repo.git")
	git("init", "-q", "--bare", "-b", "main", repo)
	git("-C", repo, "config", "http.receivepack", "true")
	handler := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(backend)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=x"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != token {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)

	w := start(t, config(t))
	push := func(token string, files ...object) object {
		return object{"request": object{"cloneUrl": server.URL + "/repo.git", "repositoryHtmlUrl": "x", "token": token, "email": "a@example.com", "username": "some one", "isPrivate": true}, "files": files}
	}
	id, _ := w.create(t, nodeApp(t))
	w.bad(t, "POST", "/instances/"+id+"/github/push", push("wrong-token-of-mine"), "Push failed")
	pushed := w.good(t, "POST", "/instances/"+id+"/github/push", push(token, object{"filePath": "extra.txt", "fileContents": "extra"}), "commitSha")
	if head := git("-C", repo, "rev-parse", "main"); pushed["commitSha"] != head {
		t.Errorf("pushed %v, the repository has %s", pushed, head)
	}
	if got := git("-C", repo, "show", "main:extra.txt"); got != "extra" {
		t.Errorf("extra.txt is %q", got)
	}
	if author := git("-C", repo, "log", "-1", "--format=%an <%ae>", "main"); author != "some one <a@example.com>" {
		t.Errorf("author %s", author)
	}

	// From another sandbox it goes on top.
	other, _ := w.create(t, nodeApp(t))
	again := w.good(t, "POST", "/instances/"+other+"/github/push", push(token, object{"filePath": "extra.txt", "fileContents": "more"}), "commitSha")
	if parent := git("-C", repo, "rev-parse", again["commitSha"].(string)+"^"); parent != pushed["commitSha"] {
		t.Errorf("the second commit is on top of %s, not of %s", parent, pushed["commitSha"])
	}

	// The token is gone from the sandbox and was never in its log.
	for _, id := range []string{id, other} {
		log := w.good(t, "GET", "/instances/"+id+"/logs", nil)["logs"].(object)["stdout"].(string)
		if strings.Contains(log, "averysecret") || !strings.Contains(log, "rev-parse") {
			t.Errorf("log %s", log)
		}
		if found := w.commands(t, id, nil, "grep -rl averysecret .; ls .git | grep push-"); found[0]["output"] != "" {
			t.Errorf("the token is in %v", found[0]["output"])
		}
	}
	for text, request := range map[string]object{
		"https":         {"cloneUrl": "http://example.com/a.git", "token": token},
		"without a use": {"cloneUrl": "https://me:" + token + "@example.com/a.git", "token": token},
		"token":         {"cloneUrl": "https://example.com/a.git", "token": "a\nb"},
	} {
		w.bad(t, "POST", "/instances/"+id+"/github/push", object{"request": request}, text)
	}
}
