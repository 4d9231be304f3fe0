//go:build unix

package guest

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"

	"vibesdk-gcp/platform/sandbox"
)

// reserved is the part of the address space that is never the app's.
const reserved = "/.sandbox/"

// live answers the live endpoints and hands everything else to the app.
type live struct {
	server   *server
	root     *os.Root
	app      app
	token    [sha256.Size]byte
	sessions chan struct{}
}

// sessionsAtOnce bounds the calls of commands that run at the same time; others wait.
const sessionsAtOnce = 4

func newLive(s *server, root *os.Root, shown app) *live {
	return &live{
		server: s, root: root, app: shown,
		token:    sha256.Sum256([]byte(s.task.ControlToken)),
		sessions: make(chan struct{}, sessionsAtOnce),
	}
}

func (l *live) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, reserved) {
		l.app.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if !l.authorized(r) {
		w.Header().Set("Www-Authenticate", "Bearer")
		problem(w, &sandbox.ControlError{Status: http.StatusUnauthorized, Message: "unauthorized"})
		return
	}
	answer, err := l.route(w, r)
	switch {
	case err != nil:
		problem(w, err)
	case answer != nil:
		writeJSON(w, http.StatusOK, answer)
	}
}

// authorized compares digests, so that neither content nor length of the token shows in the time it takes. A
// task without a token has no live endpoints.
func (l *live) authorized(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	digest := sha256.Sum256([]byte(strings.TrimSpace(token)))
	same := subtle.ConstantTimeCompare(digest[:], l.token[:]) == 1
	return same && strings.EqualFold(scheme, "Bearer") && l.server.task.ControlToken != ""
}

// route calls the endpoint. It matches by hand, because a mux would clean paths and redirect, and a file's
// name must arrive as it was sent. An endpoint that returns nothing has answered by itself.
func (l *live) route(w http.ResponseWriter, r *http.Request) (any, error) {
	name, ok := strings.CutPrefix(r.URL.Path, sandbox.ControlPrefix)
	if !ok {
		return nil, refuse(http.StatusNotFound, "no such endpoint")
	}
	if file, ok := strings.CutPrefix(name, "files/"); ok {
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			return nil, l.readFile(w, r, file)
		case http.MethodPut:
			return l.putFile(w, r, file)
		case http.MethodDelete:
			return l.deleteFile(r, file)
		}
		return nil, refuse(http.StatusMethodNotAllowed, "method %s is not allowed here", r.Method)
	}
	switch r.Method + " " + name {
	case "GET status":
		return l.status(), nil
	case "GET files":
		return l.listFiles(r)
	case "POST files":
		return l.writeFiles(w, r)
	case "POST commands":
		return l.runCommands(w, r)
	case "GET logs":
		return nil, l.logs(w, r)
	case "GET errors":
		return sandbox.LoggedErrors{Errors: l.server.errors.list()}, nil
	case "DELETE errors":
		l.server.errors.clear()
		return struct{}{}, nil
	}
	switch name {
	case "status", "files", "commands", "logs", "errors":
		return nil, refuse(http.StatusMethodNotAllowed, "method %s is not allowed here", r.Method)
	}
	return nil, refuse(http.StatusNotFound, "no such endpoint")
}

func (l *live) status() sandbox.LiveStatus {
	return sandbox.LiveStatus{GuestStatus: l.server.status.get(), Healthy: l.app.healthy(), Restarts: l.app.restarts()}
}

func refuse(status int, format string, args ...any) error {
	return &sandbox.ControlError{Status: status, Message: fmt.Sprintf(format, args...)}
}

// problem answers with an error. Errors of the file system name no path of this machine, since a root's
// paths are relative.
func problem(w http.ResponseWriter, err error) {
	refusal, ok := errors.AsType[*sandbox.ControlError](err)
	if !ok {
		refusal = &sandbox.ControlError{Status: fileStatus(err), Message: err.Error()}
	}
	writeJSON(w, refusal.Status, sandbox.ControlProblem{Error: refusal.Message})
}

func fileStatus(err error) int {
	tooLarge, _ := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooLarge != nil:
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, fs.ErrNotExist):
		return http.StatusNotFound
	case leavesRoot(err):
		return http.StatusForbidden
	case errors.Is(err, fs.ErrPermission):
		return http.StatusForbidden
	}
	return http.StatusInternalServerError
}

func writeJSON(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the client is gone
}

// readJSON decodes a body of at most limit bytes.
func readJSON(w http.ResponseWriter, r *http.Request, limit int64, into any) error {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit)).Decode(into)
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return refuse(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes", large.Limit)
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "the body is not the JSON expected: %v", err)
	}
	return nil
}
