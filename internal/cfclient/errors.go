package cfclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Error is a refusal by the bridge: what was asked for did not happen, unless the code is index_unavailable, agent_failed,
// worker_failed, unavailable or internal.
type Error struct {
	Status int
	// Code is a word for programs, Message a sentence for people.
	Code, Message string
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("bridge: %d %s: %s", e.Status, e.Code, e.Message) }

// Is makes an Error match another one with the same code.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Code == e.Code
}

// Code is the code of the bridge's refusal, and empty for any other error.
func Code(err error) string {
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return ""
}

// refused returns the refusal that an answer is.
func refused(response *http.Response, body []byte) error {
	code := response.Header.Get("X-Bridge-Error")
	if code == "" && response.StatusCode < 300 || response.StatusCode == http.StatusNotModified {
		return nil
	}
	refusal := &Error{Status: response.StatusCode, Code: code}
	var said struct{ Message string }
	if code != "" && json.Unmarshal(body, &said) == nil {
		refusal.Message = said.Message
		return refusal
	}
	// Not the bridge: its edge, a proxy on the way, or another server.
	refusal.Code, refusal.Message = "no_bridge", "the answer is not the bridge's"
	return refusal
}

// transient reports whether a safe call is worth another try.
func transient(err error) bool {
	var refusal *Error
	if !errors.As(err, &refusal) {
		return true
	}
	switch refusal.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return refusal.Code != "not_configured"
	}
	return false
}

// fault says what was called. The address is left out: it has ids in it.
func fault(r Request, err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		err = of.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer in time: %w", err)
	}
	return fmt.Errorf("bridge: %s %s: %w", r.Method, r.Path, err)
}
