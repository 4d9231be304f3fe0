package gateway

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"vibesdk-gcp/gateway/auth"
)

// serve finds the route of a request, refuses who may not call it, and answers.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	c := callOf(r.Context())
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	var seen *verdict
	if c.route, seen = g.table.find(r); c.route == nil && seen.chosen != nil {
		c.form = seen.chosen[0].form
	}
	own := c.route != nil && c.route.scope == ownAuth
	if !own && g.crossOrigin(w, r) {
		return
	}
	if err := g.enter(w, r, c); err != nil {
		if refused(err) && isAgentCall(r) && isUpgrade(r) {
			g.refuseAgent(w, r, problemOf(err).Detail)
			return
		}
		g.fail(w, r, err)
		return
	}
	if c.route == nil {
		g.noRoute(w, r, seen)
		return
	}
	g.answerRoute(w, r, c.route)
}

// answerRoute runs a handler within the limits of its row.
func (g *Gateway) answerRoute(w http.ResponseWriter, r *http.Request, row *route) {
	inside := r
	if row.timeout >= 0 {
		ctx, cancel := context.WithTimeout(r.Context(), cmp.Or(row.timeout, defaultTimeout))
		defer cancel()
		inside = r.WithContext(ctx)
	}
	limit := row.limit()
	err := error(&http.MaxBytesError{Limit: limit})
	if r.ContentLength <= limit {
		if r.ContentLength != 0 {
			inside.Body = http.MaxBytesReader(w, r.Body, limit)
		}
		err = row.handle(w, inside)
	}
	if err != nil {
		g.fail(w, r, err)
		linger(w, r)
	}
}

const (
	// lingerFor and lingerBytes bound how long, and for how much, a client that was refused early may go on to send.
	lingerFor   = 2 * time.Second
	lingerBytes = 256 << 20
)

// linger takes the rest of a body that was refused for its size, after the answer is out: a connection that is closed on a
// client that still sends is reset, and the answer is lost.
func linger(w http.ResponseWriter, r *http.Request) {
	if w.Header().Get("Connection") != "close" || r.ContentLength == 0 {
		return
	}
	control := http.NewResponseController(w)
	if control.Flush() == nil && control.SetReadDeadline(time.Now().Add(lingerFor)) == nil {
		_, _ = io.CopyN(io.Discard, r.Body, lingerBytes) // what comes is nobody's
	}
}

// refused reports whether an error is about who calls.
func refused(err error) bool {
	own, ok := errors.AsType[*httpError](err)
	return ok && (own.status == http.StatusUnauthorized || own.code == "scope")
}

// enter admits a call and charges it to its caller's limits.
func (g *Gateway) enter(w http.ResponseWriter, r *http.Request, c *call) error {
	err := g.admit(w, r, c)
	if own, ok := errors.AsType[*httpError](err); ok && own.status == http.StatusUnauthorized {
		if limited := g.limitStrangers(w, r); limited != nil {
			return limited
		}
	}
	if err != nil || probe(r) {
		return err
	}
	return g.limitCalls(w, r)
}

var errWrongHost = &httpError{
	http.StatusMisdirectedRequest, "wrong-host", "without an API key this server answers to localhost, 127.0.0.1 and [::1] only",
}

func (g *Gateway) admit(w http.ResponseWriter, r *http.Request, c *call) error {
	scope := auth.Admin // of what does not exist nobody learns without a key
	if c.route != nil {
		scope = c.route.scope
	}
	switch {
	case scope == ownAuth:
		return nil
	case g.Callers == nil && !loopbackHost(r.Host):
		return errWrongHost
	case g.foreign(r):
		return &httpError{http.StatusForbidden, "cross-origin", "a page of another origin may not call this API"}
	case scope == anyone || g.Callers == nil:
		return nil
	}
	token := bearer(r)
	caller, err := g.Callers.Identify(r.Context(), token)
	if errors.Is(err, auth.ErrUnavailable) {
		g.log.WarnContext(r.Context(), "ID token cannot be checked", "error", err)
		return &httpError{http.StatusServiceUnavailable, "unavailable", "the token cannot be checked now"}
	}
	if err != nil {
		challenge := `Bearer realm="vibesdk"`
		if token != "" {
			challenge += `, error="invalid_token"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
		return &httpError{http.StatusUnauthorized, "unauthorized", "the call needs a valid API key: Authorization: Bearer …"}
	}
	c.caller = caller
	if c.route == nil {
		return nil
	}
	return g.require(w, r, scope)
}

// require refuses a caller without a scope.
func (g *Gateway) require(w http.ResponseWriter, r *http.Request, need auth.Scope) error {
	if g.Callers == nil || callOf(r.Context()).caller.May(need) {
		return nil
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="vibesdk", error="insufficient_scope", scope="`+string(need)+`"`)
	return &httpError{http.StatusForbidden, "scope", "the call needs the scope " + string(need) + ", which the caller does not have"}
}

// bearer is the token of a request. A browser cannot set headers of a WebSocket, so that clients of agents may send it in the
// query.
func bearer(r *http.Request) string {
	if scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); scheme == "" && isAgentCall(r) && isUpgrade(r) {
		return r.URL.Query().Get("token")
	}
	return auth.Bearer(r.Header)
}

// noRoute answers what the table does not have. The mux has said whether it is the path, the method or the spelling.
func (g *Gateway) noRoute(w http.ResponseWriter, r *http.Request, seen *verdict) {
	err := &httpError{http.StatusNotFound, "no-route", "there is no " + r.URL.Path}
	switch {
	case seen.chosen != nil:
		err.detail = "there is no " + r.Method + " " + r.URL.Path + ": it must end with " + seen.chosen.actions()
	case seen.status == http.StatusMethodNotAllowed:
		w.Header().Set("Allow", seen.header.Get("Allow"))
		err = &httpError{http.StatusMethodNotAllowed, "no-method", r.URL.Path + " does not take " + r.Method}
	case seen.header.Get("Location") != "":
		w.Header().Set("Location", seen.header.Get("Location"))
		w.WriteHeader(seen.status)
		return
	}
	g.fail(w, r, err)
}

// probe reports whether a request asks for nothing but health, as those do that watch the server.
func probe(r *http.Request) bool { return r.URL.Path == "/healthz" || r.URL.Path == "/readyz" }

// caller names who calls, as rate limits know them: by a digest of the key or by the account, which were found to be valid, or
// by address.
func (g *Gateway) caller(r *http.Request) string {
	if id := callOf(r.Context()).caller.ID; id != "" {
		return id
	}
	return addressOf(r)
}

// addressOf is the address of the connection. What a header says about it counts nothing: anybody can write one.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = "unknown"
	}
	return "ip:" + host
}

// loopbackHost reports whether a Host header names this machine by a name that no DNS server can give to another.
func loopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	switch strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), ".")) {
	case "localhost", "127.0.0.1", "::1":
		return true
	default:
		return false
	}
}
