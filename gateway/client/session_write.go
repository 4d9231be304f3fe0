package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// Each write below waits until the outcome is known or ctx ends; with a ctx that ended the result has the code Pending
// and the id to ask for, and the write may still be applied. Errors: [ErrVersion], [ErrConflict], [ErrNotFound],
// [ErrRejected], [ErrTooLarge]; the session is then as it was.

// Put replaces a part by JSON text.
func (s *Sessions) Put(ctx context.Context, id, part string, data []byte, o WriteOptions) (MutationResult, error) {
	return s.write(ctx, id, o, call{method: http.MethodPut, path: s.partPath(id, part), body: rawBody(data)})
}

// Merge applies a merge patch (RFC 7396) to a part.
func (s *Sessions) Merge(ctx context.Context, id, part string, patch []byte, o WriteOptions) (MutationResult, error) {
	return s.write(ctx, id, o, call{method: http.MethodPatch, path: s.partPath(id, part), kind: "application/merge-patch+json", body: rawBody(patch)})
}

// Patch applies a list of operations (RFC 6902) to a part, all of them or none.
func (s *Sessions) Patch(ctx context.Context, id, part string, operations []byte, o WriteOptions) (MutationResult, error) {
	return s.write(ctx, id, o, call{method: http.MethodPatch, path: s.partPath(id, part), kind: "application/json-patch+json", body: rawBody(operations)})
}

// Append adds a value at the end of the array at path, a JSON Pointer, of a part.
func (s *Sessions) Append(ctx context.Context, id, part, path string, value []byte, o WriteOptions) (MutationResult, error) {
	return s.act(ctx, id, "append", o, struct {
		Part  string          `json:"part,omitempty"`
		Path  string          `json:"path,omitempty"`
		Value json.RawMessage `json:"value"`
	}{part, path, value})
}

// Initialize sets the state of a session for the first time. A second one is [ErrConflict].
func (s *Sessions) Initialize(ctx context.Context, id string, state []byte, o WriteOptions) (MutationResult, error) {
	return s.write(ctx, id, o, call{method: http.MethodPost, path: s.action(id, "initialize"), body: rawBody(state)})
}

// Clone makes session id, which must not be there, a copy of the state of another.
func (s *Sessions) Clone(ctx context.Context, id, from string, o WriteOptions) (MutationResult, error) {
	return s.act(ctx, id, "clone", o, struct {
		From string `json:"from"`
	}{from})
}

// Destroy removes a session. To destroy one that is not there is no error.
func (s *Sessions) Destroy(ctx context.Context, id string, o WriteOptions) (MutationResult, error) {
	return s.write(ctx, id, o, call{method: http.MethodDelete, path: s.path(id)})
}

// Mutate sends a mutation as it travels on the topic.
func (s *Sessions) Mutate(ctx context.Context, id string, m StateMutation, o WriteOptions) (MutationResult, error) {
	return s.write(ctx, id, o, call{method: http.MethodPost, path: s.path(id, "mutations"), body: jsonBody(m)})
}

func (s *Sessions) act(ctx context.Context, id, action string, o WriteOptions, request any) (MutationResult, error) {
	data, err := marshal(request)
	if err != nil {
		return MutationResult{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return s.write(ctx, id, o, call{method: http.MethodPost, path: s.action(id, action), body: rawBody(data)})
}

func (s *Sessions) action(id, action string) []string {
	if id == "" {
		return s.path("")
	}
	return s.path(id + ":" + action)
}

// write sends a write and waits for its outcome.
func (s *Sessions) write(ctx context.Context, id string, o WriteOptions, in call) (MutationResult, error) {
	if o.MutationID == "" {
		unique, err := uuid.NewV7()
		if err != nil {
			return MutationResult{}, fmt.Errorf("mutation id: %w", err)
		}
		o.MutationID = unique.String()
	}
	in.header = http.Header{"Idempotency-Key": {o.MutationID}}
	switch {
	case o.IfVersion == nil:
	case *o.IfVersion == 0:
		in.header.Set("If-None-Match", "*")
	default:
		in.header.Set("If-Match", etag(*o.IfVersion))
	}
	if o.Async {
		in.header.Set("Prefer", "respond-async")
	}
	resp, err := s.do(ctx, in)
	if err != nil {
		return MutationResult{MutationID: o.MutationID, Code: Pending}, err
	}
	defer resp.Body.Close()
	var result MutationResult
	if err := json.NewDecoder(resp.Body).Decode(&result); err != nil {
		return MutationResult{MutationID: o.MutationID, Code: Pending}, fmt.Errorf("the answer of %s is not understood: %w", s.c.base, err)
	}
	if result.Code != Pending || o.Async {
		return result, nil
	}
	return s.await(ctx, id, o, result)
}

// await asks for the outcome of a write that was not decided while its call waited.
func (s *Sessions) await(ctx context.Context, id string, o WriteOptions, result MutationResult) (MutationResult, error) {
	ask := call{
		method: http.MethodGet, path: s.path(id, "mutations", result.MutationID),
		header: http.Header{"Prefer": {"wait=10"}},
	}
	for ctx.Err() == nil {
		var decided MutationResult
		err := s.c.json(ctx, ask, &decided)
		if err == nil {
			return decided, decided.err(o)
		}
		if !errors.Is(err, ErrNotFound) {
			return result, err
		}
		pause(ctx, 100*time.Millisecond) // the server waits; this is for one that does not
	}
	return result, context.Cause(ctx)
}

// err is the error that the write's own call would have answered.
func (m MutationResult) err(o WriteOptions) error {
	status, kind := http.StatusUnprocessableEntity, "rejected"
	switch m.Code {
	case "applied":
		return nil
	case "conflict":
		status, kind = http.StatusConflict, "conflict"
		if o.IfVersion != nil {
			status, kind = http.StatusPreconditionFailed, "version"
		}
	case "initialized":
		status, kind = http.StatusConflict, "initialized"
	case "not-found":
		status, kind = http.StatusNotFound, "not-found"
	case "too-large":
		status, kind = http.StatusRequestEntityTooLarge, "too-large"
	}
	return &Error{Status: status, Type: "urn:vibesdk:problem:" + kind, Detail: m.Reason, Version: &m.Version}
}
