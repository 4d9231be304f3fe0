package gateway

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/schemas"
)

// DeadLetter is a dead letter as callers see it. Lists leave payload, attributes and stack out.
type DeadLetter struct {
	ID           string             `json:"id"`
	State        events.LetterState `json:"state"`
	Topic        string             `json:"topic"`
	Subscription string             `json:"subscription"`
	MessageID    string             `json:"messageId"`
	Type         string             `json:"type"`
	Source       string             `json:"source,omitempty"`
	Key          string             `json:"key,omitempty"`
	Time         time.Time          `json:"time"`
	Reason       string             `json:"reason"`
	Attempts     int                `json:"attempts"`
	// Permanent tells an error that no retry mends from attempts that ran out.
	Permanent bool `json:"permanent"`
	// ParkedAt is when it was given up last, FirstParkedAt first: the order of lists and replays.
	ParkedAt      time.Time `json:"parkedAt"`
	FirstParkedAt time.Time `json:"firstParkedAt"`
	Replays       int       `json:"replays"`
	Note          string    `json:"note,omitempty"`
	Edited        bool      `json:"edited,omitempty"`
	Version       int64     `json:"version"`
	FiledAt       time.Time `json:"filedAt"`
	ChangedAt     time.Time `json:"changedAt"`
	// Size is that of the payload in bytes.
	Size int `json:"size"`

	// Data is the payload when it is JSON text, DataBase64 when it is not.
	Data       json.RawMessage   `json:"data,omitempty"`
	DataBase64 string            `json:"dataBase64,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Stack      string            `json:"stack,omitempty"`
}

// DeadLetterPage is one page of a list.
type DeadLetterPage struct {
	DeadLetters []DeadLetter `json:"deadLetters"`
	// Next is the value of ?after= for the page that follows; empty on the last one.
	Next string `json:"next,omitempty"`
}

// DeadLetterCount counts the letters of one subscription in one state.
type DeadLetterCount struct {
	Topic        string             `json:"topic"`
	Subscription string             `json:"subscription"`
	State        events.LetterState `json:"state"`
	Count        int                `json:"count"`
	Oldest       time.Time          `json:"oldest"`
}

func letterHead(l events.Letter) DeadLetter {
	return DeadLetter{
		ID: l.ID, State: l.State, Topic: l.Topic, Subscription: l.Subscription, MessageID: l.Message.ID, Type: l.Message.Type,
		Source: l.Message.Source, Key: l.Message.Key, Time: l.Message.Time, Reason: l.Reason, Attempts: l.Attempts, Permanent: l.Permanent,
		ParkedAt: l.ParkedAt, FirstParkedAt: l.FirstParkedAt, Replays: l.Replays, Note: l.Note, Edited: l.Edited, Version: l.Version,
		FiledAt: l.FiledAt, ChangedAt: l.ChangedAt, Size: len(l.Message.Data),
	}
}

func letterView(l events.Letter) DeadLetter {
	v := letterHead(l)
	v.Attributes, v.Stack = l.Message.Attributes, l.Stack
	if json.Valid(l.Message.Data) {
		v.Data = l.Message.Data
	} else {
		v.DataBase64 = base64.StdEncoding.EncodeToString(l.Message.Data)
	}
	return v
}

func (g *Gateway) listLetters(w http.ResponseWriter, r *http.Request) error {
	q, err := letterQuery(r)
	if err != nil {
		return err
	}
	letters, next, err := g.Letters.Letters(r.Context(), q)
	if err != nil {
		return err
	}
	page := DeadLetterPage{DeadLetters: make([]DeadLetter, len(letters)), Next: next}
	for i, l := range letters {
		page.DeadLetters[i] = letterHead(l)
	}
	writeJSON(w, http.StatusOK, page)
	return nil
}

func (g *Gateway) countLetters(w http.ResponseWriter, r *http.Request) error {
	q, err := letterQuery(r)
	if err != nil {
		return err
	}
	counts, err := g.Letters.Count(r.Context(), q)
	if err != nil {
		return err
	}
	list := make([]DeadLetterCount, len(counts))
	for i, c := range counts {
		list[i] = DeadLetterCount{c.Topic, c.Subscription, c.State, c.Count, c.Oldest}
	}
	writeJSON(w, http.StatusOK, deadLetterCounts{list})
	return nil
}

func (g *Gateway) getLetter(w http.ResponseWriter, r *http.Request) error {
	l, err := g.Letters.Letter(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	writeExactly(w, letterView(l))
	return nil
}

// writeExactly writes JSON whose payloads keep their spelling, white space aside.
func writeExactly(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // a client that is gone needs no answer
}

// letterEdit is the body of PATCH.
type letterEdit struct {
	Data       json.RawMessage `json:"data,omitempty"`
	DataBase64 *string         `json:"dataBase64,omitempty"`
	MessageID  string          `json:"messageId,omitempty"`
	Version    int64           `json:"version,omitempty"`
}

func (g *Gateway) editLetter(w http.ResponseWriter, r *http.Request) error {
	var in letterEdit
	if err := readLetterBody(w, r, 2*events.MaxData, &in); err != nil {
		return err
	}
	edit := events.LetterEdit{Data: in.Data, NewID: in.MessageID, Version: in.Version}
	switch {
	case in.DataBase64 != nil && in.Data != nil:
		return invalid("data", "is given twice, as data and as dataBase64")
	case in.DataBase64 != nil:
		data, err := base64.StdEncoding.DecodeString(*in.DataBase64)
		if err != nil {
			return invalid("dataBase64", "is not standard base64")
		}
		edit.Data = append([]byte{}, data...) // empty is not nothing
	}
	l, err := g.Letters.Edit(r.Context(), r.PathValue("id"), edit)
	if err != nil {
		return plainInvalid(err)
	}
	writeExactly(w, letterView(l))
	return nil
}

// plainInvalid lets the text of the letter box speak: the table would say only that a request breaks rules.
func plainInvalid(err error) error {
	if v, ok := errors.AsType[*schemas.ValidationError](err); ok {
		faults := make([]schemas.Fault, len(v.Faults))
		for i, f := range v.Faults {
			faults[i] = schemas.Fault{Field: "data." + f.Field, Message: f.Message}
		}
		return &schemas.ValidationError{Subject: v.Subject, Faults: faults}
	}
	return err
}

func (g *Gateway) parkLetter(w http.ResponseWriter, r *http.Request) error {
	var in letterNote
	if err := readLetterBody(w, r, maxLimitBody, &in); err != nil {
		return err
	}
	l, err := g.Letters.Park(r.Context(), r.PathValue("id"), in.Note)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, letterHead(l))
	return nil
}

func (g *Gateway) releaseLetter(w http.ResponseWriter, r *http.Request) error {
	l, err := g.Letters.Release(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, letterHead(l))
	return nil
}

func (g *Gateway) purgeLetters(w http.ResponseWriter, r *http.Request) error {
	var in letterRequest
	if err := readLetterBody(w, r, maxLimitBody, &in); err != nil {
		return err
	}
	q, err := in.query()
	if err != nil {
		return err
	}
	if len(q.States) == 0 {
		return invalid("states", "is required: which of open, parked, replayed to delete for good")
	}
	count := 0
	if in.DryRun {
		var counts []events.LetterCount
		if counts, err = g.Letters.Count(r.Context(), q); err == nil {
			for _, c := range counts {
				count += c.Count
			}
		}
	} else {
		count, err = g.Letters.Purge(r.Context(), q)
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, deadLetterPurge{count, in.DryRun})
	return nil
}
