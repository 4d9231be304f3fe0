package sandbox

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
)

// Errors of live endpoints that callers match with errors.Is. A path or a body that breaks a rule is
// [ErrInvalid], a guest that is not there [ErrUnavailable].
var (
	ErrFileNotFound = errors.New("file not found")
	ErrTooLarge     = errors.New("too large")
	ErrUnauthorized = errors.New("control token is not valid")
)

// ControlError is a live endpoint's refusal.
type ControlError struct {
	// Status is the HTTP status.
	Status int
	// Message says why, for people.
	Message string
}

func (e *ControlError) Error() string { return e.Message }

// Is matches the sentinel that the status stands for.
func (e *ControlError) Is(target error) bool {
	switch e.Status {
	case http.StatusNotFound:
		return target == ErrFileNotFound
	case http.StatusRequestEntityTooLarge:
		return target == ErrTooLarge
	case http.StatusUnauthorized:
		return target == ErrUnauthorized
	case http.StatusBadRequest, http.StatusConflict, http.StatusForbidden, http.StatusMethodNotAllowed:
		return target == ErrInvalid
	}
	return e.Status >= http.StatusInternalServerError && target == ErrUnavailable
}

// ControlProblem is the body of a refusal.
type ControlProblem struct {
	Error string `json:"error"`
}

func readControlError(resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what there is tells enough
	var problem ControlProblem
	if json.Unmarshal(body, &problem) != nil || problem.Error == "" {
		problem.Error = strings.TrimSpace(resp.Status)
	}
	return &ControlError{resp.StatusCode, problem.Error}
}
