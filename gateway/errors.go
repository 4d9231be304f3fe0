package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"vibesdk-gcp/events"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/schemas"
)

// Problem is the body of an error, media type application/problem+json (RFC 9457).
type Problem struct {
	// Type is a URN that names the kind of problem for programs: urn:vibesdk:problem:<code>.
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail says what is wrong with this request, for people.
	Detail string `json:"detail,omitempty"`
	// Faults lists each field of the request that breaks a rule.
	Faults []Fault `json:"faults,omitempty"`
	// Version is the session's, when a write was decided against.
	Version *int64 `json:"version,omitempty"`
}

// Fault is one field that breaks a rule.
type Fault struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// text is the problem in one text, which is never empty.
func (p Problem) text() string {
	text := p.Detail
	for _, fault := range p.Faults {
		text += "; " + fault.Field + " " + fault.Message
	}
	if text == "" {
		text = p.Title
	}
	return text
}

// httpError is an error that the gateway itself made, with its status.
type httpError struct {
	status int
	code   string
	detail string
}

func (e *httpError) Error() string { return e.detail }

// problemCodes is the table of the kinds of problems: the last part of [Problem.Type], and the status that it comes with. A limit that
// rejects has more in its body, see [LimitedProblem].
var problemCodes = map[string]int{
	"invalid": http.StatusBadRequest, "unauthorized": http.StatusUnauthorized,
	"scope": http.StatusForbidden, "cross-origin": http.StatusForbidden,
	"no-route": http.StatusNotFound, "not-found": http.StatusNotFound, "file-not-found": http.StatusNotFound,
	"no-method": http.StatusMethodNotAllowed, "too-slow": http.StatusRequestTimeout,
	"conflict": http.StatusConflict, "initialized": http.StatusConflict, "not-ready": http.StatusConflict, "apart": http.StatusConflict,
	"gone": http.StatusGone, "version": http.StatusPreconditionFailed, "too-large": http.StatusRequestEntityTooLarge,
	"media-type": http.StatusUnsupportedMediaType, "wrong-host": http.StatusMisdirectedRequest,
	"id-reused": http.StatusUnprocessableEntity, "rejected": http.StatusUnprocessableEntity, "failed": http.StatusUnprocessableEntity,
	"rate-limited": http.StatusTooManyRequests, "internal": http.StatusInternalServerError,
	"no-limits": http.StatusNotImplemented, "no-apps": http.StatusNotImplemented,
	"unavailable": http.StatusServiceUnavailable, "timeout": http.StatusGatewayTimeout,
}

// problemTypes are all values of [Problem.Type].
func problemTypes() []string {
	var types []string
	for code := range problemCodes {
		types = append(types, problemURN+code)
	}
	slices.Sort(types)
	return types
}

const problemURN = "urn:vibesdk:problem:"

func badRequest(detail string) error {
	return &httpError{http.StatusBadRequest, "invalid", detail}
}

// statuses is the table from errors of the ports to HTTP. The first row that matches counts; what matches none
// is our own fault: 500, and the text stays in the log.
var statuses = []struct {
	is     error
	status int
	code   string
}{
	{sandbox.ErrNotFound, http.StatusNotFound, "not-found"},
	{sandbox.ErrFileNotFound, http.StatusNotFound, "file-not-found"},
	{sandbox.ErrTooLarge, http.StatusRequestEntityTooLarge, "too-large"},
	{sandbox.ErrUnauthorized, http.StatusConflict, "not-ready"}, // the preview at that address is of another generation
	{sandbox.ErrInvalid, http.StatusBadRequest, "invalid"},
	{events.ErrInvalid, http.StatusBadRequest, "invalid"},
	{events.ErrNotFound, http.StatusNotFound, "not-found"},
	{events.ErrConflict, http.StatusConflict, "conflict"},
	{sandbox.ErrConflict, http.StatusConflict, "conflict"},
	{sandbox.ErrExists, http.StatusConflict, "conflict"},
	{sandbox.ErrTransition, http.StatusConflict, "conflict"},
	{sandbox.ErrUnavailable, http.StatusServiceUnavailable, "unavailable"},
	{session.ErrNotFound, http.StatusNotFound, "not-found"},
	{session.ErrInitialized, http.StatusConflict, "initialized"},
	{session.ErrConflict, http.StatusConflict, "conflict"},
	{session.ErrIDReused, http.StatusUnprocessableEntity, "id-reused"},
	{session.ErrInvalid, http.StatusUnprocessableEntity, "rejected"},
	{session.ErrTooLarge, http.StatusRequestEntityTooLarge, "too-large"},
	{deployment.ErrNotFound, http.StatusNotFound, "not-found"},
	{deployment.ErrInvalid, http.StatusBadRequest, "invalid"},
	{deployment.ErrConflict, http.StatusConflict, "conflict"},
	{ratelimit.ErrUnknownLimit, http.StatusNotFound, "not-found"},
	{ratelimit.ErrInvalid, http.StatusBadRequest, "invalid"},
	{ratelimit.ErrApart, http.StatusConflict, "apart"},
	{ratelimit.ErrUnavailable, http.StatusServiceUnavailable, "unavailable"},
	{context.DeadlineExceeded, http.StatusGatewayTimeout, "timeout"},
}

// away reports that something behind the gateway did not answer: this request may go well a moment later.
func away(err error) bool {
	return errors.Is(err, events.ErrUnavailable) || errors.Is(err, session.ErrUnavailable) || sqldb.IsUnavailable(err)
}

// problemOf looks err up in the table.
func problemOf(err error) Problem {
	p := Problem{Status: http.StatusInternalServerError, Type: "internal", Detail: "the server failed; its log says why"}
	if invalid, ok := errors.AsType[*schemas.ValidationError](err); ok {
		p = Problem{Status: http.StatusBadRequest, Type: "invalid", Detail: "the request breaks rules"}
		for _, f := range invalid.Faults {
			p.Faults = append(p.Faults, Fault{Field: f.Field, Message: f.Message})
		}
	} else if syntax, ok := errors.AsType[*schemas.SyntaxError](err); ok {
		p = Problem{Status: http.StatusBadRequest, Type: "invalid", Detail: syntax.Error()}
	} else if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		p = Problem{Status: http.StatusRequestEntityTooLarge, Type: "too-large", Detail: tooLarge(large.Limit)}
	} else if limited, ok := errors.AsType[*limitedError](err); ok {
		p = Problem{Status: http.StatusTooManyRequests, Type: "rate-limited", Detail: limited.details.Message}
	} else if own, ok := errors.AsType[*httpError](err); ok {
		p = Problem{Status: own.status, Type: own.code, Detail: own.detail}
	} else {
		if away(err) { // what drivers say names addresses
			p = Problem{Status: http.StatusServiceUnavailable, Type: "unavailable", Detail: "the server cannot reach what it needs: send the same request again"}
		}
		for _, row := range statuses {
			if errors.Is(err, row.is) {
				p = Problem{Status: row.status, Type: row.code, Detail: err.Error()}
				if errors.Is(err, ratelimit.ErrUnavailable) {
					p.Detail = ratelimit.ErrUnavailable.Error() // what drivers say names addresses
				}
				break
			}
		}
	}
	if no, ok := errors.AsType[*rejected](err); ok {
		p.Version = &no.outcome.Version
		if no.conditional && errors.Is(err, session.ErrConflict) {
			p.Status, p.Type = http.StatusPreconditionFailed, "version"
		}
	}
	p.Type = problemURN + p.Type
	p.Title = http.StatusText(p.Status)
	return p
}

// fail answers with the problem that err is, in the form of the route.
func (g *Gateway) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && !errors.Is(err, errTooSlow) { // which ends the context as well
		return // nobody is listening
	}
	form := formOf(r)
	if form == vibeSDKForm {
		g.failVibeSDK(w, r, err)
		return
	}
	p := problemOf(err)
	if p.Status >= http.StatusInternalServerError {
		g.log.ErrorContext(r.Context(), "request failed", "route", callOf(r.Context()).pattern(), "status", p.Status, "error", err)
	}
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	if p.Status == http.StatusRequestEntityTooLarge || p.Status == http.StatusRequestTimeout {
		w.Header().Set("Connection", "close") // else the server would first wait for the rest of the body
	}
	limited, isLimited := errors.AsType[*limitedError](err)
	if isLimited {
		limited.setHeaders(w.Header())
	}
	switch {
	case form == googleForm:
		g.failGoogle(w, err, p)
	case form == runnerForm:
		g.failRunner(w, p)
	case isLimited:
		writeProblem(w, p.Status, limited.body(p))
	default:
		writeProblem(w, p.Status, p)
	}
}

// formOf is how errors of a request are written. What is below a path of the remote sandbox service is for its callers, also
// where there is no such route.
func formOf(r *http.Request) errorForm {
	switch c := callOf(r.Context()); {
	case c.route != nil:
		return c.route.form
	case runnerPath(r.URL.Path):
		return runnerForm
	default:
		return c.form
	}
}

func writeProblem(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that is gone needs no answer
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // as above
}
