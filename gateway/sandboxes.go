package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"vibesdk-gcp/events"
	"vibesdk-gcp/gateway/auth"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/schemas"
	"vibesdk-gcp/schemas/gen"
)

// Accepted answers a call that published a request.
type Accepted struct {
	// ID is the sandbox's id. Its record exists once a runner took the request.
	ID        string `json:"id"`
	RequestID string `json:"requestId"`
}

// run publishes a SandboxRequest. A request without an id gets one; a caller that may retry sends its own.
func (g *Gateway) run(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, events.MaxData))
	if err != nil {
		return readError(err)
	}
	if body, err = withRequestID(body); err != nil {
		return err
	}
	req, err := schemas.DecodeSandboxRequest(body)
	if err != nil {
		return err
	}
	if a := req.GetAction(); a != gen.SandboxRequest_RUN && a != gen.SandboxRequest_UNSPECIFIED {
		return &schemas.ValidationError{Faults: []schemas.Fault{{Field: "action", Message: "must be RUN or absent here"}}}
	}
	if req.GetAppName() != "" {
		if err := g.require(w, r, auth.DeploymentsWrite); err != nil {
			return err
		}
	}
	if err := g.request(r, req); err != nil {
		return err
	}
	id := sandbox.IDFor(req.GetRequestId())
	w.Header().Set("Location", "/v1/sandboxes/"+id)
	writeJSON(w, http.StatusAccepted, Accepted{ID: id, RequestID: req.GetRequestId()})
	return nil
}

func (g *Gateway) request(r *http.Request, req *gen.SandboxRequest) error {
	return g.publishRequest(r.Context(), req)
}

func (g *Gateway) publishRequest(ctx context.Context, req *gen.SandboxRequest) error {
	data, err := schemas.EncodeSandboxRequest(req)
	if err != nil {
		return err
	}
	return g.Publisher.Publish(ctx, events.SandboxRequests, events.Message{Data: data})
}

// withRequestID adds a request id to a body that has none, before the schema asks for it. What is no JSON object
// stays as it is: the schema says what is wrong with it.
func withRequestID(body []byte) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return body, nil //nolint:nilerr // see above
	}
	if given := func(name string) bool { v, ok := fields[name]; return ok && string(v) != "null" }; given("requestId") || given("request_id") {
		return body, nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("request id: %w", err)
	}
	delete(fields, "request_id") // a null of the other spelling would be the same field twice
	fields["requestId"] = json.RawMessage(strconv.Quote(id.String()))
	return json.Marshal(fields)
}

// readError tells a body that is too large from one that broke off.
func readError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok || errors.Is(err, errTooSlow) {
		return err
	}
	return badRequest("the body ended early")
}

func tooLarge(limit int64) string {
	return fmt.Sprintf("the body is larger than %d bytes", limit)
}

// Page is one page of a list.
type Page struct {
	Sandboxes []Sandbox `json:"sandboxes"`
	// Next is the value of ?after= for the page that follows; empty on the last one.
	Next string `json:"next,omitempty"`
}

// list answers sandboxes ordered by id. ?state= may be given several times or hold names with commas.
func (g *Gateway) list(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	q := sandbox.Query{After: query.Get("after"), Limit: 100}
	for _, names := range query["state"] {
		for name := range strings.SplitSeq(names, ",") {
			state := sandbox.State(name)
			if !state.Valid() {
				return badRequest(fmt.Sprintf("state %q: there is no such state", name))
			}
			q.States = append(q.States, state)
		}
	}
	if limit := query.Get("limit"); limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 || n > 1000 {
			return badRequest("limit must be a number from 1 to 1000")
		}
		q.Limit = n
	}
	records, err := g.Records.List(r.Context(), q)
	if err != nil {
		return err
	}
	page := Page{Sandboxes: make([]Sandbox, len(records))}
	for i, record := range records {
		page.Sandboxes[i] = g.view(record)
	}
	if len(records) == q.Limit {
		page.Next = records[len(records)-1].ID
	}
	writeJSON(w, http.StatusOK, page)
	return nil
}

func (g *Gateway) get(w http.ResponseWriter, r *http.Request) error {
	record, err := g.Records.Load(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, g.view(record))
	return nil
}

// stop publishes a request to end a sandbox, unless it has ended.
func (g *Gateway) stop(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	record, err := g.Records.Load(r.Context(), id)
	if err != nil {
		return err
	}
	if !record.State.Terminal() {
		unique, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("request id: %w", err)
		}
		err = g.request(r, &gen.SandboxRequest{
			RequestId: "stop-" + unique.String(), SandboxId: id,
			Action: gen.SandboxRequest_STOP, StopReason: gen.SandboxRequest_USER,
		})
		if err != nil {
			return err
		}
	}
	writeJSON(w, http.StatusAccepted, g.view(record))
	return nil
}
