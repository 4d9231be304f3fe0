package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"strings"
)

// guard refuses who may not call, before any route is looked at.
func (g *Gateway) guard(next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setSecurityHeaders(w.Header())
		if err := g.enter(w, r, crossOrigin); err != nil {
			if own, ok := errors.AsType[*httpError](err); ok && own.status == http.StatusUnauthorized && isAgentCall(r) && isUpgrade(r) {
				g.refuseAgent(w, r, "unauthorized")
				return
			}
			g.fail(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func setSecurityHeaders(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
}

// enter admits a call and charges it to its caller's limits.
func (g *Gateway) enter(w http.ResponseWriter, r *http.Request, crossOrigin *http.CrossOriginProtection) error {
	err := g.admit(r, crossOrigin)
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

func (g *Gateway) admit(r *http.Request, crossOrigin *http.CrossOriginProtection) error {
	if len(g.apiKey) == 0 && !loopbackHost(r.Host) {
		return &httpError{
			http.StatusMisdirectedRequest, "wrong-host",
			"without an API key this server answers to localhost, 127.0.0.1 and [::1] only",
		}
	}
	// The standard check lets reads pass, which would let a page probe with them; nobody but our own origin has
	// a reason to read through a browser.
	site := r.Header.Get("Sec-Fetch-Site")
	if isAgentCall(r) && g.agentOrigin(r) {
		site = "" // a page that was let in by name
	}
	if (site != "" && site != "same-origin" && site != "none") || crossOrigin.Check(r) != nil {
		return &httpError{http.StatusForbidden, "cross-origin", "a page of another origin may not call this API"}
	}
	if len(g.apiKey) > 0 && !probe(r) && !g.authorized(r) {
		return &httpError{http.StatusUnauthorized, "unauthorized", "the call needs a valid API key: Authorization: Bearer …"}
	}
	return nil
}

// probe reports whether a request asks for nothing but health, as those do that watch the server.
func probe(r *http.Request) bool { return r.URL.Path == "/healthz" || r.URL.Path == "/readyz" }

// caller names who calls, as rate limits know them: by a digest of the key, which was found to be valid, or by address.
func (g *Gateway) caller(r *http.Request) string {
	if len(g.apiKey) == 0 { // then what a caller sends as a key is anything
		return addressOf(r)
	}
	sum := sha256.Sum256([]byte(g.apiKey))
	return "token:" + hex.EncodeToString(sum[:8])
}

// addressOf is the address of the connection. What a header says about it counts nothing: anybody can write one.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = "unknown"
	}
	return "ip:" + host
}

func (g *Gateway) authorized(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if scheme == "" && isAgentCall(r) && isUpgrade(r) {
		scheme, token = "Bearer", r.URL.Query().Get("token") // a browser cannot set headers of a WebSocket
	}
	if !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	// Digests have one length, so that the comparison says nothing about the key's.
	want, got := sha256.Sum256([]byte(g.apiKey)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
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
