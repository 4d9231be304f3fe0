package console

import (
	"net/http"
	"net/url"

	"vibesdk-gcp/gateway/client"
)

// sessionsView is the list of sessions.
type sessionsView struct {
	Sessions []client.Session
	First    bool
	Next     string
}

func (v *visit) sessions() error {
	query := v.r.URL.Query()
	if id := query.Get("id"); id != "" {
		address := Prefix + "/sessions/" + url.PathEscape(id)
		if v.provider != "" {
			address += "?" + url.Values{providerQuery: {v.provider}}.Encode()
		}
		http.Redirect(v.w, v.r, address, http.StatusSeeOther)
		return nil
	}
	page, err := v.api.Sessions().Page(v.r.Context(), query.Get("after"), pageLength)
	if err != nil {
		return err
	}
	view := sessionsView{Sessions: page.Items, Next: page.Next, First: query.Get("after") == ""}
	return v.show("/sessions", "sessions", "Sessions", view)
}

// sessionView is one session.
type sessionView struct {
	client.SessionDetail

	// Part is the one that is shown, as Text; Rest is how many bytes of it are not.
	Part    string
	Text    string
	Rest    int
	HasPart bool
	History []client.HistoryEntry
	Jobs    []client.Job
}

const (
	// partLength is how much of a part a page shows, in bytes, and historyLength how many mutations.
	partLength    = 256 << 10
	historyLength = 100
)

func (v *visit) session() error {
	ctx, id := v.r.Context(), v.r.PathValue("id")
	detail, err := v.api.Sessions().Get(ctx, id)
	if err != nil && !gone(err) {
		return err
	}
	view := sessionView{SessionDetail: detail, Part: v.r.URL.Query().Get("part")}
	history, forgotten := v.api.Sessions().History(ctx, id, historyLength)
	if forgotten != nil { // what was destroyed still has a history
		return forgotten
	}
	view.ID, view.History = id, history
	if view.Part == "" {
		view.Part = client.PartState
	}
	switch part, err := v.api.Sessions().Read(ctx, id, view.Part); {
	case err == nil:
		view.HasPart = true
		view.Text, view.Rest = shown(pretty(part.Data), partLength)
	case !gone(err):
		return err
	}
	if detail.Schedules+detail.Queued+detail.Parked > 0 {
		if view.Jobs, err = v.jobs(id); err != nil {
			return err
		}
	}
	return v.show("/sessions", "session", id, view)
}

// jobs are what waits to be run, schedules first.
func (v *visit) jobs(id string) ([]client.Job, error) {
	schedules, err := v.api.Sessions().Schedules(v.r.Context(), id, client.JobFilter{})
	if err != nil && !gone(err) {
		return nil, err
	}
	queue, err := v.api.Sessions().Queue(v.r.Context(), id, client.JobFilter{})
	if err != nil && !gone(err) {
		return nil, err
	}
	return append(schedules, queue...), nil
}

// sessionEvents follows the heads of a session.
func (v *visit) sessionEvents() error {
	return v.stream("v1", "sessions", v.r.PathValue("id"), "events")
}
