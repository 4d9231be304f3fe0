package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// LetterState is what became of a dead letter.
type LetterState string

// The states of dead letters.
const (
	LetterOpen     LetterState = "open"
	LetterParked   LetterState = "parked"
	LetterReplayed LetterState = "replayed"
)

// DeadLetter is a message that was given up, and what people did with it. Lists leave payload, attributes and stack out.
type DeadLetter struct {
	ID           string      `json:"id"`
	State        LetterState `json:"state"`
	Topic        string      `json:"topic"`
	Subscription string      `json:"subscription"`
	MessageID    string      `json:"messageId"`
	Type         string      `json:"type"`
	Source       string      `json:"source,omitempty"`
	Key          string      `json:"key,omitempty"`
	Time         time.Time   `json:"time"`
	Reason       string      `json:"reason"`
	Attempts     int         `json:"attempts"`
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

// Payload is the payload as it was published.
func (l DeadLetter) Payload() ([]byte, error) {
	if l.Data != nil {
		return l.Data, nil
	}
	return base64.StdEncoding.DecodeString(l.DataBase64)
}

// DeadLetterQuery chooses dead letters. An empty field chooses all; every field that is set must hold.
type DeadLetterQuery struct {
	IDs          []string      `json:"ids,omitempty"` // not of a list
	States       []LetterState `json:"states,omitempty"`
	Topic        string        `json:"topic,omitempty"`
	Subscription string        `json:"subscription,omitempty"`
	Type         string        `json:"type,omitempty"`
	Key          string        `json:"key,omitempty"`
	MessageID    string        `json:"messageId,omitempty"`
	// Reason is contained in the reason, without regard to case.
	Reason string `json:"reason,omitempty"`
	// From and Until bound when it was given up last: From ≤ ParkedAt < Until.
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Newest lists the newest first.
	Newest bool `json:"-"`
}

func (q DeadLetterQuery) values() url.Values {
	values := url.Values{}
	for name, value := range map[string]string{
		"topic": q.Topic, "subscription": q.Subscription, "type": q.Type, "key": q.Key, "messageId": q.MessageID, "reason": q.Reason,
	} {
		if value != "" {
			values.Set(name, value)
		}
	}
	for _, state := range q.States {
		values.Add("state", string(state))
	}
	for name, at := range map[string]time.Time{"from": q.From, "until": q.Until} {
		if !at.IsZero() {
			values.Set(name, at.Format(time.RFC3339Nano))
		}
	}
	if q.Newest {
		values.Set("newest", "1")
	}
	return values
}

// DeadLetterCount counts the letters of one subscription in one state.
type DeadLetterCount struct {
	Topic        string      `json:"topic"`
	Subscription string      `json:"subscription"`
	State        LetterState `json:"state"`
	Count        int         `json:"count"`
	Oldest       time.Time   `json:"oldest"`
}

// DeadLetterEdit is what to change of a letter.
type DeadLetterEdit struct {
	// Payload is the new payload; nil leaves it as it is.
	Payload []byte
	// NewMessageID gives the message another id, so that it is another message for consumers; empty keeps it.
	NewMessageID string
	// Version, unless 0, is the version that the letter must be at: ErrConflict otherwise.
	Version int64
}

// DeadLetterReplay says how to replay.
type DeadLetterReplay struct {
	DeadLetterQuery

	// Limit is the most letters; 0 is all.
	Limit int `json:"limit,omitempty"`
	// DryRun changes nothing and says what would be.
	DryRun bool `json:"dryRun,omitempty"`
	// Rate is how many letters a second are replayed at most; 0 is as fast as the bus takes them.
	Rate float64 `json:"rate,omitempty"`
}

// ReplayResult is what became of one letter: replayed, would-replay, refused, or changed by another meanwhile.
type ReplayResult struct {
	ID        string `json:"id"`
	MessageID string `json:"messageId"`
	Topic     string `json:"topic"`
	Key       string `json:"key,omitempty"`
	Outcome   string `json:"outcome"`
	Error     string `json:"error,omitempty"`
}

// ReplaySummary sums a replay up.
type ReplaySummary struct {
	// Done is false when the replay ended before the end: run it again.
	Done     bool `json:"done"`
	DryRun   bool `json:"dryRun"`
	Replayed int  `json:"replayed"`
	Refused  int  `json:"refused"`
	Changed  int  `json:"changed"`
}

// DeadLetters are the calls about dead letters.
type DeadLetters struct{ c *Client }

// DeadLetters returns the calls about dead letters.
func (c *Client) DeadLetters() *DeadLetters { return &DeadLetters{c: c} }

// List yields the letters of a query, read page by page.
func (d *DeadLetters) List(ctx context.Context, q DeadLetterQuery) iter.Seq2[DeadLetter, error] {
	return func(yield func(DeadLetter, error) bool) {
		if len(q.IDs) > 0 {
			yield(DeadLetter{}, fmt.Errorf("%w: a list is not chosen by ids", ErrInvalid))
			return
		}
		query := q.values()
		query.Set("limit", "500")
		for {
			var page struct {
				DeadLetters []DeadLetter `json:"deadLetters"`
				Next        string       `json:"next"`
			}
			if err := d.c.json(ctx, call{method: http.MethodGet, path: []string{"v1", "dead-letters"}, query: query}, &page); err != nil {
				yield(DeadLetter{}, err)
				return
			}
			for _, letter := range page.DeadLetters {
				if !yield(letter, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			query.Set("after", page.Next)
		}
	}
}

// Count counts the letters of a query by subscription and state.
func (d *DeadLetters) Count(ctx context.Context, q DeadLetterQuery) ([]DeadLetterCount, error) {
	var out struct {
		Counts []DeadLetterCount `json:"counts"`
	}
	err := d.c.json(ctx, call{method: http.MethodGet, path: []string{"v1", "dead-letters:count"}, query: q.values()}, &out)
	return out.Counts, err
}

// Get returns one letter with its payload.
func (d *DeadLetters) Get(ctx context.Context, id string) (DeadLetter, error) {
	return d.one(ctx, call{method: http.MethodGet}, id, "")
}

// Edit changes a letter. The server refuses a payload that could not be published to the letter's topic.
func (d *DeadLetters) Edit(ctx context.Context, id string, e DeadLetterEdit) (DeadLetter, error) {
	body := map[string]any{}
	switch {
	case e.Payload == nil:
	case json.Valid(e.Payload):
		body["data"] = json.RawMessage(e.Payload)
	default:
		body["dataBase64"] = base64.StdEncoding.EncodeToString(e.Payload)
	}
	if e.NewMessageID != "" {
		body["messageId"] = e.NewMessageID
	}
	if e.Version != 0 {
		body["version"] = e.Version
	}
	return d.one(ctx, call{method: http.MethodPatch, body: exactBody(body), once: e.Version != 0}, id, "")
}

// exactBody keeps the spelling of payloads.
func exactBody(v any) func() (io.Reader, error) {
	return func() (io.Reader, error) {
		data, err := marshal(v)
		return bytes.NewReader(data), err
	}
}

// Park sets a letter aside with a note, so that it is not replayed.
func (d *DeadLetters) Park(ctx context.Context, id, note string) (DeadLetter, error) {
	return d.one(ctx, call{method: http.MethodPost, body: jsonBody(map[string]string{"note": note})}, id, ":park")
}

// Release opens a letter that was parked.
func (d *DeadLetters) Release(ctx context.Context, id string) (DeadLetter, error) {
	return d.one(ctx, call{method: http.MethodPost, body: jsonBody(struct{}{})}, id, ":release")
}

func (d *DeadLetters) one(ctx context.Context, in call, id, verb string) (DeadLetter, error) {
	if id == "" {
		return DeadLetter{}, fmt.Errorf("%w: the id is empty", ErrInvalid)
	}
	in.path = []string{"v1", "dead-letters", id + verb}
	var out DeadLetter
	err := d.c.json(ctx, in, &out)
	return out, err
}

// Purge deletes letters for good, or counts them in a dry run. The query must name the states.
func (d *DeadLetters) Purge(ctx context.Context, q DeadLetterQuery, dryRun bool) (int, error) {
	body := struct {
		DeadLetterQuery

		DryRun bool `json:"dryRun,omitempty"`
	}{q, dryRun}
	var out struct {
		Purged int `json:"purged"`
	}
	err := d.c.json(ctx, call{method: http.MethodPost, path: []string{"v1", "dead-letters:purge"}, body: jsonBody(body)}, &out)
	return out.Purged, err
}

// Replay publishes letters again in the order in which they were given up, and calls each with what became of every one as it
// happens. It goes on for as long as that takes. An error, of each as well, leaves what is not done open: call Replay again.
func (d *DeadLetters) Replay(ctx context.Context, r DeadLetterReplay, each func(ReplayResult) error) (ReplaySummary, error) {
	var sum ReplaySummary
	resp, err := d.c.do(ctx, call{method: http.MethodPost, path: []string{"v1", "dead-letters:replay"}, body: jsonBody(r)})
	if err != nil {
		return sum, err
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			if ctx.Err() != nil {
				return sum, context.Cause(ctx)
			}
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return sum, fmt.Errorf("%w: the answer broke off, what is not done is still open: %w", ErrUnreachable, err)
		}
		var both struct {
			ReplayResult
			ReplaySummary

			Problem *Error `json:"problem"`
		}
		if err := json.Unmarshal(line, &both); err != nil {
			return sum, fmt.Errorf("the answer of %s is not understood: %w", d.c.base, err)
		}
		if both.ReplayResult.Outcome == "" {
			if both.Problem != nil {
				return both.ReplaySummary, both.Problem
			}
			return both.ReplaySummary, nil
		}
		sum.add(both.ReplayResult)
		if err := each(both.ReplayResult); err != nil {
			return sum, err
		}
	}
}

// add keeps count of what came, for an answer that breaks off.
func (s *ReplaySummary) add(r ReplayResult) {
	switch r.Outcome {
	case "refused":
		s.Refused++
	case "changed":
		s.Changed++
	default:
		s.Replayed++
	}
}
