package gateway

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"vibesdk-gcp/events"
	"vibesdk-gcp/schemas"
)

// Limits of one publish call, as Pub/Sub's: 1,000 messages and 10 MB of payload, which base64 makes a third larger.
const (
	maxPublishMessages = 1000
	maxPublishBody     = 14 << 20
)

// publishRequest is the body of google.pubsub.v1.Publisher.Publish in JSON.
type publishRequest struct {
	Messages []pubsubMessage `json:"messages"`
}

type pubsubMessage struct {
	Data        string            `json:"data,omitempty"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	OrderingKey string            `json:"orderingKey,omitempty"`
	// OrderingKeySnake is the proto spelling, which Google's JSON takes as well.
	OrderingKeySnake string `json:"ordering_key,omitempty"`
	// MessageID and PublishTime are written by the service; Google ignores them in a request.
	MessageID   string `json:"messageId,omitempty"`
	PublishTime string `json:"publishTime,omitempty"`
}

type publishResponse struct {
	MessageIDs []string `json:"messageIds"`
}

// publish is Pub/Sub's REST call, so that gcloud, curl and any Pub/Sub client over HTTP can publish to a laptop.
// The project is not looked at: there is one.
func (g *Gateway) publish(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("topic")
	topic, ok := g.topics[name]
	if !ok {
		return &googleError{
			code: http.StatusNotFound, status: "NOT_FOUND",
			message: fmt.Sprintf("Resource not found (resource=%s).", name),
		}
	}
	msgs, err := readMessages(http.MaxBytesReader(w, r.Body, maxPublishBody), topic)
	if err == nil {
		err = g.Publisher.Publish(r.Context(), topic, msgs...)
	}
	if err != nil {
		return err
	}
	ids := make([]string, len(msgs))
	for i, m := range msgs {
		ids[i] = m.ID
	}
	writeJSON(w, http.StatusOK, publishResponse{MessageIDs: ids})
	return nil
}

// readMessages reads and checks the whole request, and names every fault.
func readMessages(body io.Reader, topic events.Topic) ([]events.Message, error) {
	var req publishRequest
	dec := json.NewDecoder(body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok || errors.Is(err, errTooSlow) {
			return nil, err
		}
		return nil, invalidArgument("Invalid JSON payload received. " + strings.TrimPrefix(err.Error(), "json: "))
	}
	if n := len(req.Messages); n == 0 || n > maxPublishMessages {
		return nil, invalidArgument(fmt.Sprintf("The value for message_count is %d. You must pass between 1 and %d messages.", n, maxPublishMessages))
	}
	var faults []Fault
	msgs := make([]events.Message, 0, len(req.Messages))
	now := time.Now()
	for i, in := range req.Messages {
		at := fmt.Sprintf("messages[%d]", i)
		data, err := decodeBase64(in.Data)
		if err != nil {
			faults = append(faults, Fault{at + ".data", "is not base64"})
			continue
		}
		if len(data) == 0 && len(in.Attributes) == 0 {
			faults = append(faults, Fault{at, "must have data or at least one attribute"})
			continue
		}
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("message id: %w", err)
		}
		m := events.DecodeAttributes(in.Attributes, id.String(), now)
		m.Data, m.Key = data, in.OrderingKey
		if m.Key == "" {
			m.Key = in.OrderingKeySnake
		}
		if topic.Validate != nil {
			faults = append(faults, faultsOf(at+".data", topic.Validate(data))...)
		}
		msgs = append(msgs, m)
	}
	if len(faults) > 0 {
		return nil, &googleError{code: http.StatusBadRequest, status: "INVALID_ARGUMENT", message: sentence(faults), faults: faults}
	}
	return msgs, nil
}

// faultsOf puts what a schema found below a field of the request.
func faultsOf(at string, err error) []Fault {
	if err == nil {
		return nil
	}
	invalid, ok := errors.AsType[*schemas.ValidationError](err)
	if !ok {
		return []Fault{{at, err.Error()}}
	}
	faults := make([]Fault, 0, len(invalid.Faults))
	for _, f := range invalid.Faults {
		field := at
		if f.Field != "" {
			field += "." + f.Field
		}
		faults = append(faults, Fault{field, f.Message})
	}
	return faults
}

// decodeBase64 takes the standard and the URL alphabet, padded or not, as proto3 JSON does.
func decodeBase64(s string) ([]byte, error) {
	s = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(s), "=")
	return base64.RawStdEncoding.DecodeString(s)
}
