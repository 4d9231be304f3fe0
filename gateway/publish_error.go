package gateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/session"
)

// googleError is an error in the form that Google's APIs give and that Google's clients read: google.rpc.Status.
type googleError struct {
	code    int
	status  string
	message string
	faults  []Fault
}

func (e *googleError) Error() string { return e.message }

func invalidArgument(message string) error {
	return &googleError{code: http.StatusBadRequest, status: "INVALID_ARGUMENT", message: message}
}

type googleBody struct {
	Error googleStatus `json:"error"`
}

type googleStatus struct {
	Code    int           `json:"code"`
	Message string        `json:"message"`
	Status  string        `json:"status"`
	Details []googleFault `json:"details,omitempty"`
}

type googleFault struct {
	Type            string            `json:"@type"`
	FieldViolations []googleViolation `json:"fieldViolations"`
}

type googleViolation struct {
	Field       string `json:"field"`
	Description string `json:"description"`
}

// failGoogle answers an error of the publish call.
func (g *Gateway) failGoogle(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[*googleError](err)
	switch {
	case ok:
	case errors.Is(err, events.ErrInvalid):
		e = &googleError{code: http.StatusBadRequest, status: "INVALID_ARGUMENT", message: err.Error()}
	case errors.Is(err, session.ErrConflict): // what publishes knows that it cannot be applied
		e = &googleError{code: http.StatusBadRequest, status: "FAILED_PRECONDITION", message: err.Error()}
	default:
		g.log.ErrorContext(r.Context(), "publish failed", "error", err)
		// UNAVAILABLE is what Pub/Sub's clients retry, and a message whose fate is unknown may be sent again.
		e = &googleError{code: http.StatusServiceUnavailable, status: "UNAVAILABLE", message: "The bus could not store the messages. Please try again."}
	}
	body := googleBody{googleStatus{Code: e.code, Message: e.message, Status: e.status}}
	if len(e.faults) > 0 {
		detail := googleFault{Type: "type.googleapis.com/google.rpc.BadRequest"}
		for _, f := range e.faults {
			detail.FieldViolations = append(detail.FieldViolations, googleViolation{f.Field, f.Message})
		}
		body.Error.Details = append(body.Error.Details, detail)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.code)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone needs no answer
}

// sentence lists faults in one line: gcloud shows the message and not the details.
func sentence(faults []Fault) string {
	parts := make([]string, len(faults))
	for i, f := range faults {
		parts[i] = f.Field + ": " + f.Message
	}
	return "Invalid message: " + strings.Join(parts, "; ") + "."
}
