package client

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Errors that callers match with errors.Is.
var (
	ErrInvalid      = errors.New("the request is not valid")
	ErrUnauthorized = errors.New("the API key is missing or wrong")
	// ErrForbidden: the key is valid and lacks the scope that the detail names.
	ErrForbidden = errors.New("the API key does not allow this")
	ErrNotFound  = errors.New("not found")
	ErrConflict  = errors.New("what is there is in no state for this")
	// ErrVersion: the session is at another version than the write expected; see [Error.Version].
	ErrVersion = errors.New("the session is at another version")
	// ErrRejected: the write is well formed but cannot be applied to what is there.
	ErrRejected = errors.New("the write cannot be applied")
	ErrTooLarge = errors.New("too large")
	// ErrLimited: the server limits calls, and this caller made too many; see [Error.RetryAfter].
	ErrLimited     = errors.New("too many calls")
	ErrUnavailable = errors.New("the server cannot do this now")
	// ErrUnreachable means that no server answered at the address.
	ErrUnreachable = errors.New("no server answers")
)

var kinds = map[int]error{
	http.StatusBadRequest:            ErrInvalid,
	http.StatusUnauthorized:          ErrUnauthorized,
	http.StatusForbidden:             ErrForbidden,
	http.StatusNotFound:              ErrNotFound,
	http.StatusConflict:              ErrConflict,
	http.StatusPreconditionFailed:    ErrVersion,
	http.StatusUnprocessableEntity:   ErrRejected,
	http.StatusRequestEntityTooLarge: ErrTooLarge,
	http.StatusRequestTimeout:        ErrUnavailable,
	http.StatusTooManyRequests:       ErrLimited,
	http.StatusBadGateway:            ErrUnavailable,
	http.StatusServiceUnavailable:    ErrUnavailable,
	http.StatusGatewayTimeout:        ErrUnavailable,
}

// Error is an answer of the server that is not a success.
type Error struct {
	Status int
	// Type is the kind of problem for programs, urn:vibesdk:problem:<code>. Empty when something between us and the
	// gateway answered.
	Type   string  `json:"type"`
	Detail string  `json:"detail"`
	Faults []Fault `json:"faults"`
	// Version is the session's, when a write to it was decided against.
	Version *int64 `json:"version"`
	// RetryAfter is how long the server says to wait; 0 when it says nothing.
	RetryAfter time.Duration `json:"-"`

	body []byte
}

// Fault is one field of a request that breaks a rule.
type Fault struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error says what the server said, each fault on its own line.
func (e *Error) Error() string {
	text := e.Detail
	if text == "" {
		text = http.StatusText(e.Status)
	}
	var lines strings.Builder
	lines.WriteString(text)
	for _, f := range e.Faults {
		lines.WriteString("\n  ")
		if f.Field != "" {
			lines.WriteString(f.Field + ": ")
		}
		lines.WriteString(f.Message)
	}
	return lines.String()
}

// Is matches the error of the status.
func (e *Error) Is(target error) bool { return kinds[e.Status] == target }

func asError(err error) (*Error, bool) { return errors.AsType[*Error](err) }

// maxErrorBody bounds what is read of an error's body.
const maxErrorBody = 64 << 10

func errorOf(resp *http.Response) error {
	e := &Error{Status: resp.StatusCode}
	// The publish call answers in Google's form, the others with a problem document.
	form := struct {
		*Error
		Google struct {
			Message string `json:"message"`
		} `json:"error"`
	}{Error: e}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil || json.Unmarshal(body, &form) != nil {
		e.Detail = ""
	}
	if e.Detail == "" {
		e.Detail = form.Google.Message
	}
	if e.Detail == "" {
		e.Detail = "the server answered " + resp.Status
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	e.Status, e.body = resp.StatusCode, body // a body cannot say otherwise
	return e
}
