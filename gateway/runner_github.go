package gateway

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

const (
	// pushWithin bounds a push.
	pushWithin = 2 * time.Minute
	// cleanWithin bounds the removal of the token from the sandbox.
	cleanWithin = 10 * time.Second
)

// pushRequest is where a project goes, and as whom.
type pushRequest struct {
	CloneURL string `json:"cloneUrl"`
	Token    string `json:"token"`
	Email    string `json:"email,omitempty"`
	Username string `json:"username,omitempty"`
}

// instancePushRequest is the body of a push.
type instancePushRequest struct {
	Request pushRequest    `json:"request"`
	Files   []instanceFile `json:"files,omitempty"`
}

// InstancePush answers a call that pushed an instance's project.
type InstancePush struct {
	Outcome

	CommitSHA string `json:"commitSha,omitempty"`
}

// pushInstance writes files and pushes the project to the branch main of a repository, on top of what is there. Git runs
// in the sandbox. It reads the token from a file with a name that cannot be guessed, which is removed before the answer:
// commands are logged, files are not.
func (g *Gateway) pushInstance(w http.ResponseWriter, r *http.Request) error {
	var asked instancePushRequest
	if err := readInstanceBody(w, r, &asked); err != nil {
		return err
	}
	if err := asked.Request.check(); err != nil {
		return err
	}
	_, control, err := g.liveInstance(r)
	if err != nil {
		return err
	}
	results, err := writeInstance(r.Context(), control, asked.Files)
	if err != nil {
		return lostGuest(err)
	}
	for _, result := range results {
		if !result.Success && result.Error != lockedText {
			return &httpError{http.StatusUnprocessableEntity, "failed", fmt.Sprintf("write %s: %s", result.File, result.Error)}
		}
	}
	sha, err := g.push(r.Context(), control, asked.Request)
	if err != nil {
		return lostGuest(err)
	}
	writeJSON(w, http.StatusOK, InstancePush{Outcome: Outcome{Success: true, Message: "pushed"}, CommitSHA: sha})
	return nil
}

// check names what is wrong and repeats neither token nor address, which may hold one.
func (p pushRequest) check() error {
	u, err := url.Parse(p.CloneURL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.ContainsFunc(p.CloneURL, func(c rune) bool { return c <= ' ' }):
		return badRequest("request.cloneUrl must be an https address without a user")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopbackHost(u.Host)):
		return badRequest("request.cloneUrl must be an https address: a token must not travel in the clear")
	case p.Token == "" || len(p.Token) > 1024 || strings.ContainsFunc(p.Token, func(c rune) bool { return c <= ' ' || c > '~' }):
		return badRequest("request.token must be 1 to 1024 printable characters")
	}
	return nil
}

// push returns the id of the commit that is on the branch then.
func (g *Gateway) push(ctx context.Context, control *sandbox.Control, p pushRequest) (sha string, err error) {
	prepare := []string{
		"command -v git >/dev/null || { echo 'there is no Git in the sandbox' >&2; exit 1; }",
		"[ -e .git ] || git init -q -b main",
		"grep -qx node_modules .git/info/exclude 2>/dev/null || { mkdir -p .git/info && printf 'node_modules\\n.dev.vars\\n' >> .git/info/exclude; }",
	}
	if _, err := g.git(ctx, control, p.Token, prepare); err != nil {
		return "", err
	}
	secret := ".git/push-" + rand.Text()
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanWithin)
		defer cancel()
		if failed := control.DeleteFile(ctx, secret, false); failed != nil {
			g.log.WarnContext(ctx, "the file with a token was not removed", "error", failed)
			if err == nil {
				err = fmt.Errorf("remove the token from the sandbox: %w", failed)
			}
		}
	}()
	if err := control.WriteFile(ctx, sandbox.File{Path: secret, Data: []byte(p.Token)}); err != nil {
		return "", err
	}
	// The empty helper switches off those of the machine, which would keep the token.
	helper := "!f() { test \"$1\" = get && echo username=x-access-token && printf 'password=%s\\n' \"$(cat " + secret + ")\"; }; f"
	remote := "GIT_TERMINAL_PROMPT=0 git -c credential.helper= -c credential.helper=" + shellQuote(helper) + " "
	address := shellQuote(p.CloneURL)
	results, err := g.git(ctx, control, p.Token, []string{
		// What others put there stays: the project becomes one commit on top of it.
		"if " + remote + "ls-remote --exit-code --heads " + address + " main >/dev/null; then " + remote + "fetch -q " + address + " main && git reset -q --soft FETCH_HEAD; else [ $? -eq 2 ]; fi",
		commitCommand("Export from VibeSDK", p.Username, p.Email),
		remote + "push -q " + address + " HEAD:refs/heads/main",
		"git rev-parse HEAD",
	})
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(results[len(results)-1].Output), nil
}

// git runs commands that must all succeed. The token is in no error.
func (g *Gateway) git(ctx context.Context, control *sandbox.Control, token string, commands []string) ([]sandbox.CommandResult, error) {
	for i := range commands[1:] { // commands do not stop those after them; these build on each other
		commands[i+1] = "[ $_done = " + fmt.Sprint(i) + " ] && { " + commands[i+1] + "\n} && _done=" + fmt.Sprint(i+1)
	}
	commands[0] = "{ " + commands[0] + "\n} && _done=0"
	results, err := control.Run(ctx, commands, pushWithin)
	if err != nil {
		return nil, err
	}
	for _, result := range results {
		if !result.Success {
			why := strings.TrimSpace(strings.ReplaceAll(result.Error+"\n"+result.Output, token, "***"))
			return nil, &httpError{http.StatusUnprocessableEntity, "failed", "Push failed: " + strings.ToValidUTF8(why[:min(len(why), shownTail)], "")}
		}
	}
	return results, nil
}
