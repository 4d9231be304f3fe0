package console

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"vibesdk-gcp/gateway/auth"
	"vibesdk-gcp/gateway/client"
)

// pageLength is how many rows a list has.
const pageLength = 50

// sandboxesView is the list of sandboxes.
type sandboxesView struct {
	Sandboxes []client.Sandbox
	States    []client.State
	State     client.State
	First     bool
	Next      string
}

var allStates = append(slices.Clone(liveStates), client.Deleted, client.Failed)

func (v *visit) sandboxes() error {
	query := v.r.URL.Query()
	if id := query.Get("id"); id != "" {
		http.Redirect(v.w, v.r, Prefix+"/sandboxes/"+url.PathEscape(id), http.StatusSeeOther)
		return nil
	}
	view := sandboxesView{States: allStates, State: client.State(query.Get("state")), First: query.Get("after") == ""}
	var states []client.State
	if view.State != "" {
		states = append(states, view.State)
	}
	page, err := v.api.Sandboxes().Page(v.r.Context(), query.Get("after"), pageLength, states...)
	if err != nil {
		return err
	}
	view.Sandboxes, view.Next = page.Items, page.Next
	return v.showAs(http.StatusOK, "sandboxes", shell{Section: "/sandboxes", Title: "Sandboxes", Every: 5, Data: view})
}

// sandboxView is one sandbox.
type sandboxView struct {
	client.Sandbox

	Steps  []step
	Log    string
	Writes bool
	// Letters leads to the dead letters with the reason of a sandbox that failed before it began; empty without one.
	Letters string
}

// step is something that happened to a sandbox.
type step struct {
	What string
	At   time.Time
}

// logLength is how much of a log a page has without a script, in bytes.
const logLength = 64 << 10

func (v *visit) sandbox() error {
	id := v.r.PathValue("id")
	s, err := v.api.Sandboxes().Get(v.r.Context(), id)
	if err != nil {
		return err
	}
	view := sandboxView{Sandbox: s, Steps: steps(s), Writes: v.may(auth.SandboxesWrite)}
	if s.State == client.Failed && s.ReadyAt.IsZero() && v.c.o.DeadLetters && v.may(auth.DeadLettersRead) {
		reason, _ := shown(s.Reason, 120)
		view.Letters = Prefix + "/dead-letters?" + url.Values{"subscription": {"sandboxrunner"}, "reason": {reason}}.Encode()
	}
	if view.Log, err = v.log(s); err != nil {
		return err
	}
	v.w.Header().Set("Content-Security-Policy", policy+frameSource(v.c.o.PreviewURL("sandbox", "token")))
	return v.show("/sandboxes", "sandbox", s.ID, view)
}

// frameSource is what a page about a sandbox may show in a frame: hosts of the domain that previews are in. Which one is known only
// when the sandbox is ready, while the page lives.
func frameSource(preview string) string {
	u, err := url.Parse(preview)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return "'none'"
	}
	_, domain, ok := strings.Cut(u.Host, ".")
	if !ok || domain == "" {
		return "'none'"
	}
	return u.Scheme + "://*." + domain
}

// steps are the times that a sandbox's record has.
func steps(s client.Sandbox) []step {
	all := []step{
		{"Requested", s.CreatedAt}, {"Ready", s.ReadyAt}, {"Last visited", s.ActiveAt}, {"Last change", s.UpdatedAt},
		{"Ended", s.EndedAt},
	}
	all = slices.DeleteFunc(all, func(s step) bool { return s.At.IsZero() })
	slices.SortStableFunc(all, func(a, b step) int { return a.At.Compare(b.At) })
	if !s.State.Ended() && !s.ExpiresAt.IsZero() {
		all = append(all, step{"Ends at the latest", s.ExpiresAt})
	}
	return all
}

// log is the end of what a sandbox printed so far.
func (v *visit) log(s client.Sandbox) (string, error) {
	stream, err := v.api.Sandboxes().Logs(v.r.Context(), s.ID, client.LogOptions{})
	if err != nil {
		if gone(err) {
			return s.LogTail, nil
		}
		return "", err
	}
	defer stream.Close()
	tail := &tail{}
	if _, err := io.Copy(tail, stream); err != nil {
		return "", err
	}
	if len(tail.data) == 0 {
		return s.LogTail, nil
	}
	return string(tail.data), nil
}

// tail keeps the last logLength bytes that are written to it.
type tail struct{ data []byte }

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	if extra := len(t.data) - logLength; extra > 0 {
		t.data = slices.Delete(t.data, 0, extra)
	}
	return len(p), nil
}

func (v *visit) sandboxEvents() error {
	return v.stream("v1", "sandboxes", v.r.PathValue("id"), "events")
}

// sandboxLog follows the log to its end.
func (v *visit) sandboxLog() error { return v.stream("v1", "sandboxes", v.r.PathValue("id"), "logs") }

func (v *visit) stopSandbox() error {
	id := v.r.PathValue("id")
	if _, err := v.api.Sandboxes().Stop(v.r.Context(), id); err != nil {
		return err
	}
	return v.done("stopping", "sandboxes", id)
}
