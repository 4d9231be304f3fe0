package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/sandbox"
)

// RunnerOptions are for the routes under /instances, which answer as VibeSDK's remote sandbox service does.
type RunnerOptions struct {
	// TemplatesURL is the folder with the archives <name>.zip of templates, without a slash at the end: file:///… or
	// gs://bucket/folder. Empty means that instances are made from files only.
	TemplatesURL string
	// Apps tells what apps are deployed, and AppURL the address of one. Without them nothing can be deployed.
	Apps   deployment.Lookup
	AppURL func(name string) string
	// Wait is how long a caller waits for a new instance. Defaults to 55 s: VibeSDK gives up at 60 s.
	Wait time.Duration
}

// Texts that VibeSDK looks for in errors. The first makes it deploy its sandbox anew before it deploys the app; the second makes it
// begin a new session, and with that a new instance. Of an instance that has ended both are true.
const (
	noInstanceText = "Failed to read instance metadata"
	goneText       = "Network connection lost: " + noInstanceText
)

// Outcome is what each answer of these routes begins with. Error is for people and for callers that look for known
// texts.
type Outcome struct {
	Success bool   `json:"success"`
	Message string `json:"message,omitempty"`
	Error   string `json:"error,omitempty"`
}

// runnerPath reports whether a path belongs to these routes, whose errors have a form of their own.
func runnerPath(path string) bool {
	return path == "/instances" || strings.HasPrefix(path, "/instances/") || path == "/logs"
}

// failRunner answers with an error as VibeSDK reads it: it shows the text of the body, which is never empty.
func (g *Gateway) failRunner(w http.ResponseWriter, p Problem) {
	writeJSON(w, p.Status, Outcome{Error: p.text()})
}

// instance returns the record of the instance that the path names.
func (g *Gateway) instance(r *http.Request) (sandbox.Record, error) {
	id := r.PathValue("id")
	unknown := &httpError{http.StatusNotFound, "not-found", fmt.Sprintf("%s: there is no instance %.60q", noInstanceText, id)}
	if !sandbox.ValidID(id) {
		return sandbox.Record{}, unknown
	}
	record, err := g.Records.Load(r.Context(), id)
	if errors.Is(err, sandbox.ErrNotFound) {
		return sandbox.Record{}, unknown
	}
	return record, err
}

// liveInstance connects to the guest of the instance that the path names.
func (g *Gateway) liveInstance(r *http.Request) (sandbox.Record, *sandbox.Control, error) {
	record, err := g.instance(r)
	if err != nil {
		return record, nil, err
	}
	switch {
	case record.State == sandbox.Ready:
		return record, sandbox.NewControl(record.Endpoint, record.ControlToken, g.Client), nil
	case ended(record):
		return record, nil, &httpError{http.StatusGone, "gone", fmt.Sprintf("%s: instance %s is %s", goneText, record.ID, afterlife(record))}
	default:
		return record, nil, &httpError{http.StatusConflict, "not-ready", fmt.Sprintf("instance %s is %s, not ready", record.ID, record.State)}
	}
}

// lostGuest gives the text that makes VibeSDK go on with a new instance to errors of a guest that is not there.
func lostGuest(err error) error {
	if errors.Is(err, sandbox.ErrUnavailable) || errors.Is(err, sandbox.ErrUnauthorized) {
		return &httpError{http.StatusServiceUnavailable, "unavailable", goneText + ": the sandbox does not answer"}
	}
	return err
}

func ended(r sandbox.Record) bool { return r.State.Terminal() || r.State == sandbox.Stopping }

// afterlife says in words what became of an instance that ended.
func afterlife(r sandbox.Record) string {
	word := "stopped"
	if r.State == sandbox.Failed {
		word = "failed"
	}
	if r.Reason != "" {
		return word + ": " + r.Reason
	}
	return word
}
