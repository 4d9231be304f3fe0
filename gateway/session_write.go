package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/schemas"
	"vibesdk-gcp/schemas/gen"
)

// Media types of patches.
const (
	mergePatch = "application/merge-patch+json"
	jsonPatch  = "application/json-patch+json"
)

// putPart replaces a part by the body.
func (g *Gateway) putPart(w http.ResponseWriter, r *http.Request) error {
	return g.writePart(w, r, gen.StateMutation_PUT)
}

// patchPart changes a part by a patch, whose media type says which kind it is.
func (g *Gateway) patchPart(w http.ResponseWriter, r *http.Request) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == mergePatch:
		return g.writePart(w, r, gen.StateMutation_MERGE)
	case err == nil && kind == jsonPatch:
		return g.writePart(w, r, gen.StateMutation_PATCH)
	default:
		w.Header().Set("Accept-Patch", mergePatch+", "+jsonPatch)
		return &httpError{http.StatusUnsupportedMediaType, "media-type", "Content-Type must be " + mergePatch + " or " + jsonPatch}
	}
}

func (g *Gateway) writePart(w http.ResponseWriter, r *http.Request, kind gen.StateMutation_Kind) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	part, err := partName(r)
	if err != nil {
		return err
	}
	m, err := newMutation(r, id, kind)
	if err != nil {
		return err
	}
	if m.payload, err = readBody(w, r, session.MaxPart); err != nil {
		return err
	}
	if kind == gen.StateMutation_PATCH && !bytes.HasPrefix(bytes.TrimLeft(m.payload, " \t\r\n"), []byte("[")) {
		return badRequest("the body must be a list of operations (RFC 6902)")
	}
	if part != session.PartState {
		m.message.Part = string(part)
	}
	return g.mutate(w, r, m)
}

func (g *Gateway) initialize(w http.ResponseWriter, r *http.Request) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	m, err := newMutation(r, id, gen.StateMutation_INITIALIZE)
	if err != nil {
		return err
	}
	if m.payload, err = readBody(w, r, session.MaxPart); err != nil {
		return err
	}
	return g.mutate(w, r, m)
}

// AppendRequest is the body of :append.
type AppendRequest struct {
	// Part is that of [session.PartName] to append to; empty is the state.
	Part session.PartName `json:"part,omitempty"`
	// Path is the JSON Pointer of the array; empty is the whole part.
	Path  string          `json:"path,omitempty"`
	Value json.RawMessage `json:"value"`
}

func (g *Gateway) appendTo(w http.ResponseWriter, r *http.Request) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	m, err := newMutation(r, id, gen.StateMutation_APPEND)
	if err != nil {
		return err
	}
	var req AppendRequest
	if _, err := readJSON(w, r, session.MaxPart, &req); err != nil {
		return err
	}
	if req.Value == nil {
		return invalid("value", "is required")
	}
	if req.Part != "" && req.Part != session.PartState {
		if err := checkPart(req.Part); err != nil {
			return err
		}
		m.message.Part = string(req.Part)
	}
	m.message.Path, m.payload = req.Path, req.Value
	return g.mutate(w, r, m)
}

// CloneRequest is the body of :clone, which makes the session of the path a copy of another.
type CloneRequest struct {
	From string `json:"from"`
}

func (g *Gateway) clone(w http.ResponseWriter, r *http.Request) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	m, err := newMutation(r, id, gen.StateMutation_CLONE)
	if err != nil {
		return err
	}
	var req CloneRequest
	if _, err := readJSON(w, r, 4<<10, &req); err != nil {
		return err
	}
	if err := checkID("from", req.From); err != nil {
		return err
	}
	if req.From == id {
		return invalid("from", "must not be the session itself")
	}
	m.message.CloneOf = req.From
	return g.mutate(w, r, m)
}

// destroy ends a session.
func (g *Gateway) destroy(w http.ResponseWriter, r *http.Request) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	m, err := newMutation(r, id, gen.StateMutation_DESTROY)
	if err != nil {
		return err
	}
	return g.mutate(w, r, m)
}

// postMutation takes a StateMutation as it travels on the topic, without the session's id.
func (g *Gateway) postMutation(w http.ResponseWriter, r *http.Request) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	body, err := readBody(w, r, events.MaxData)
	if err != nil {
		return err
	}
	m, err := rawMutation(id, r.Header.Get("Idempotency-Key"), body)
	if err != nil {
		return err
	}
	if err := g.ownPayload(m.message.GetPayloadUri()); err != nil {
		return err
	}
	return g.mutate(w, r, m)
}

// rawMutation completes a message by what the path and the header say, before its schema asks for it.
func rawMutation(sessionID, key string, body []byte) (*mutation, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return nil, badRequest("the body must be a state mutation, like {\"kind\":\"PUT\",\"payload\":\"{}\"}")
	}
	given := func(names ...string) bool {
		for _, name := range names {
			if v, ok := fields[name]; ok && string(v) != "null" {
				return true
			}
			delete(fields, name) // a null of one spelling beside the other would be the same field twice
		}
		return false
	}
	if given("sessionId", "session_id") {
		return nil, invalid("sessionId", "comes from the path and must be absent")
	}
	fields["sessionId"] = quoted(sessionID)
	m := &mutation{known: true}
	switch inBody := given("mutationId", "mutation_id"); {
	case inBody && key != "":
		return nil, invalid("Idempotency-Key", "must not come with mutationId")
	case !inBody:
		m.message = &gen.StateMutation{MutationId: key}
		m.known = false
		if err := m.identify("Idempotency-Key"); err != nil {
			return nil, err
		}
		fields["mutationId"] = quoted(m.message.GetMutationId())
	}
	complete, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("mutation: %w", err)
	}
	if m.message, err = schemas.DecodeStateMutation(complete); err != nil {
		return nil, err
	}
	m.payload = []byte(m.message.GetPayload())
	return m, nil
}

func quoted(s string) json.RawMessage {
	data, _ := json.Marshal(s) //nolint:errchkjson // a string always can
	return data
}

// readJSON reads a body whose fields are all known, and returns it as it came, too.
func readJSON(w http.ResponseWriter, r *http.Request, limit int64, into any) ([]byte, error) {
	body, err := readBody(w, r, limit)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return nil, badRequest("the body is not understood: " + strings.TrimPrefix(err.Error(), "json: "))
	}
	return body, nil
}

// mutationOutcome answers what became of a mutation; with Prefer: wait=<seconds> it waits for that.
func (g *Gateway) mutationOutcome(w http.ResponseWriter, r *http.Request) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	mutationID, err := pathID(r, "mutation", "mutationId")
	if err != nil {
		return err
	}
	if prefer := preferenceOf(r.Header, 0); prefer.wait > 0 {
		w.Header().Set("Preference-Applied", prefer.applied)
		if outcome, ok := g.await(r.Context(), id, mutationID, prefer.wait); ok {
			writeJSON(w, http.StatusOK, viewOutcome(outcome))
			return nil
		}
	}
	entry, err := g.remembered(r, id, mutationID)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, MutationResult{
		MutationID: mutationID, Code: codeNames[entry.Code], Version: entry.Version, At: entry.At, Ref: entry.Ref, Reason: entry.Reason,
	})
	return nil
}

func (g *Gateway) remembered(r *http.Request, id, mutationID string) (session.Entry, error) {
	record, err := g.Sessions.Load(r.Context(), id)
	if err != nil {
		return session.Entry{}, err
	}
	entry, ok := record.Ring.Find(mutationID)
	if !ok {
		return entry, &httpError{http.StatusNotFound, "not-found", "the session does not remember this mutation: it is not decided yet, or long ago, or was never sent"}
	}
	return entry, nil
}
