package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"vibesdk-gcp/platform/session"
)

// listSessions answers heads ordered by id, or those with a job due by ?due= ordered by that time.
func (g *Gateway) listSessions(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	limit, err := limitOf(query.Get("limit"), 100, 1000)
	if err != nil {
		return err
	}
	q := session.Query{After: query.Get("after"), Limit: limit}
	if q.After != "" {
		if err := checkID("after", q.After); err != nil {
			return err
		}
	}
	if q.DueBy, err = timeOf("due", query.Get("due")); err != nil {
		return err
	}
	if q.AfterTime, err = timeOf("afterTime", query.Get("afterTime")); err != nil {
		return err
	}
	if q.AfterTime.IsZero() == (q.After != "" && !q.DueBy.IsZero()) {
		return invalid("afterTime", "must come with after when due is given, and only then")
	}
	heads, err := g.Sessions.List(r.Context(), q)
	if err != nil {
		return err
	}
	page := SessionPage{Sessions: make([]Session, len(heads))}
	for i, head := range heads {
		page.Sessions[i] = viewHead(head)
	}
	if len(heads) == limit {
		last := heads[limit-1]
		page.Next = last.ID
		if !q.DueBy.IsZero() {
			page.NextTime = last.AlarmAt
		}
	}
	writeJSON(w, http.StatusOK, page)
	return nil
}

// record reads the session that the path names. It never makes one.
func (g *Gateway) record(r *http.Request) (*session.Record, error) {
	id, err := sessionID(r)
	if err != nil {
		return nil, err
	}
	return g.Sessions.Get(r.Context(), id)
}

func (g *Gateway) getSession(w http.ResponseWriter, r *http.Request) error {
	record, err := g.record(r)
	if err != nil {
		return err
	}
	view, err := viewSession(record)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etag(record.Version))
	writeJSON(w, http.StatusOK, view)
	return nil
}

// getPart answers a part byte for byte. Its ETag is the version of the session, to be given back with If-Match.
func (g *Gateway) getPart(w http.ResponseWriter, r *http.Request) error {
	name, err := partName(r)
	if err != nil {
		return err
	}
	record, err := g.record(r)
	if err != nil {
		return err
	}
	part, ok := record.Parts[name]
	if !ok {
		return &httpError{http.StatusNotFound, "not-found", fmt.Sprintf("the session has no %s", name)}
	}
	w.Header().Set("ETag", etag(record.Version))
	// To be asked for again each time, with If-None-Match.
	w.Header().Set("Cache-Control", "private, no-cache")
	if matchesETag(r.Header.Get("If-None-Match"), record.Version) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(part.Data)))
	w.Write(part.Data)
	return nil
}

// history answers what the ring remembers, also of a session that was destroyed.
func (g *Gateway) history(w http.ResponseWriter, r *http.Request) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	limit, err := limitOf(r.URL.Query().Get("limit"), 100, 10_000)
	if err != nil {
		return err
	}
	record, err := g.Sessions.Load(r.Context(), id)
	if err != nil {
		return err
	}
	answer := SessionHistory{Entries: []HistoryEntry{}}
	for _, entry := range slices.Backward(record.Ring.Entries()) {
		if len(answer.Entries) == limit {
			break
		}
		answer.Entries = append(answer.Entries, viewEntry(entry))
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}
