package gateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
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

// googleStatuses are the names that Google's clients know for a status.
var googleStatuses = map[int]string{
	http.StatusBadRequest: "INVALID_ARGUMENT", http.StatusUnauthorized: "UNAUTHENTICATED", http.StatusForbidden: "PERMISSION_DENIED",
	http.StatusNotFound: "NOT_FOUND", http.StatusMethodNotAllowed: "UNIMPLEMENTED", http.StatusMisdirectedRequest: "FAILED_PRECONDITION",
	http.StatusConflict:        "FAILED_PRECONDITION",
	http.StatusTooManyRequests: "RESOURCE_EXHAUSTED", http.StatusRequestTimeout: "DEADLINE_EXCEEDED", http.StatusGatewayTimeout: "DEADLINE_EXCEEDED",
}

// googleOf words an error, or the problem that it is, for Google's clients.
func googleOf(err error, p Problem) *googleError {
	if own, ok := errors.AsType[*googleError](err); ok {
		return own
	}
	if p.Status == http.StatusRequestEntityTooLarge {
		return &googleError{code: http.StatusBadRequest, status: "INVALID_ARGUMENT", message: "Request payload size exceeds the limit: " + p.Detail + "."}
	}
	if name, ok := googleStatuses[p.Status]; ok {
		return &googleError{code: p.Status, status: name, message: p.Detail, faults: p.Faults}
	}
	// UNAVAILABLE is what Pub/Sub's clients retry, and a message whose fate is unknown may be sent again.
	return &googleError{code: http.StatusServiceUnavailable, status: "UNAVAILABLE", message: "The bus could not store the messages. Please try again."}
}

// failGoogle answers an error of the publish call.
func (g *Gateway) failGoogle(w http.ResponseWriter, err error, p Problem) {
	e := googleOf(err, p)
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
