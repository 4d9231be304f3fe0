package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"vibesdk-gcp/events"
)

// letterRequest is the body of a replay or a purge: which letters, and how.
type letterRequest struct {
	IDs          []string             `json:"ids,omitempty"`
	States       []events.LetterState `json:"states,omitempty"`
	Topic        string               `json:"topic,omitempty"`
	Subscription string               `json:"subscription,omitempty"`
	Type         string               `json:"type,omitempty"`
	Key          string               `json:"key,omitempty"`
	MessageID    string               `json:"messageId,omitempty"`
	Reason       string               `json:"reason,omitempty"`
	From         time.Time            `json:"from,omitzero"`
	Until        time.Time            `json:"until,omitzero"`
	// Limit is the most letters of a replay; 0 is all.
	Limit  int  `json:"limit,omitempty"`
	DryRun bool `json:"dryRun,omitempty"`
	// Rate is how many letters a second are replayed at most; 0 is as fast as the bus takes them.
	Rate float64 `json:"rate,omitempty"`
}

func (b letterRequest) query() (events.LetterQuery, error) {
	if b.Limit < 0 {
		return events.LetterQuery{}, invalid("limit", "must be a number from 0, which is all")
	}
	if b.Rate < 0 || math.IsInf(b.Rate, 0) || math.IsNaN(b.Rate) {
		return events.LetterQuery{}, invalid("rate", "must be a number from 0, which is no bound")
	}
	return events.LetterQuery{
		IDs: b.IDs, States: b.States, Topic: b.Topic, Subscription: b.Subscription, Type: b.Type, Key: b.Key, MessageID: b.MessageID,
		Reason: b.Reason, From: b.From, Until: b.Until, Limit: b.Limit,
	}, nil
}

// letterQuery reads the query of a list. ?state= may be given several times or hold names with commas.
func letterQuery(r *http.Request) (events.LetterQuery, error) {
	in := r.URL.Query()
	q := events.LetterQuery{
		Topic: in.Get("topic"), Subscription: in.Get("subscription"), Type: in.Get("type"), Key: in.Get("key"),
		MessageID: in.Get("messageId"), Reason: in.Get("reason"), After: in.Get("after"),
	}
	for _, names := range in["state"] {
		for name := range strings.SplitSeq(names, ",") {
			q.States = append(q.States, events.LetterState(name))
		}
	}
	var err error
	if q.From, err = timeOf("from", in.Get("from")); err != nil {
		return q, err
	}
	if q.Until, err = timeOf("until", in.Get("until")); err != nil {
		return q, err
	}
	if q.Limit, err = limitOf(in.Get("limit"), 100, events.MaxLetters); err != nil {
		return q, err
	}
	if q.Newest, err = flag(in.Get("newest")); err != nil {
		return q, invalid("newest", "must be 1 or 0")
	}
	return q, nil
}

// readLetterBody reads a JSON object, or nothing.
func readLetterBody(w http.ResponseWriter, r *http.Request, limit int64, into any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return readError(err)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	err = dec.Decode(into)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return invalid(wrong.Field, "must be a %s", kindName(wrong.Type.String()))
	}
	if err == nil && dec.More() {
		err = errors.New("more than one value")
	}
	if err != nil {
		return badRequest("the body must be a JSON object: " + err.Error())
	}
	return nil
}
